"""Where a feed stands right now, in words and numbers."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import cached_property

from django.db.models import Q
from django.utils import timezone

from deliveries.events import DeliveryScheduled
from deliveries.ids import number_range
from deliveries.models import Delivery, Status
from feeds.deeds import UPLOADED
from feeds.errands import GIVEN_UP_IN, RETRIED_IN
from feeds.models import TRIAL_ROWS, Errand, ErrandKind, Feed, FeedStatus
from feeds.queries.holds import Wait, hold
from feeds.queries.pace import Pace, pace
from feeds.queries.trial import Trial, trial
from outbox import heartbeats
from outbox.models import Handling, OutboxEvent

# After a person sent rows again, the ledger follows within moments: so long the page of a feed that is
# over looks for it.
STIRRED = timedelta(seconds=30)
ERRANDS_SHOWN = 5  # those under way, which are few: each holds the feed's rows for a while
COUNTED = 10_000  # rows of a feed whose deliveries may be counted for a page
LOOKED_AT = 500  # handlings of all feeds among which this one's are looked for


class Live:
    """What moves on a feed's page. Each part is read when it is asked for: a page shows some of them."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed

    @property
    def sentence(self) -> str:
        """Where the feed stands."""
        return _sentence(self._feed)

    @cached_property
    def waits(self) -> Sequence[Wait]:
        return waits(self._feed)

    @cached_property
    def next_try(self) -> datetime | None:
        """Of what is tried again, once every row was tried."""
        return None if self.waits else _next_try(self._feed)

    @cached_property
    def pace(self) -> Pace | None:
        """None while nothing, or nothing but probes, may go."""
        return None if self.waits else pace(self._feed)

    @cached_property
    def trial(self) -> Trial | None:
        return trial(self._feed)

    @property
    def retrying(self) -> int:
        """Rows that were tried and are tried again."""
        return _retrying(self._feed)

    @property
    def estimated(self) -> bool:
        """`to_give_up` is the ledger's, which also holds what was throttled, or just retried."""
        return self._feed.total > COUNTED

    @cached_property
    def to_give_up(self) -> int:
        """Of what retries, the rows that failed."""
        retrying = self.retrying
        return retrying if self.estimated or not retrying else _failing(self._feed)

    @cached_property
    def errands(self) -> Sequence[Errand]:
        """Those under way, and those that have just ended."""
        if self._feed.status not in RETRIED_IN:
            return []
        recent = Q(ended_at=None) | Q(ended_at__gt=timezone.now() - STIRRED)
        return list(self._feed.errands.filter(recent).order_by("id")[:ERRANDS_SHOWN])

    @property
    def can_retry(self) -> bool:
        feed = self._feed
        whole = any(e.kind == ErrandKind.RETRY and not e.group and not e.ended_at for e in self.errands)
        return (
            feed.failed > feed.invalid and not feed.rows_deleted and not whole and feed.status in RETRIED_IN
        )

    @property
    def retried_groups(self) -> set[str]:
        """Keys of the groups of failures that are being sent again."""
        return {e.group for e in self.errands if e.kind == ErrandKind.RETRY and not e.ended_at}

    @cached_property
    def moves(self) -> bool:
        """The page asks again."""
        feed = self._feed
        if feed.status in (FeedStatus.READY, FeedStatus.REJECTED):
            return False
        stirred = timezone.now() - STIRRED
        deeds = feed.deeds.filter(at__gt=stirred).exclude(what=UPLOADED)
        return bool(self.errands) or not feed.is_over or deeds.exists()

    @property
    def poll(self) -> int:
        """Seconds until the page asks again."""
        return 1 if self._feed.status == FeedStatus.CHECKING or self._feed.total < 10_000 else 2


def _retrying(feed: Feed) -> int:
    """Not exact while cancelling: a row may end without ever having been tried."""
    untried = feed.total - feed.invalid - feed.tried
    return max(0, feed.pending - untried) if feed.status in GIVEN_UP_IN else 0


def _failing(feed: Feed) -> int:
    """Exact, by looking at each delivery: for feeds in which this is quick."""
    ids = number_range(feed.id, 1, feed.total)
    return Delivery.objects.filter(id__range=ids, status=Status.SCHEDULED, fail_count__gt=0).count()


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
            if feed.succeeded in (0, feed.total):
                return f"Done. {'Every' if feed.succeeded else 'No'} row has arrived."
            return f"Done. {arrived}."
    return _trial_sentence(feed) if feed.trial else f"{arrived}."


def _trial_sentence(feed: Feed) -> str:
    sent, failed = min(TRIAL_ROWS, feed.created), feed.failed - feed.invalid
    what = f"Trial: {feed.succeeded} of the first {sent or TRIAL_ROWS} rows have arrived"
    what += f", {failed} failed." if failed else "."
    return f"{what} The other {feed.unreached:,} wait for you: send the rest, or cancel." if sent else what


def waits(feed: Feed) -> list[Wait]:
    """What the feed waits for right now, most important first."""
    if feed.is_over or feed.status == FeedStatus.READY:
        return []
    found = []
    if not heartbeats.worker_lives():
        found.append(
            Wait("No worker is running, so nothing moves. The feed is safe; an admin has to start one.")
        )
    if feed.status == FeedStatus.DELIVERING and (held := hold(feed.destination)):
        found.append(held)
    if _is_parked(feed):
        found.append(
            Wait("Some of its work gave up by our fault, and is kept: an admin can retry it. No row is lost.")
        )
    return found


def _next_try(feed: Feed) -> datetime | None:
    """When every row was tried: when the next of those that failed is due, if that is among the next."""
    all_tried = feed.status == FeedStatus.DELIVERING and feed.import_done and feed.tried >= feed.created
    if not all_tried or feed.pending == 0:
        return None
    soonest = Handling.objects.waiting().order_by("due_at").values_list("lane_id", "due_at", "event_id")
    ours = {event: due_at for lane, due_at, event in soonest[:LOOKED_AT] if due_at and lane == feed.lane_id}
    return min((ours[event_id] for event_id in _still_wanted(ours)), default=None)


def _still_wanted(event_ids: Iterable[int]) -> list[int]:
    """Of these events the attempts that are to be made: a delivery may have ended, or gone on, since."""
    found = OutboxEvent.objects.filter(id__in=list(event_ids), type=DeliveryScheduled.__name__)
    attempts = list(found.values_list("id", "correlation_id", "occurrence"))
    deliveries = Delivery.objects.filter(id__in=[id_ for _, id_, _ in attempts], status=Status.SCHEDULED)
    current = dict(deliveries.values_list("id", "attempt"))
    return [event_id for event_id, id_, attempt in attempts if current.get(id_) == attempt]


def _is_parked(feed: Feed) -> bool:
    parked = Handling.objects.parked().order_by("subscription_id", "error_id").values("event_id")[:LOOKED_AT]
    return OutboxEvent.objects.filter(id__in=parked, conversation_id=feed.id).exists()
