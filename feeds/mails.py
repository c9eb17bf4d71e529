"""The few mails that Rowpost sends: one when every row was tried, one when a feed has ended, one when its
destination is paused or resumed. Never one for a single row."""

from collections.abc import Iterable

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.mail import send_mail

from deliveries.events import DestinationPaused, DestinationResumed
from feeds.events import FeedCompleted, FeedRejected, FeedTried
from feeds.models import Feed, FeedStatus
from outbox.notices import HandlingParked

FeedNews = FeedTried | FeedCompleted | FeedRejected | DestinationPaused | DestinationResumed
AdminNews = HandlingParked | DestinationPaused | DestinationResumed


def tell_owner(event: FeedNews) -> None:
    if isinstance(event, DestinationPaused | DestinationResumed):
        under_way = Feed.objects.filter(
            destination_id=event.destination_id,
            status__in=(FeedStatus.DELIVERING, FeedStatus.PAUSED),
            owner__isnull=False,
        ).select_related("owner")
        _send({feed.owner.email for feed in under_way if feed.owner}, *_about_destination(event))
        return
    feed = Feed.objects.select_related("owner").filter(id=event.correlation_id).first()
    if feed is None or feed.owner is None:
        return
    if isinstance(event, FeedTried) and feed.pending == 0:
        return  # the mail about its end says it all
    _send({feed.owner.email}, *_about_feed(event, feed))


def tell_admins(event: AdminNews) -> None:
    admins = get_user_model().objects.filter(is_staff=True, is_active=True)
    if isinstance(event, HandlingParked):
        subject = f"Parked: {event.handler}"
        text = (
            f"{event.handler} gave up on one event and keeps it for you.\n\n{event.message}\n\n"
            f"Once the cause is mended, retry it: manage.py outbox retry --handler {event.handler}\n"
        )
    else:
        subject, text = _about_destination(event)
    _send({admin.email for admin in admins}, subject, text)


def _about_destination(event: DestinationPaused | DestinationResumed) -> tuple[str, str]:
    if isinstance(event, DestinationResumed):
        return f"{event.name} is resumed", f"Rows are sent to {event.name} again.\n"
    return (
        f"{event.name} is paused",
        f"Nothing is sent to {event.name}. {event.reason}\n\n"
        f"No row is lost: all of them wait. Resume the destination when the cause is mended.\n",
    )


def _about_feed(event: FeedTried | FeedCompleted | FeedRejected, feed: Feed) -> tuple[str, str]:
    page = f"{settings.BASE_URL}/feeds/{feed.id}/"
    if isinstance(event, FeedRejected):
        return f"{feed.name} was rejected", f"{event.reason}\n\nNothing was sent. {page}\n"
    ledger = (
        f"{feed.succeeded} of {feed.total} rows arrived, {feed.failed} failed "
        f"({feed.invalid} of them invalid), {feed.cancelled} were cancelled"
    )
    if isinstance(event, FeedTried):
        return (
            f"{feed.name}: every row was tried once",
            f"{ledger}, {feed.pending} are still being retried.\n\n{page}\n",
        )
    return f"{feed.name} is completed", f"{ledger}.\n\n{page}\n"


def _send(addresses: Iterable[str], subject: str, text: str) -> None:
    recipients = sorted({address for address in addresses if address})
    for recipient in recipients:
        send_mail(f"[Rowpost] {subject}", text, settings.DEFAULT_FROM_EMAIL, [recipient])
