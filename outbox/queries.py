"""Reads for screens and commands. None counts what is done: that may be millions of rows."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import Count, Max, Min, OuterRef, Subquery, Sum
from django.db.models.functions import Coalesce

from outbox import sql
from outbox.heartbeats import FRESH
from outbox.leases import closed_at
from outbox.models import Handling, Heartbeat, Lane, Lease, State, Subscription

CLOSED_SHOWN = 100  # lanes


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


@dataclass(slots=True)
class HandlerStatus:
    """What one handler has before it."""

    handler: str
    ready: int = 0
    leased: int = 0
    waiting: int = 0
    parked: int = 0
    oldest_ready: datetime | None = None  # since when the longest ready one could have run


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


def parked_groups() -> list[ParkedGroup]:
    """All parked work by handler, exception and place; the largest group first."""
    groups = (
        Handling.objects.parked()
        .values("error_id", "subscription__handler", "error__exception", "error__place", "error__sample")
        .annotate(count=Count("id"), oldest=Min("finished_at"), newest=Max("finished_at"))
        .order_by("-count", "error_id")
    )
    return [
        ParkedGroup(
            error_id=group["error_id"],
            handler=group["subscription__handler"],
            exception=group["error__exception"] or "",
            place=group["error__place"] or "",
            sample=group["error__sample"] or "",
            count=group["count"],
            oldest=group["oldest"],
            newest=group["newest"],
        )
        for group in groups
    ]


def status() -> Status:
    """Where every handler stands, which lanes are closed, and who is there to work."""
    now = sql.database_now()
    return Status(now=now, handlers=_handlers(), closed=closed_lanes(now), processes=processes(now))


def _handlers() -> list[HandlerStatus]:
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
    for handler, leased in _leased().items():
        of(handler).leased = leased
    open_work = {"waiting": Handling.objects.waiting(), "parked": Handling.objects.parked()}
    for state, handlings in open_work.items():
        for handler, count in handlings.values_list("subscription__handler").annotate(Count("id")):
            setattr(of(handler), state, count)
    return sorted(found.values(), key=lambda item: item.handler)


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
    """The processes that live."""
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
