"""Failed rows by what they have in common."""

from dataclasses import dataclass

from django.db.models import F

from feeds.models import OTHERS, FailureGroup, Feed
from feeds.reasons import reason

SHOWN = 12  # unless all are asked for


@dataclass(frozen=True, slots=True)
class Group:
    """One group of failures."""

    key: str
    http_status: int | None
    code: str
    reason: str  # what their errors have in common
    count: int
    number: int | None  # of a row that is in it
    invalid: int  # of these, rows that were never sent: the file has to be mended

    @property
    def is_others(self) -> bool:
        """Those of all reasons beyond the ones that have a group."""
        return self.key == OTHERS

    @property
    def can_retry(self) -> bool:
        return self.count > self.invalid


@dataclass(frozen=True, slots=True)
class Groups:
    items: list[Group]
    total: int  # groups in all
    ungrouped: int  # failed rows by the ledger that are in no group yet
    whole: bool = False  # every group was asked for

    @property
    def more(self) -> int:
        """Groups that are not shown."""
        return self.total - len(self.items)


def failed_groups(feed: Feed, *, whole: bool = False) -> Groups:
    """The groups of all failed rows, the largest first, the others last; `whole` tells every one."""
    if not feed.failed or feed.rows_deleted:
        return Groups([], 0, 0)
    # The ledger is read with them: a moment earlier, or later, it would not add up.
    groups = FailureGroup.objects.filter(feed_id=feed.id, count__gt=0).annotate(failed=F("feed__failed"))
    found = [_group(group) for group in groups]
    found.sort(key=lambda group: (group.is_others, -group.count, group.number or 0))
    failed = max((group.failed for group in groups), default=feed.failed)
    shown = found if whole else found[:SHOWN]
    return Groups(shown, len(found), failed - sum(group.count for group in found), whole)


def _group(group: FailureGroup) -> Group:
    return Group(
        group.key,
        group.http_status,
        group.code,
        group.error if group.alike else reason(group.error),
        group.count,
        group.number,
        group.invalid,
    )
