"""The mails about a feed: which were sent, and which wait for a mail server that takes them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from feeds.mails import REFUSED
from feeds.models import Feed, Mail
from feeds.queries.feeds import Viewer
from outbox.models import Handling, OutboxEvent, State
from outbox.paging import Order, Page, read

MAILS_A_PAGE = 20
# Mails that wait for a mail server stand before all pages. A feed has one for each of its rounds, which
# people begin one by one, and a mail is given up long before there are so many.
EVENTS_LOOKED_AT = 20
_NEWS = {
    "FeedTried": "every row was tried once",
    "FeedCompleted": "the feed is completed",
    "FeedRejected": "the feed was rejected",
}


@dataclass(frozen=True, slots=True)
class Unsent:
    """A mail that did not go out, so far."""

    about: str
    problem: str
    again_at: datetime | None  # None: only once an admin runs it again


@dataclass(frozen=True, slots=True)
class FeedMails:
    """What is told of them; addresses only to whom they belong, and to admins."""

    sent: Page[Mail]
    unsent: Sequence[Unsent]
    shows_addresses: bool

    def __bool__(self) -> bool:
        return bool(self.sent.items or self.unsent)


def feed_mails(feed: Feed, viewer: Viewer, place: str = "") -> FeedMails:
    own = feed.owner_id is not None and viewer.pk == feed.owner_id
    order = Order(("id",), descending=True)
    sent = read(feed.mails.select_related("user"), order, place, size=MAILS_A_PAGE)
    shows_addresses = own or bool(getattr(viewer, "is_staff", False))
    for mail in sent.items:
        if mail.problem.startswith(REFUSED) and not shows_addresses:
            mail.problem = f"{REFUSED}."  # the server's own words name it
    return FeedMails(sent, _unsent(feed) if sent.is_first else [], shows_addresses)


def _unsent(feed: Feed) -> list[Unsent]:
    events = dict(
        OutboxEvent.objects.filter(conversation_id=feed.id, correlation_id=feed.id, type__in=_NEWS)
        .order_by("-id")
        .values_list("id", "type")[:EVENTS_LOOKED_AT]
    )
    open_ = Handling.objects.filter(event_id__in=list(events), subscription__handler="feeds.notify_owner")
    return [
        Unsent(
            _NEWS[events[handling.event_id]],
            handling.message,
            None if handling.state == State.PARKED else handling.due_at,
        )
        for handling in open_.exclude(state=State.DONE).exclude(message="").order_by("-event_id")
    ]
