"""Errands: what a person asks for that goes through a feed's rows, a chunk at a time, however many there are.

A click only writes the errand down and publishes it. Its handler walks by row number, each chunk in a
transaction of its own, with the number that it has reached: a crash costs one chunk, and no row is
touched twice by the same errand.
"""

import uuid
from collections.abc import Callable, Sequence

from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from deliveries import commands as deliveries
from deliveries.ids import delivery_id
from feeds.commands import in_state, locked
from feeds.errors import WrongState
from feeds.events import GiveUpRequested, RetryRequested
from feeds.grouping import chosen
from feeds.models import Errand, ErrandKind, Feed, FeedStatus, Row
from outbox.outcomes import NextStep, Outcome
from outbox.publishing import publish

CHUNK = 500  # rows in one transaction
RETRIED_IN = (FeedStatus.DELIVERING, FeedStatus.PAUSED, FeedStatus.COMPLETED)
GIVEN_UP_IN = (FeedStatus.DELIVERING, FeedStatus.PAUSED)


@transaction.atomic
def retry_failed(feed_id: uuid.UUID, *, group: str = "") -> None:
    """The failed rows are to be sent again, those that were sent at all.

    `group` narrows them to those that failed alike (feeds.reasons). Raises WrongState when nothing has
    failed, or the same is being done already.
    """
    feed = locked(feed_id)
    in_state(feed, *RETRIED_IN, to="retried")
    if feed.rows_deleted:
        raise WrongState("Its rows were deleted some time after its end, and cannot be sent again.")
    if feed.failed <= feed.invalid:
        raise WrongState("No failed row is left that could be sent again.")
    if _under_way(feed).filter(kind=ErrandKind.RETRY, group__in={group, ""}).exists():
        raise WrongState("These rows are being sent again already.")
    if group and not feed.failure_groups.filter(key=group, count__gt=F("invalid")).exists():
        raise WrongState("No row that failed for this reason is left that could be sent again.")
    errand = Errand.objects.create(feed=feed, kind=ErrandKind.RETRY, group=group)
    publish(RetryRequested(correlation_id=feed.id, conversation_id=feed.id, errand_id=errand.id))


@transaction.atomic
def give_up(feed_id: uuid.UUID, *, by: str) -> None:
    """The rows that have failed and would be tried again are to end as failed, given up by that person.

    Raises WrongState when that is being done already.
    """
    feed = locked(feed_id)
    in_state(feed, *GIVEN_UP_IN, to="given up")
    if _under_way(feed).filter(kind=ErrandKind.GIVE_UP).exists():
        raise WrongState("What still retries is being given up already.")
    errand = Errand.objects.create(feed=feed, kind=ErrandKind.GIVE_UP)
    publish(GiveUpRequested(correlation_id=feed.id, conversation_id=feed.id, errand_id=errand.id, by=by))


@transaction.atomic
def retry_rows(feed_id: uuid.UUID, numbers: Sequence[int]) -> int:
    """Sends those of these rows that failed again, now; returns how many. They fit in one transaction.

    Raises WrongState where a cancellation may have passed them: nobody would ever end them then.
    """
    in_state(locked(feed_id), *RETRIED_IN, to="retried")
    return deliveries.reopen_deliveries(delivery_id(feed_id, number) for number in numbers)


@transaction.atomic
def cancel_rows(feed_id: uuid.UUID, numbers: Sequence[int]) -> int:
    """Ends those of these rows that are on their way; returns how many."""
    return sum(
        deliveries.cancel_deliveries(group_id=feed_id, first=number, last=number)
        for number in sorted(numbers)
    )


def _under_way(feed: Feed) -> QuerySet[Errand]:
    return Errand.objects.filter(feed=feed, ended_at=None)


def retry_chunk(errand_id: int) -> Callable[[], Outcome] | None:
    """Finds the next failed rows of the errand; what it returns sends them again."""
    errand = Errand.objects.filter(id=errand_id, ended_at=None).first()
    if errand is None:
        return None
    failed = Row.objects.filter(feed_id=errand.feed_id, outcome="failed", invalid=False)
    rows = list(failed.filter(number__gt=errand.reached).order_by("number")[:CHUNK])
    is_of = chosen(errand.feed_id, errand.group) if errand.group else bool
    ids = [delivery_id(errand.feed_id, row.number) for row in rows if is_of(row)]

    def step() -> Outcome:
        feed = locked(errand.feed_id)
        if not rows or feed.status not in RETRIED_IN:
            _end(errand)
            return None
        return _go_on(errand, rows[-1].number, deliveries.reopen_deliveries(ids))

    return step


def give_up_chunk(errand_id: int, *, by: str) -> Callable[[], Outcome] | None:
    """What it returns gives up what retries among the next rows."""
    errand = Errand.objects.filter(id=errand_id, ended_at=None).first()
    if errand is None:
        return None

    def step() -> Outcome:
        feed = locked(errand.feed_id)
        if errand.reached >= feed.total or feed.status not in GIVEN_UP_IN:
            _end(errand)
            return None
        last = min(feed.total, errand.reached + CHUNK)
        ended = deliveries.give_up_deliveries(
            group_id=feed.id, first=errand.reached + 1, last=last, why=f"Given up by {by}."
        )
        return _go_on(errand, last, ended)

    return step


def _go_on(errand: Errand, reached: int, moved: int) -> NextStep:
    Errand.objects.filter(id=errand.id).update(reached=reached, moved=errand.moved + moved)
    return NextStep()


def _end(errand: Errand) -> None:
    Errand.objects.filter(id=errand.id).update(ended_at=timezone.now())
