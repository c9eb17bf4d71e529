"""Groups of failures: failed rows by what they have in common, counted as their outcomes are recorded.

Whoever makes a row failed, or takes it from among the failed, says so here in the same transaction, after
it has locked the feed: that lock guards the feed's groups too, so that no two batches count at once. A
batch writes each group once, and nothing at all where nothing failed.
"""

import logging
import uuid
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import F, OuterRef, Q, Subquery, Sum
from django.db.models.functions import Coalesce

from feeds.commands import locked
from feeds.models import OTHERS, FailureGroup, Feed, Row
from feeds.reasons import group_key

logger = logging.getLogger(__name__)

MOST = 100  # groups of a feed that have a name; the rows of all further ones are counted as one
LONGEST = 1000  # characters of the error that is kept of a group
LOOKED_AT = 500  # failed rows among which a group that lost its example finds another
CHUNK = 2000  # failed rows read at once when all of a feed's are counted


class Failure(NamedTuple):
    """A failed row, as far as its group goes."""

    number: int
    http_status: int | None
    code: str
    error: str
    invalid: bool

    @property
    def key(self) -> str:
        return group_key(self.http_status, self.code, self.error)


class Fold:
    """Groups of one feed in memory, into which rows come and from which they go.

    Once `MOST` have a name, rows of any further reason are among the others, and stay there: a group keeps
    its name for as long as there are others, be it empty, so that each row has one group all the time.
    """

    def __init__(self, groups: Iterable[Any] = (), *, make: Callable[..., Any] = FailureGroup) -> None:
        self.groups: dict[str, Any] = {group.key: group for group in groups}
        self.changed: set[str] = set()
        self._make = make

    def add(self, failure: Failure) -> None:
        key = failure.key
        group = self.groups.get(key)
        if group is None:
            others = self.groups.get(OTHERS)
            named = len(self.groups) - (others is not None)
            key = key if named < MOST else OTHERS
            group = others if key == OTHERS and others else self._new(key, failure)
        error = failure.error[:LONGEST]
        if not group.count:
            group.error, group.alike, group.number = error, True, None
        elif group.error != error:
            group.alike = False
        if group.number is None:
            group.number = failure.number
        group.count += 1
        group.invalid += failure.invalid
        self.changed.add(group.key)

    def remove(self, failure: Failure) -> None:
        """One that was never counted is left alone: a worker of an older release had recorded it."""
        group = self.group_of(failure)
        if group is None or not group.count:
            return
        group.count -= 1
        group.invalid = min(group.count, max(0, group.invalid - failure.invalid))
        if group.number == failure.number:
            group.number = None
        self.changed.add(group.key)

    def group_of(self, failure: Failure) -> Any:
        return self.groups.get(failure.key) or self.groups.get(OTHERS)

    @property
    def lost_example(self) -> bool:
        return any(self.groups[key].count and self.groups[key].number is None for key in self.changed)

    @property
    def has_others(self) -> bool:
        return OTHERS in self.groups and self.groups[OTHERS].count > 0

    def give_examples(self, failures: Iterable[Failure]) -> None:
        for failure in failures:
            group = self.group_of(failure)
            if group and group.number is None:
                group.number = failure.number
                self.changed.add(group.key)

    def _new(self, key: str, failure: Failure) -> Any:
        named = {} if key == OTHERS else {"http_status": failure.http_status, "code": failure.code}
        group = self.groups[key] = self._make(key=key, count=0, invalid=0, **named)
        return group


def regroup(feed_id: uuid.UUID, *, left: Sequence[Failure] = (), joined: Sequence[Failure] = ()) -> None:
    """Counts rows that are failed no more, and those that now are. The feed is locked, the rows written."""
    if not left and not joined:
        return
    fold = Fold(FailureGroup.objects.filter(feed_id=feed_id))
    for failure in left:
        fold.remove(failure)
    for failure in joined:
        fold.add(failure)
    if fold.lost_example:
        after = min(failure.number for failure in left)
        fold.give_examples(Failure(*row) for row in _failed(feed_id).filter(number__gt=after)[:LOOKED_AT])
    _write(feed_id, fold)
    if any(not group.count for group in fold.groups.values()) and not fold.has_others:
        FailureGroup.objects.filter(feed_id=feed_id, count=0).delete()


def recount(feed_id: uuid.UUID) -> None:
    """Makes the groups anew from the rows."""
    with transaction.atomic():
        feed = locked(feed_id)
        FailureGroup.objects.filter(feed=feed).delete()
        fold = Fold()
        for row in _failed(feed_id).iterator(chunk_size=CHUNK):
            fold.add(Failure(*row))
        _write(feed_id, fold)


def recount_what_differs() -> int:
    """Counts the groups of those feeds anew that do not add up to their ledger; returns of how many.

    That is so where a worker of a release without groups recorded failures after the database was migrated.
    """
    sums = FailureGroup.objects.filter(feed=OuterRef("id")).order_by().values("feed")
    invalid = Coalesce(Subquery(sums.annotate(sum=Sum("invalid")).values("sum")), 0)
    counted = Coalesce(Subquery(sums.annotate(sum=Sum("count")).values("sum")), 0)
    feeds = Feed.objects.filter(failed__gt=0, rows_deleted=False, deleted_up_to=0).annotate(
        differs=F("failed") - F("invalid") - counted + invalid, missed=F("invalid") - invalid
    )
    wrong = feeds.filter(~Q(differs=0) | Q(import_done=True) & ~Q(missed=0)).values_list("id", flat=True)
    for feed_id in (ids := list(wrong)):
        recount(feed_id)
        logger.warning("groups.recounted feed=%s They did not add up to its ledger.", feed_id)
    return len(ids)


def chosen(feed_id: uuid.UUID, key: str) -> Callable[[Row], bool]:
    """Whether a failed row is in that group. To be asked for after the rows were read: by then each of
    their groups is known."""
    if key != OTHERS:
        return lambda row: group_key(row.http_status, row.code, row.error) == key
    groups = FailureGroup.objects.filter(feed_id=feed_id).exclude(key=OTHERS)
    named = set(groups.values_list("key", flat=True))
    return lambda row: group_key(row.http_status, row.code, row.error) not in named


def failures_among(feed_id: uuid.UUID, numbers: Sequence[int]) -> list[Failure]:
    """What these rows, which are failed and locked, have failed of so far."""
    return [Failure(*row) for row in _failed(feed_id).filter(number__in=numbers)]


def _failed(feed_id: uuid.UUID) -> Any:
    rows = Row.objects.filter(feed_id=feed_id, outcome="failed").order_by("number")
    return rows.values_list(*Failure._fields)


def _write(feed_id: uuid.UUID, fold: Fold) -> None:
    changed = [fold.groups[key] for key in sorted(fold.changed)]
    for group in changed:
        group.feed_id = feed_id
    FailureGroup.objects.bulk_create(
        changed,
        update_conflicts=True,
        unique_fields=["feed", "key"],
        update_fields=["error", "alike", "number", "count", "invalid"],
    )
