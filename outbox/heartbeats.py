"""Heartbeats: which processes live, and how much they can take."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from outbox import sql
from outbox.models import Heartbeat

EVERY = 3.0  # seconds
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
    living = Heartbeat.objects.filter(kind="worker", seen_at__gt=now - timedelta(seconds=FRESH))
    for queues, concurrency, processes in living.values_list("queues", "concurrency", "processes"):
        for queue in queues:
            crew = found.setdefault(queue, Crew())
            crew.processes += processes
            crew.concurrency += concurrency
    return found


def worker_lives() -> bool:
    """Whether any worker has said within FRESH seconds that it lives."""
    since = sql.database_now() - timedelta(seconds=FRESH)
    return Heartbeat.objects.filter(kind="worker", seen_at__gt=since).exists()
