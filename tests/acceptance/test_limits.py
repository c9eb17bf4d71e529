"""Rate, concurrency, fairness and bulkheads, measured at the receiver with two worker processes.

Each measurement is short here, so that the suite stays quick; its long version, as the requirement is
written, runs with `-m slow`.
"""

import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.acceptance.ledger import (
    Arrivals,
    arrivals,
    assert_all_succeeded,
    assert_each_arrived,
    watch,
    write_feed,
)
from tests.processes import Stack
from tests.third_party import RunningThirdParty

pytestmark = pytest.mark.processes

RATE = 50
MOST_IN_A_SECOND = 55
WORKERS = ("worker", "worker2")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Two workers, relay and beat; an import waits when so many of its rows have not been tried."""
    with Stack(tmp_path_factory.mktemp("stack"), IMPORT_WINDOW="3000") as stack:
        stack.start(*WORKERS, "relay", "beat")
        yield stack


def count(third_party: RunningThirdParty, place: str) -> int:
    found: int = third_party.stats()["per_path"].get(place, 0)
    return found


def test_the_rate_holds_in_every_second_also_after_a_stop_of_all_workers(
    stack: Stack, third_party: RunningThirdParty, feed_of: Callable[[int], Path]
) -> None:
    _keep_the_rate(stack, third_party, feed_of(550), stopped=4.0)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_rate_holds_for_a_minute_after_half_a_minute_without_workers(
    stack: Stack, third_party: RunningThirdParty, feed_of: Callable[[int], Path]
) -> None:
    _keep_the_rate(stack, third_party, feed_of(4000), stopped=30.0)


def _keep_the_rate(stack: Stack, third_party: RunningThirdParty, file: Path, *, stopped: float) -> None:
    place = f"/rated-{stopped:.0f}"
    rows = len(file.read_text().splitlines()) - 1
    # Given a feed on its way to a third party that allows 50 requests a second
    third_party.behave(place[1:], ms=5)
    stack.add_destination(place[1:], third_party.url(place), rate=RATE)
    feed = stack.send(file, to=place[1:])
    watch(lambda: count(third_party, place) > rows * 0.4, within=rows / RATE + 20, until="two fifths of it")
    # When all workers are stopped for a while
    for name in WORKERS:
        stack.stop(name)
    time.sleep(stopped)
    stack.start(*WORKERS)
    stack.wait_for_end(feed, within=rows / RATE + 30)
    # Then no second saw more than the rate and a tenth, before or after
    found = arrivals(third_party, place)
    assert found.most_within(1.0) <= MOST_IN_A_SECOND
    # And the rate was used
    assert _undisturbed_rate(found) >= RATE * 0.8
    assert_each_arrived(found, range(1, rows + 1))
    assert_all_succeeded(stack, feed, rows)


def _undisturbed_rate(found: Arrivals) -> float:
    """The median of the requests in each second, of those seconds that had any."""
    began = found.times[0]
    per_second: dict[int, int] = {}
    for at in found.times:
        per_second[int(at - began)] = per_second.get(int(at - began), 0) + 1
    return sorted(per_second.values())[len(per_second) // 2]


def test_never_more_requests_at_once_than_the_destination_allows(
    stack: Stack, third_party: RunningThirdParty, feed_of: Callable[[int], Path]
) -> None:
    third_party.behave("four", ms=20)
    stack.add_destination("four", third_party.url("/four"), concurrency=4)
    feeds = [stack.send(feed_of(rows), to="four") for rows in (301, 302)]
    for feed in feeds:
        stack.wait_for_end(feed, within=40)
    assert third_party.stats()["max_in_flight_per_path"]["/four"] == 4
    for feed, rows in zip(feeds, (301, 302), strict=True):
        assert_all_succeeded(stack, feed, rows)


def test_a_feed_of_ten_rows_is_done_within_ten_seconds_behind_a_large_one(
    stack: Stack, third_party: RunningThirdParty, tmp_path: Path
) -> None:
    # Given a large feed, as much of it imported as may wait for a slow destination
    third_party.behave("shared")
    stack.add_destination("shared", third_party.url("/shared"), rate=40)
    large = stack.send(write_feed(tmp_path / "large.csv", 20_000), to="shared")
    created = "SELECT created FROM feeds_feed WHERE id = %s"
    stack.wait(lambda: stack.sql(created, large)[0][0] >= 3000, within=40, until="3,000 rows to wait")
    # When a small one is sent to the same place, then it does not wait for the large one's end
    _overtake(stack, third_party, tmp_path, large, to="shared")


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_feed_of_ten_rows_is_done_within_ten_seconds_behind_a_hundred_thousand(
    new_stack: Stack, third_party: RunningThirdParty, tmp_path: Path
) -> None:
    # Given a large feed going as fast as it can
    new_stack.start(*WORKERS, "relay", "beat")
    third_party.behave("crowded")
    new_stack.add_destination("crowded", third_party.url("/crowded"))
    large = new_stack.send(write_feed(tmp_path / "large.csv", 100_000), to="crowded")
    watch(lambda: count(third_party, "/crowded") > 500, within=60, until="500 rows")
    # When a small one is sent to the same place, then it does not wait for the large one's end
    _overtake(new_stack, third_party, tmp_path, large, to="crowded")


def _overtake(
    stack: Stack, third_party: RunningThirdParty, folder: Path, large: uuid.UUID, *, to: str
) -> None:
    small = stack.send(write_feed(folder / "small.csv", 10), to=to)
    stack.wait_for_end(small, within=10)
    assert stack.feed(small).succeeded == 10
    assert stack.feed(large).pending > 0
    stack.call("feeds.commands.cancel", large)
    stack.wait_for_end(large, within=60)
    stack.assert_at_rest(within=60)


def test_a_destination_that_hangs_leaves_others_their_pace(
    stack: Stack, third_party: RunningThirdParty, tmp_path: Path
) -> None:
    # On a busy machine the noise of a short measurement is wider than what it is to find.
    _hang(stack, third_party, tmp_path, seconds=4.0, keeps=0.8)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_destination_that_hangs_costs_others_at_most_a_tenth_of_their_rate(
    stack: Stack, third_party: RunningThirdParty, tmp_path: Path
) -> None:
    _hang(stack, third_party, tmp_path, seconds=30.0, keeps=0.9)


def _hang(
    stack: Stack, third_party: RunningThirdParty, folder: Path, *, seconds: float, keeps: float
) -> None:
    well, ill = f"well-{seconds:.0f}", f"ill-{seconds:.0f}"
    # Given a feed on its way to a destination that takes its time
    third_party.behave(well, ms=100)
    third_party.behave(ill, drop="hang")
    stack.add_destination(well, third_party.url(f"/{well}"), concurrency=16)
    stack.add_destination(ill, third_party.url(f"/{ill}"))
    rows = int(160 * (2 * seconds + 15))
    steady = stack.send(write_feed(folder / "steady.csv", rows), to=well)
    watch(lambda: count(third_party, f"/{well}") > 200, within=30, until="200 rows")
    alone = _rate(third_party, f"/{well}", seconds)
    # When another destination, with much to send, does not answer at all
    stack.send(write_feed(folder / "hanging.csv", 500), to=ill)
    watch(lambda: count(third_party, f"/{ill}") > 0, within=20, until="the first to hang")
    beside = _rate(third_party, f"/{well}", seconds)
    # Then the first keeps its pace
    assert stack.feed(steady).pending > 0, "The steady feed ended before the measurement did."
    assert beside >= keeps * alone, f"{alone:.0f}/s alone, {beside:.0f}/s beside one that hangs"
    # What is under way is left to the stack's end: this is the last test of the file.


def _rate(third_party: RunningThirdParty, place: str, seconds: float) -> float:
    began, before = time.monotonic(), count(third_party, place)
    time.sleep(seconds)
    return (count(third_party, place) - before) / (time.monotonic() - began)
