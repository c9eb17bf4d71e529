"""A row's story in the words of people: what caused what, what came beside it, what waits and why."""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.utils import timezone

from deliveries.answers import Kind
from feeds.models import Feed, FeedStatus
from feeds.queries.live import waits
from outbox.models import Handling, OutboxEvent, State
from outbox.paging import Order, Page, read

STEPS_A_PAGE = 60
NOTICEABLE = 1.0  # seconds from which on a step is said to have waited

_TITLES = {
    "DeliveryCreated": "The row was taken up",
    "DeliveryScheduled": "Attempt {occurrence} was planned",
    "DeliverySucceeded": "The row arrived",
    "DeliveryAccepted": "It was accepted; the outcome will be told later",
    "DeliveryAttemptFailed": "Attempt {occurrence} failed",
    "DeliveryFailed": "It was given up",
    "DeliveryReopened": "It was opened again",
    "DeliveryCancelled": "It was cancelled",
}
_KINDS = {
    "DeliverySucceeded": "good",
    "DeliveryAttemptFailed": "bad",
    "DeliveryFailed": "bad",
    "DeliveryCancelled": "off",
}

SCHEDULE, EXECUTE, RETRY = (
    "deliveries.schedule_delivery",
    "deliveries.execute_delivery",
    "deliveries.retry_delivery",
)
_PLAIN = {
    SCHEDULE: "plans the next attempt",
    EXECUTE: "sends the request",
    RETRY: "decides whether to try again",
    "deliveries.register_attempt": "keeps the attempt for this page",
    "feeds.track_progress": "counts it on the feed's page",
}
# Which handler published an event, by the event's type.
_BY = {
    "DeliverySucceeded": EXECUTE,
    "DeliveryAccepted": EXECUTE,
    "DeliveryAttemptFailed": EXECUTE,
    "DeliveryFailed": RETRY,
}
_STATE_WORDS: dict[str, str] = {
    State.DONE: "done",
    State.LEASED: "under way",
    State.READY: "is next",
    State.WAITING: "waits",
    State.PARKED: "stopped",
}
_CAUSES = {
    "DeliveryCreated": "Rowpost read it from the file",
    "DeliveryReopened": "A person had it sent again",
    "DeliveryCancelled": "The feed was cancelled",
    "DeliveryFailed": "Rowpost decided not to try again",
    "DeliverySucceeded": "Rowpost sent the request",
    "DeliveryAccepted": "Rowpost sent the request",
    "DeliveryAttemptFailed": "Rowpost sent the request",
}


@dataclass(frozen=True, slots=True)
class Work:
    """What one handler has to do with an event."""

    handler: str
    state: str
    until: datetime | None
    message: str
    leads_on: bool = False  # to the next step of the story

    @property
    def plain(self) -> str:
        return _PLAIN.get(self.handler, self.handler)

    @property
    def is_to_come(self) -> bool:
        """Open, and a step of the row's way. Bookkeeping concerns nobody unless it has stopped."""
        on_the_way = self.handler in (SCHEDULE, EXECUTE, RETRY)
        return self.state == State.PARKED or (on_the_way and self.state != State.DONE)

    @property
    def state_word(self) -> str:
        return _STATE_WORDS[self.state]


@dataclass(frozen=True, slots=True)
class Step:
    """One event: what brought it about, what it says, and who works on it."""

    event: OutboxEvent
    cause: OutboxEvent | None  # None: a person, or what happened to the whole feed
    follows: bool  # its cause is the step before it
    works: Sequence[Work] = field(default_factory=list)
    shows_cause: bool = True  # on the same page

    @property
    def title(self) -> str:
        return _TITLES.get(self.event.type, self.event.type).format(occurrence=self.event.occurrence)

    @property
    def kind(self) -> str:
        return _KINDS.get(self.event.type, "plain")

    @property
    def detail(self) -> str:
        """What the step before has told already is not told again."""
        told = self.cause.payload.get("message") if self.cause is not None else None
        message = self.event.payload.get("message")
        return str(message) if message and message != told else ""

    @property
    def status(self) -> int | None:
        status: int | None = self.event.payload.get("http_status")
        return status

    @property
    def because(self) -> str:
        if self.event.type == "DeliveryScheduled":
            again = self.cause is not None and self.cause.type == "DeliveryAttemptFailed"
            return "Rowpost decided to try again" if again else "Rowpost planned it"
        if self.event.type == "DeliveryCreated" and self.event.causation_id is None:
            return "A person mended it"
        if self.event.payload.get("code") == "given_up":
            return "A person gave it up"
        return _CAUSES.get(self.event.type, "Rowpost went on")

    @property
    def cause_title(self) -> str:
        return Step(self.cause, None, follows=False).title if self.cause else ""

    @property
    def waited(self) -> float | None:
        """Seconds from the cause, or from when it was due, where there was a wait worth telling."""
        if self.cause is None:
            return None
        seconds = (self.event.occurred_at - self.cause.occurred_at).total_seconds()
        return seconds if seconds >= NOTICEABLE else None

    @property
    def planned_wait(self) -> float | None:
        """Seconds that the next attempt was put off."""
        if self.event.due_at is None:
            return None
        seconds = (self.event.due_at - self.event.occurred_at).total_seconds()
        return seconds if seconds > 0.05 else None

    @property
    def why_wait(self) -> str:
        return _why_wait(self.cause)

    @property
    def beside(self) -> list[Work]:
        """What is done for this event beside what the story goes on with, or will."""
        return [work for work in self.works if not work.leads_on and not work.is_to_come]


def _why_wait(cause: OutboxEvent | None) -> str:
    told = cause.payload if cause is not None else {}
    match told.get("kind"):
        case Kind.THROTTLED:
            return "because the third party asked for a pause; the attempt does not count"
        case Kind.REFUSED:
            return "because it does not let us in; the attempt does not count"
        case _ if told.get("wait"):
            return "because the third party named this time"
        case _ if told.get("counted") is False:
            return "because the destination is in trouble; the attempt does not count"
    return "because each failure is followed by a longer wait"


@dataclass(frozen=True, slots=True)
class Next:
    """What is still to come, and why it has not yet."""

    sentence: str
    until: datetime | None = None
    why: Sequence[str] = ()
    parked: bool = False


@dataclass(frozen=True, slots=True)
class Timeline:
    """The steps in their order, and what comes next."""

    steps: Sequence[Step]
    next: Sequence[Next]
    page: Page[OutboxEvent] = field(default_factory=Page)  # of which these are the steps, the newest first


def timeline(feed: Feed, delivery_id: uuid.UUID, place: str = "") -> Timeline:
    """Its newest steps, or those at that place. What led to what is told beyond the page's edges too."""
    story = OutboxEvent.objects.filter(conversation_id=feed.id, correlation_id=delivery_id)
    page = read(story, Order(("id",), descending=True), place, size=STEPS_A_PAGE)
    events = page.items[::-1]
    by_id = {event.id: event for event in events}
    before = [event.causation_id for event in events if event.causation_id not in by_id]
    by_id |= story.in_bulk([id_ for id_ in before if id_ is not None])
    later = story.filter(id__gt=events[-1].id).order_by("id")[:STEPS_A_PAGE] if page.previous else ()
    works = _works(events, [*events, *later], by_id)
    steps = []
    for index, event in enumerate(events):
        cause = by_id.get(event.causation_id or 0)
        follows = index > 0 and cause is events[index - 1]
        steps.append(Step(event, cause, follows, works.get(event.id, ()), shows_cause=cause in events))
    return Timeline(steps, _next(feed, steps), page)


def _works(
    events: Sequence[OutboxEvent], story: Iterable[OutboxEvent], by_id: Mapping[int, OutboxEvent]
) -> dict[int, list[Work]]:
    """What was and is done for these events; the later ones of the story tell to what it led."""
    led = {(event.causation_id, _publisher(event, by_id)) for event in story}
    works: dict[int, list[Work]] = {}
    handlings = Handling.objects.filter(event_id__in=[event.id for event in events])
    for each in handlings.select_related("subscription").order_by("event_id", "subscription__handler"):
        handler = each.subscription.handler
        leads_on = (each.event_id, handler) in led
        works.setdefault(each.event_id, []).append(
            Work(handler, each.state, each.due_at, each.message, leads_on)
        )
    return works


def _publisher(event: OutboxEvent, by_id: Mapping[int, OutboxEvent]) -> str:
    if event.type != "DeliveryScheduled":
        return _BY.get(event.type, "")
    cause = by_id.get(event.causation_id or 0)
    return RETRY if cause is not None and cause.type == "DeliveryAttemptFailed" else SCHEDULE


def _next(feed: Feed, steps: Sequence[Step]) -> list[Next]:
    open_ = [work for step in steps for work in step.works if work.is_to_come]
    return [_parked(work) if work.state == State.PARKED else _open(feed, work) for work in open_]


def _parked(work: Work) -> Next:
    return Next(
        f"“{work.plain}” stopped by a fault of Rowpost's. It is kept for an admin, who can run it again.",
        why=[work.message[:300]] if work.message else [],
        parked=True,
    )


def _open(feed: Feed, work: Work) -> Next:
    what = f"Rowpost {work.plain}"
    if work.state == State.LEASED:
        return Next(f"{what}: right now.")
    if work.handler == EXECUTE and feed.status == FeedStatus.PAUSED:
        return Next(f"{what} once the feed is resumed.", why=["The feed is paused."])
    if work.state == State.WAITING and work.until is not None and work.until > timezone.now():
        why = [f"It did not work a moment ago: {work.message[:200]}"] if work.message else []
        return Next(f"{what}, not before", until=work.until, why=why)
    held = [wait.sentence for wait in waits(feed)]
    return Next(f"{what} as soon as its turn comes.", why=held)
