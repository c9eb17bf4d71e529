"""The handlers of feeds. Each has its own subscription, queue and retry policy; none knows another."""

from collections.abc import Callable, Sequence

from django.utils import timezone

from deliveries.commands import cancel_deliveries as cancel_range
from deliveries.commands import drain_group
from deliveries.events import (
    BreakerClosed,
    BreakerOpened,
    DeliveryAttemptFailed,
    DeliveryCancelled,
    DeliveryFailed,
    DeliveryReopened,
    DeliverySucceeded,
    DestinationPaused,
    DestinationResumed,
)
from feeds import deeds, errands, mails, tracking
from feeds.aliases import confirmed_aliases
from feeds.checking import check
from feeds.commands import locked, release_locked
from feeds.events import (
    FeedCancelled,
    FeedChecked,
    FeedCompleted,
    FeedCorrected,
    FeedCreated,
    FeedImported,
    FeedRejected,
    FeedReleased,
    FeedTried,
    GiveUpRequested,
    RetryRequested,
)
from feeds.importing import import_chunk
from feeds.models import Doer, Feed, FeedStatus
from outbox.models import Kind
from outbox.notices import HandlingParked, OutboxChanged
from outbox.outcomes import NextStep, Outcome
from outbox.publishing import publish
from outbox.registry import handler
from outbox.retries import exponential

CANCEL_CHUNK = 500
HOURS = 3600.0
PATIENT = exponential(limit=31)  # about 19 hours: a mail server may be away for a night


@handler("feeds.check_feed", on=[FeedCreated, FeedCorrected], kind=Kind.EFFECT, hard_limit=2 * HOURS)
def check_feed(event: FeedCreated | FeedCorrected) -> Callable[[], None] | None:
    """Reads the whole file once, then tells whether it can be sent."""
    feed = Feed.objects.get(id=event.correlation_id)
    if feed.status != FeedStatus.CHECKING:
        return None
    checked = check(feed, confirmed=confirmed_aliases(feed.mapping_base))

    def store() -> None:
        feed = locked(event.correlation_id)
        if feed.status != FeedStatus.CHECKING:
            return
        rejected = bool(checked.rejection)
        feed.status = FeedStatus.REJECTED if rejected else FeedStatus.READY
        feed.reason = checked.rejection
        feed.checked_at = timezone.now()
        feed.ended_at = feed.checked_at if rejected else None
        for name, value in checked.fields.items():
            setattr(feed, name, value)
        feed.save()
        if rejected:
            publish(FeedRejected(correlation_id=feed.id, conversation_id=feed.id, reason=checked.rejection))
            return
        publish(
            FeedChecked(
                correlation_id=feed.id, conversation_id=feed.id, total=feed.total, invalid=feed.invalid
            )
        )
        if feed.send_at_once:
            release_locked(feed)
            deeds.note_deed(feed.id, by=Doer.ROWPOST, what="sent", detail="it as soon as it was checked")

    return store


@handler("feeds.import_rows", on=FeedReleased, kind=Kind.EFFECT, hard_limit=HOURS)
def import_rows(event: FeedReleased) -> Callable[[], Outcome] | Outcome:
    """Makes a delivery of each row, chunk by chunk."""
    return import_chunk(event.correlation_id, trial=event.trial)


@handler(
    "feeds.track_progress",
    on=[
        FeedImported,
        DeliverySucceeded,
        DeliveryFailed,
        DeliveryCancelled,
        DeliveryReopened,
        DeliveryAttemptFailed,
    ],
    batch=500,
)
def track_progress(events: Sequence[tracking.Tracked]) -> None:
    """Keeps the ledger of each feed."""
    tracking.track(events)


@handler("feeds.cancel_deliveries", on=FeedCancelled, kind=Kind.EFFECT, hard_limit=HOURS)
def cancel_deliveries(event: FeedCancelled) -> Callable[[], Outcome]:
    """Ends what has not been sent, a range of rows at a time."""

    def step() -> Outcome:
        feed = locked(event.correlation_id)
        first = feed.cancelled_up_to + 1
        if first > feed.imported:
            drain_group(feed.lane_id)
            return None
        feed.cancelled_up_to = min(feed.imported, feed.cancelled_up_to + CANCEL_CHUNK)
        cancel_range(group_id=feed.id, first=first, last=feed.cancelled_up_to)
        feed.save(update_fields=["cancelled_up_to"])
        return NextStep()

    return step


@handler("feeds.retry_failed", on=RetryRequested, kind=Kind.EFFECT, hard_limit=HOURS)
def retry_failed(event: RetryRequested) -> Callable[[], Outcome] | None:
    """Sends failed rows again, some at a time."""
    return errands.retry_chunk(event.errand_id)


@handler("feeds.give_up", on=GiveUpRequested, kind=Kind.EFFECT, hard_limit=HOURS)
def give_up(event: GiveUpRequested) -> Callable[[], Outcome] | None:
    """Ends what still retries, a range of rows at a time."""
    return errands.give_up_chunk(event.errand_id, by=event.by)


@handler("feeds.record_deed", on=[DestinationPaused, BreakerOpened, BreakerClosed, OutboxChanged])
def record_deed(event: deeds.Recorded) -> None:
    """Writes down who did what where it was done out of reach of the history."""
    deeds.record(event)


@handler(
    "feeds.notify_owner",
    on=[FeedTried, FeedCompleted, FeedRejected, DestinationPaused, DestinationResumed],
    kind=Kind.EFFECT,
    retry=PATIENT,
    tells_when_parked=False,
)
def notify_owner(
    event: FeedTried | FeedCompleted | FeedRejected | DestinationPaused | DestinationResumed,
) -> Callable[[], Outcome] | Outcome:
    """Tells those whose feed it is, by e-mail, one after the other."""
    return mails.tell_owner(event)


@handler(
    "feeds.notify_admins",
    on=[HandlingParked, DestinationPaused, DestinationResumed],
    kind=Kind.EFFECT,
    retry=PATIENT,
    tells_when_parked=False,
)
def notify_admins(event: HandlingParked | DestinationPaused | DestinationResumed) -> None:
    """Tells the admins what stands still by our fault, or waits for them."""
    mails.tell_admins(event)
