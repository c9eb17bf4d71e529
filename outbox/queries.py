"""Reads for screens and commands. None counts what is done, and none more than some thousands of what is
open: either may be millions of rows."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import Count, Max, Min, OuterRef, Q, Subquery, Sum
from django.db.models.functions import Coalesce

from outbox import sql
from outbox.heartbeats import FRESH
from outbox.leases import closed_at
from outbox.models import Error, Handling, Heartbeat, Lane, Lease, State, Subscription

CLOSED_SHOWN = 100  # lanes
COUNTED = 5_000  # handlings of a kind that are counted; where there are more, it is "at least"
STALLED = timedelta(seconds=60)  # for which ready work of a lane without any limit does not wait


@dataclass(frozen=True, slots=True)
class ParkedGroup:
    """Parked handlings of one handler that failed in the same way at the same place."""

    error_id: int | None
    handler: str
    exception: str
    place: str
    sample: str
    count: int
    oldest: datetime | None
    newest: datetime | None
    more: bool = False  # at least so many; oldest and newest are of those that were counted


@dataclass(slots=True)
class HandlerStatus:
    """What one handler has before it."""

    handler: str
    ready: int = 0
    leased: int = 0
    waiting: int = 0
    parked: int = 0
    oldest_ready: datetime | None = None  # since when the longest ready one could have run
    stalled_since: datetime | None = None  # the same, if it has been for long and nothing holds it
    more_waiting: bool = False  # at least so many wait


@dataclass(frozen=True, slots=True)
class ClosedLane:
    """A lane that is paused or held, and why."""

    id: int
    lane: str
    ready: int
    held_until: datetime | None  # None: until somebody opens it
    why: str


@dataclass(frozen=True, slots=True)
class Process:
    """A process that said within the last seconds that it lives."""

    name: str
    kind: str
    queues: list[str]
    concurrency: int
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class Status:
    now: datetime
    handlers: list[HandlerStatus] = field(default_factory=list)
    closed: list[ClosedLane] = field(default_factory=list)
    processes: list[Process] = field(default_factory=list)
    parked: list[ParkedGroup] = field(default_factory=list)


def parked_groups() -> list[ParkedGroup]:
    """All parked work by handler, exception and place; the largest group first. They are as many as places in
    the code have failed, so there are no pages of them."""
    subscriptions: dict[str, list[int]] = {}
    for handler, id_ in Subscription.objects.values_list("handler", "id"):
        subscriptions.setdefault(handler, []).append(id_)
    groups = (_parked(error, subscriptions.get(error.handler, [])) for error in Error.objects.order_by("id"))
    return sorted((group for group in groups if group.count), key=lambda group: -group.count)


def _parked(error: Error, subscriptions: list[int]) -> ParkedGroup:
    """The group of an error, found by its index and counted up to COUNTED."""
    some = Handling.objects.parked().filter(subscription__in=subscriptions, error=error)[: COUNTED + 1]
    found = some.aggregate(count=Count("id"), oldest=Min("finished_at"), newest=Max("finished_at"))
    return ParkedGroup(
        error_id=error.id,
        handler=error.handler,
        exception=error.exception,
        place=error.place,
        sample=error.sample,
        count=min(found["count"], COUNTED),
        oldest=found["oldest"],
        newest=found["newest"],
        more=found["count"] > COUNTED,
    )


def status() -> Status:
    """Where every handler stands, which lanes are closed, and who is there to work."""
    now = sql.database_now()
    parked = parked_groups()
    return Status(
        now=now,
        handlers=_handlers(now, parked),
        closed=closed_lanes(now),
        processes=processes(now),
        parked=parked,
    )


def _handlers(now: datetime, parked: list[ParkedGroup]) -> list[HandlerStatus]:
    found: dict[str, HandlerStatus] = {
        name: HandlerStatus(name)
        for name in Subscription.objects.order_by("handler").values_list("handler", flat=True).distinct()
    }

    def of(handler: str) -> HandlerStatus:
        return found.setdefault(handler, HandlerStatus(handler))

    # The relay keeps the count of ready work on the lane, so it need not be counted.
    ready_lanes = Lane.objects.filter(ready__gt=0)
    for handler, ready in ready_lanes.values_list("handler").annotate(Sum("ready")):
        of(handler).ready = ready
    heads = ready_lanes.annotate(head=_oldest_ready()).values_list("handler")
    for handler, oldest in heads.annotate(oldest=Min("head")):
        of(handler).oldest_ready = oldest
    for handler, oldest in heads.filter(_unlimited(now)).annotate(oldest=Min("head")):
        if oldest and oldest < now - STALLED:
            of(handler).stalled_since = oldest
    for handler, leased in _leased().items():
        of(handler).leased = leased
    for group in parked:
        of(group.handler).parked += group.count
    waiting, more = _waiting()
    for handler, count in waiting.items():
        of(handler).waiting, of(handler).more_waiting = count, more
    return sorted(found.values(), key=lambda item: item.handler)


def _unlimited(now: datetime) -> Q:
    """Lanes that are open and have neither rate nor slots: nothing there waits on purpose."""
    return Q(parent__isnull=True, interval__isnull=True, max_slots__isnull=True) & ~closed_at(now)


def _waiting() -> tuple[Counter[str], bool]:
    """What is due later, by handler, in the order in which it is due; whether there is more of it."""
    some = Handling.objects.waiting().order_by("due_at").values_list("subscription_id", flat=True)
    found = list(some[: COUNTED + 1])
    handlers = dict(Subscription.objects.values_list("id", "handler"))  # after them: it knows all of theirs
    return Counter(handlers[id_] for id_ in found[:COUNTED]), len(found) > COUNTED


def _oldest_ready() -> Subquery:
    """Per lane: since when its first ready handling could have run."""
    head = Handling.objects.ready().filter(lane_id=OuterRef("id")).order_by("pos")
    return Subquery(head.values(since=Coalesce("event__due_at", "event__occurred_at"))[:1])


def _leased() -> dict[str, int]:
    """Handlings still held, by handler: looked up through the few leases that live."""
    leases = list(Lease.objects.values_list("handler", "ids"))
    held = Handling.objects.filter(state=State.LEASED, id__in=[i for _, ids in leases for i in ids])
    return dict(held.values_list("subscription__handler").annotate(Count("id")))


def closed_lanes(now: datetime) -> list[ClosedLane]:
    """The lanes that are paused or held, those with most ready work first."""
    lanes = Lane.objects.filter(closed_at(now)).order_by("-ready", "id")[:CLOSED_SHOWN]
    return [
        ClosedLane(
            id=lane.id,
            lane=str(lane),
            ready=lane.ready,
            held_until=None if lane.paused else lane.held_until,
            why=lane.held_for,
        )
        for lane in lanes
    ]


def processes(now: datetime) -> list[Process]:
    """The processes that live: as many as an operator has started, so there are no pages of them."""
    fresh = Heartbeat.objects.filter(seen_at__gt=now - timedelta(seconds=FRESH)).order_by("kind", "name")
    return [
        Process(
            name=beat.name,
            kind=beat.kind,
            queues=beat.queues,
            concurrency=beat.concurrency,
            seen_at=beat.seen_at,
        )
        for beat in fresh
    ]


def latest_due(lane_id: int) -> datetime | None:
    """When the last of what waits in the lane is due; None when nothing does."""
    waiting = Handling.objects.waiting().filter(lane_id=lane_id)
    latest: datetime | None = waiting.aggregate(latest=Max("due_at"))["latest"]
    return latest
