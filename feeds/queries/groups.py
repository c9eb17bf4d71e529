"""Failed rows by what they have in common."""

from collections import Counter
from dataclasses import dataclass

from feeds.models import Feed, Row
from feeds.reasons import group_key, reason

LOOKED_AT = 5000  # failed rows; more would make the page slow, and would hardly show another reason
SHOWN = 12


@dataclass(frozen=True, slots=True)
class Group:
    key: str
    http_status: int | None
    code: str
    reason: str  # what their errors have in common
    count: int
    sample: str  # one error in full
    number: int  # of the row that it is from
    invalid: bool  # never sent; the file has to be mended


@dataclass(frozen=True, slots=True)
class Groups:
    items: list[Group]
    looked_at: int
    all: bool  # every failed row was looked at
    more: int  # groups that are not shown


def failed_groups(feed: Feed) -> Groups:
    """The groups among the first failed rows, the largest first."""
    if not feed.failed or feed.rows_deleted:
        return Groups([], 0, all=True, more=0)
    rows = Row.objects.filter(feed_id=feed.id, outcome="failed").order_by("number")
    counts: Counter[str] = Counter()
    firsts: dict[str, tuple[int, int | None, str, str, bool]] = {}
    varied: set[str] = set()
    fields = ("number", "http_status", "code", "error", "invalid")
    found = rows.values_list(*fields)[:LOOKED_AT]
    for number, http_status, code, error, invalid in found:
        key = group_key(http_status, code, error)
        counts[key] += 1
        first = firsts.setdefault(key, (number, http_status, code, error, invalid))
        if first[3] != error:
            varied.add(key)
    groups = [
        Group(
            key,
            http_status,
            code,
            reason(error) if key in varied else error,
            counts[key],
            error,
            number,
            invalid,
        )
        for key, (number, http_status, code, error, invalid) in firsts.items()
    ]
    groups.sort(key=lambda group: (-group.count, group.number))
    looked_at = counts.total()
    return Groups(groups[:SHOWN], looked_at, looked_at < LOOKED_AT, max(0, len(groups) - SHOWN))
