"""Where a feed stands right now, in words and numbers."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from feeds.models import TRIAL_ROWS, Feed, FeedStatus
from feeds.queries.pace import Pace, pace
from feeds.queries.trial import Trial, trial
from outbox import heartbeats
from outbox.models import Lane

# After a person sent rows again, the ledger follows within moments: so long the page of a feed that is
# over looks for it.
STIRRED = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Live:
    """What moves on a feed's page."""

    sentence: str
    waits: Sequence["Wait"]
    pace: Pace | None
    trial: Trial | None
    retrying: int  # rows that were tried and are tried again
    can_retry: bool
    moves: bool  # the page asks again
    poll: int  # seconds until it does


def live(feed: Feed) -> Live:
    sent_and_failed = feed.failed - feed.invalid
    return Live(
        sentence=_sentence(feed),
        waits=waits(feed),
        pace=None if feed.destination.breaker_opened else pace(feed),  # probes are no pace
        trial=trial(feed),
        retrying=_retrying(feed),
        can_retry=sent_and_failed > 0
        and not feed.rows_deleted
        and feed.status in (FeedStatus.DELIVERING, FeedStatus.PAUSED, FeedStatus.COMPLETED),
        moves=_moves(feed),
        poll=1 if feed.status == FeedStatus.CHECKING or feed.total < 10_000 else 2,
    )


def _moves(feed: Feed) -> bool:
    if feed.status in (FeedStatus.READY, FeedStatus.REJECTED):
        return False
    return not feed.is_over or feed.deeds.filter(at__gt=timezone.now() - STIRRED).exists()


def _retrying(feed: Feed) -> int:
    """Not exact while cancelling: a row may end without ever having been tried."""
    untried = feed.total - feed.invalid - feed.tried
    return max(0, feed.pending - untried) if feed.status == FeedStatus.DELIVERING else 0


def _sentence(feed: Feed) -> str:
    """Where the feed stands, in words."""
    arrived = f"{feed.succeeded:,} of {feed.total:,} rows have arrived"
    match feed.status:
        case FeedStatus.CHECKING:
            return "The file is being read. Nothing is sent before that is done."
        case FeedStatus.READY:
            return f"The file is read: {feed.total:,} rows. Nothing is sent before you press Send."
        case FeedStatus.PAUSED:
            return f"Paused. {arrived}; the others wait until the feed is resumed."
        case FeedStatus.CANCELLED:
            rest = "; the last ones are being stopped." if feed.pending else "."
            return f"Cancelled. {arrived}{rest}"
        case FeedStatus.COMPLETED:
            return "Done. Every row has arrived." if feed.succeeded == feed.total else f"Done. {arrived}."
    return _trial_sentence(feed) if feed.trial else f"{arrived}."


def _trial_sentence(feed: Feed) -> str:
    sent, failed = min(TRIAL_ROWS, feed.created), feed.failed - feed.invalid
    what = f"Trial: {feed.succeeded} of the first {sent or TRIAL_ROWS} rows have arrived"
    what += f", {failed} failed." if failed else "."
    return f"{what} The other {feed.unreached:,} wait for you: send the rest, or cancel." if sent else what


@dataclass(frozen=True, slots=True)
class Wait:
    """Why nothing, or less than expected, is being sent."""

    sentence: str
    until: datetime | None = None


def waits(feed: Feed) -> list[Wait]:
    """What the feed waits for right now, most important first."""
    if feed.is_over or feed.status == FeedStatus.READY:
        return []
    found = []
    if not heartbeats.worker_lives():
        found.append(
            Wait("No worker is running, so nothing moves. The feed is safe; an admin has to start one.")
        )
    if feed.status == FeedStatus.DELIVERING:
        found += _holds(feed)
    return found


def _holds(feed: Feed) -> Iterable[Wait]:
    now = timezone.now()
    for lane in Lane.objects.filter(id=feed.destination.lane_id):
        if lane.paused:
            why = f": {lane.held_for}" if lane.held_for else "."
            yield Wait(f"The destination {feed.destination.name} is paused{why}")
        elif lane.held_until and lane.held_until > now:
            yield Wait(f"The destination {feed.destination.name} is held: {lane.held_for}", lane.held_until)
