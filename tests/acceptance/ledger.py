"""What the third party's own ledger says, held against what was to be sent."""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from tests.processes import Stack
from tests.third_party import RunningThirdParty


@dataclass
class Arrivals:
    """The requests that reached one place of the third party."""

    entries: list[dict[str, Any]]
    keys: dict[int, Counter[str]] = field(init=False)  # row → key → times

    def __post_init__(self) -> None:
        self.keys = defaultdict(Counter)
        for entry in self.entries:
            self.keys[int(entry["row"])][entry["key"]] += 1

    @property
    def rows(self) -> set[int]:
        return set(self.keys)

    @property
    def repeated(self) -> int:
        """Requests beyond the first of each row."""
        return len(self.entries) - len(self.keys)

    @property
    def times(self) -> list[float]:
        return sorted(entry["at"] for entry in self.entries)

    def most_within(self, seconds: float) -> int:
        """The most requests that arrived in any window of that length."""
        times, most, start = self.times, 0, 0
        for end, at in enumerate(times):
            while times[start] <= at - seconds:
                start += 1
            most = max(most, end - start + 1)
        return most


def arrivals(third_party: RunningThirdParty, place: str) -> Arrivals:
    return Arrivals([entry for entry in third_party.ledger() if entry["path"].split("?")[0] == place])


def assert_each_arrived(found: Arrivals, rows: Iterable[int], *, repeated_at_most: int = 0) -> None:
    """Each of these rows at least once, and no other; whatever was repeated, under the same key."""
    wanted = set(rows)
    assert found.rows == wanted, (
        f"missing: {sorted(wanted - found.rows)[:10]}, extra: {sorted(found.rows - wanted)[:10]}"
    )
    two_keys = {row: keys for row, keys in found.keys.items() if len(keys) > 1}
    assert not two_keys, f"sent again under another key: {list(two_keys.items())[:5]}"
    keys = {key for of_row in found.keys.values() for key in of_row}
    assert len(keys) == len(wanted), "two rows went under one key"
    assert "" not in keys
    assert found.repeated <= repeated_at_most, (
        f"{found.repeated} requests were repeated, at most {repeated_at_most} may be"
    )


def assert_books_closed(stack: Stack, feed_id: UUID, *, within: float = 15.0) -> None:
    """The feed's ledger adds up and is closed, and nothing of its work is left over."""
    feed = stack.feed(feed_id)
    assert feed.total == feed.succeeded + feed.failed + feed.cancelled
    assert feed.pending == 0
    stack.assert_at_rest(within=within)
    _assert_grouped(stack, feed_id)


def _assert_grouped(stack: Stack, feed_id: UUID) -> None:
    """Each failed row is in a group: those of the ledger, but for the invalid ones that a cancelled feed
    never reached."""
    feed = stack.feed(feed_id)
    counted = _sums(stack, "SUM(count), SUM(invalid) FROM feeds_failuregroup WHERE feed_id = %s", feed_id)
    failed = "COUNT(*), SUM(CASE WHEN invalid THEN 1 ELSE 0 END) FROM feeds_row WHERE outcome = 'failed'"
    assert counted == _sums(stack, f"{failed} AND feed_id = %s", feed_id)
    if feed.status != "cancelled":
        assert counted == (feed.failed, feed.invalid)


def _sums(stack: Stack, select: str, feed_id: UUID) -> tuple[int, int]:
    first, second = stack.sql(f"SELECT {select}", UUID(str(feed_id)))[0]
    return int(first or 0), int(second or 0)


def assert_all_succeeded(stack: Stack, feed_id: UUID, rows: int, *, within: float = 15.0) -> None:
    feed = stack.feed(feed_id)
    assert (feed.status, feed.total, feed.succeeded) == ("completed", rows, rows), feed
    assert feed.round == 1
    assert_books_closed(stack, feed_id, within=within)


def write_feed(path: Path, rows: int) -> Path:
    """A plain feed of so many rows."""
    lines = [
        f"SKU-{number:06},Thing {number},{number % 100}.{number % 90 + 10}" for number in range(1, rows + 1)
    ]
    path.write_text("sku,name,price\n" + "\n".join(lines) + "\n")
    return path


def watch(condition: Callable[[], Any], *, within: float, until: str) -> Any:
    """Waits for something at the third party, looking often."""
    ends = time.monotonic() + within
    while not (found := condition()):
        assert time.monotonic() < ends, f"Waited {within:g} s in vain for {until}."
        time.sleep(0.01)
    return found
