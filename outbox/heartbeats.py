"""Heartbeats: which processes live, and how much they can take."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from outbox import sql
from outbox.models import Heartbeat
from outbox.tasks import RELAY_QUEUE

EVERY = 3.0  # seconds
WORKER, RELAY, BEAT = "worker", "relay", "beat"
FRESH = 10.0  # seconds after which a process that said nothing counts as dead
KEPT = timedelta(days=1)  # then pruning forgets it


@dataclass(slots=True)
class Crew:
    """The living workers of one queue."""

    processes: int = 0
    concurrency: int = 0


def beat(
    name: str, *, kind: str, queues: Sequence[str] = (), concurrency: int = 1, processes: int = 1
) -> None:
    """This process lives."""
    now = sql.database_now()
    values = {"kind": kind, "queues": list(queues), "concurrency": concurrency, "processes": processes}
    if not Heartbeat.objects.filter(name=name).update(seen_at=now, **values):
        Heartbeat.objects.get_or_create(name=name, defaults={"started_at": now, "seen_at": now, **values})


def stopped(name: str) -> None:
    """This process ends in good order and takes no more work."""
    Heartbeat.objects.filter(name=name).delete()


def crews(now: datetime) -> dict[str, Crew]:
    """The living workers by the queue that they take from."""
    found: dict[str, Crew] = {}
    living = Heartbeat.objects.filter(kind=WORKER, seen_at__gt=now - timedelta(seconds=FRESH))
    for queues, concurrency, processes in living.values_list("queues", "concurrency", "processes"):
        for queue in queues:
            crew = found.setdefault(queue, Crew())
            crew.processes += processes
            crew.concurrency += concurrency
    return found


@dataclass(frozen=True, slots=True)
class Missing:
    """A part of Rowpost of which no process lives."""

    part: str  # worker, relay or beat
    seen_at: datetime | None  # when the last one was; None: not within KEPT


def missing() -> list[Missing]:
    """Of worker, relay and beat those without which something stands still, most important first.

    A relay is whatever takes from its queue: a worker may do that too.
    """
    seen: dict[str, datetime] = {}
    for kind, queues, at in Heartbeat.objects.order_by("seen_at").values_list("kind", "queues", "seen_at"):
        seen[kind] = at
        if RELAY_QUEUE in queues:
            seen[RELAY] = at
    dead = sql.database_now() - timedelta(seconds=FRESH)
    parts = (WORKER, RELAY, BEAT)
    return [Missing(part, seen.get(part)) for part in parts if part not in seen or seen[part] <= dead]


def worker_lives() -> bool:
    """Whether any worker has said within FRESH seconds that it lives."""
    since = sql.database_now() - timedelta(seconds=FRESH)
    return Heartbeat.objects.filter(kind=WORKER, seen_at__gt=since).exists()


def started_since(at: datetime) -> list[datetime]:
    """When processes began to work after that; also those that have died meanwhile."""
    return list(Heartbeat.objects.filter(started_at__gt=at).values_list("started_at", flat=True))
