"""The few mails that Rowpost sends: one when every row was tried, one when a feed has ended, one when its
destination is paused or resumed, one when work of one kind is parked. Never one for a single row.

Of each mail about a feed a record is kept, in the transaction that settles its handling: what was sent to
whom, or why it could not be.
"""

import smtplib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.core.mail import send_mail
from django.db.models import Q, QuerySet
from django.utils import timezone

from deliveries.events import DestinationPaused, DestinationResumed
from feeds.events import FeedCompleted, FeedRejected, FeedTried
from feeds.models import ErrandKind, Feed, FeedStatus, Mail
from outbox.models import Handling, OutboxEvent
from outbox.notices import HandlingParked
from outbox.outcomes import Defer, NextStep, Outcome
from outbox.queries import latest_due

FeedNews = FeedTried | FeedCompleted | FeedRejected | DestinationPaused | DestinationResumed
AdminNews = HandlingParked | DestinationPaused | DestinationResumed

NO_SERVER = "No mail server is set up (EMAIL_URL): it stands in the worker's log."
REFUSED = "The mail server refuses this address"
SOON = timedelta(seconds=20)  # after the last first try its next one is planned


@dataclass(frozen=True, slots=True)
class Letter:
    """One mail to one person, about one or several of their feeds."""

    event: FeedNews
    feeds: Sequence[Feed]
    owner: User
    subject: str
    text: str

    def send(self) -> str:
        """Returns why it cannot be sent, ever; raises what may be otherwise later."""
        if not self.owner.email:
            return f"{self.owner.get_username()} has no e-mail address. An admin can enter one."
        try:
            _send([self.owner.email], self.subject, self.text)
        except smtplib.SMTPRecipientsRefused as exc:
            if any(code < 500 for code, _ in exc.recipients.values()):
                raise
            return f"{REFUSED}: {_said(exc)}"
        return NO_SERVER if settings.EMAIL_BACKEND.endswith("console.EmailBackend") else ""

    def record(self, problem: str) -> None:
        """Twice is as good as once."""
        Mail.objects.bulk_create(
            [
                Mail(
                    feed=feed,
                    event_id=self.event.id,
                    user=self.owner,
                    address=self.owner.email,
                    subject=self.subject[:300],
                    problem=problem[:500],
                )
                for feed in self.feeds
            ],
            ignore_conflicts=True,
        )


def tell_owner(event: FeedNews) -> Callable[[], Outcome] | Outcome:
    """Sends the next mail about the event; what it returns records it, and asks for the one after it.

    So whoever has had theirs gets no second one, because another's could not be sent.
    """
    if _is_too_early(event):
        return Defer(2.0)
    letter = _next_letter(event)
    if letter is None:
        return None
    problem = letter.send()

    def settle() -> Outcome:
        letter.record(problem)
        return NextStep()

    return settle


def tell_admins(event: AdminNews) -> None:
    admins = get_user_model().objects.filter(is_staff=True, is_active=True)
    if isinstance(event, HandlingParked):
        if _is_told(event):
            return
        subject, text = _about_parked(event)
    else:
        # Whoever has feeds on their way there is told of these.
        admins = admins.exclude(id__in=_under_way(event).values("owner"))
        subject, text = _about_destination(event)
    _send((admin.email for admin in admins), subject, text)


def _is_told(event: HandlingParked) -> bool:
    """Another of its group is parked: one mail tells of all that a person has not looked after yet."""
    group = Handling.objects.parked().filter(
        subscription__handler=event.handler,
        error__exception=event.exception,
        error__place=event.place,
        error__handler=event.handler,
    )
    return group.filter(id__lt=event.handling_id).exists()


def _about_parked(event: HandlingParked) -> tuple[str, str]:
    return (
        f"Parked: {event.handler}",
        f"{event.handler} gave up and keeps the work for you. Of more that fails in the same way you get no "
        f"further mail.\n\n{event.message}\n\n"
        f"Once the cause is mended, retry all of it: {settings.BASE_URL}/overview/\n",
    )


def _is_too_early(event: FeedNews) -> bool:
    """Every row was tried, and the next try of the last one is only just being planned."""
    if not isinstance(event, FeedTried) or event.occurred_at is None:
        return False
    feed = Feed.objects.filter(id=event.correlation_id, pending__gt=0).first()
    young = timezone.now() - event.occurred_at < SOON
    return feed is not None and young and latest_due(feed.lane_id) is None


def _next_letter(event: FeedNews) -> Letter | None:
    """To the first owner who has not been told."""
    if isinstance(event, DestinationPaused | DestinationResumed):
        waiting = _under_way(event).exclude(mails__event_id=event.id)
        feeds = list(waiting.select_related("owner").order_by("owner_id", "id"))
        theirs = [feed for feed in feeds if feed.owner_id == feeds[0].owner_id]
        return _letter(event, theirs, *_about_destination(event))
    untold = Feed.objects.select_related("owner").exclude(mails__event_id=event.id)
    feed = untold.filter(id=event.correlation_id).first()
    if feed is None or (isinstance(event, FeedTried) and feed.pending == 0):
        return None  # the mail about its end says it all
    if isinstance(event, FeedCompleted) and _only_edited(feed, event):
        return None
    return _letter(event, [feed], *_about_feed(event, feed))


def _under_way(event: DestinationPaused | DestinationResumed) -> QuerySet[Feed]:
    """The feeds that it concerns: of a resumption also those that have ended since, for whose they are was
    told of the pause."""
    under_way = Q(status__in=(FeedStatus.DELIVERING, FeedStatus.PAUSED))
    if isinstance(event, DestinationResumed) and event.occurred_at is not None:
        under_way |= Q(status=FeedStatus.COMPLETED, ended_at__gt=event.occurred_at)
    return Feed.objects.filter(under_way, destination_id=event.destination_id, owner__isnull=False)


def _only_edited(feed: Feed, event: FeedCompleted) -> bool:
    """All that this round sent are single rows, which a person changed on their pages."""
    rounds = OutboxEvent.objects.filter(conversation_id=feed.id, correlation_id=feed.id, type="FeedCompleted")
    before = rounds.filter(occurrence=event.occurrence - 1).first()
    if before is None:
        return False
    since = before.occurred_at
    retried = feed.errands.filter(kind=ErrandKind.RETRY).exclude(ended_at__lte=since)
    return feed.deeds.filter(what="edited", at__gt=since).exists() and not retried.exists()


def _letter(event: FeedNews, feeds: Sequence[Feed], subject: str, text: str) -> Letter | None:
    owner = feeds[0].owner if feeds else None
    return Letter(event, feeds, owner, " ".join(subject.split()), text) if owner is not None else None


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
        f"{feed.succeeded:,} of {feed.total:,} rows arrived, {feed.failed:,} failed "
        f"({feed.invalid:,} of them invalid)"
    )
    if isinstance(event, FeedTried):
        retried = _retried(feed.pending, latest_due(feed.lane_id))
        return f"{feed.name}: every row was tried once", f"{ledger}.\n{retried}\n\n{page}\n"
    return f"{feed.name} is completed", f"{ledger}, {feed.cancelled:,} were cancelled.\n\n{page}\n"


def _retried(count: int, latest: datetime | None) -> str:
    they = "1 row is" if count == 1 else f"{count:,} rows are"
    if latest is None:
        return f"{they} tried again."
    last = "" if count == 1 else ", the last of them"
    return f"{they} tried again{last} on {latest:%Y-%m-%d at %H:%M} UTC, and later if need be."


def _said(refused: smtplib.SMTPRecipientsRefused) -> str:
    answers = [text.decode(errors="replace") for _, text in refused.recipients.values()]
    return " ".join(answers)[:300]


def _send(addresses: Iterable[str], subject: str, text: str) -> None:
    recipients = sorted({address for address in addresses if address})
    for recipient in recipients:
        send_mail(f"[Rowpost] {subject}", text, settings.DEFAULT_FROM_EMAIL, [recipient])
