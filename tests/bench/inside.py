"""What is measured inside one process, in the database of a stack; called through its console."""

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction

from feeds.events import FeedCreated
from feeds.handlers import check_feed
from feeds.importing import import_chunk
from feeds.models import Feed
from outbox import heartbeats, registry, relay, running, subscriptions
from outbox.events import Event
from outbox.models import Unrelayed
from outbox.outcomes import NextStep
from outbox.passes import NewLease
from outbox.publishing import publish

CHUNK = 2000


def import_rate(feed_id: uuid.UUID) -> float:
    """Rows a second from a checked file to committed rows, deliveries, payloads and events."""
    check = check_feed(FeedCreated(correlation_id=feed_id))
    if check is not None:
        with transaction.atomic():
            check()
    began = time.perf_counter()
    while True:
        write = import_chunk(feed_id)
        if not callable(write):
            break
        with transaction.atomic():
            if not isinstance(write(), NextStep):
                break
    seconds = time.perf_counter() - began
    Unrelayed.objects.all().delete()
    return float(Feed.objects.get(id=feed_id).total / seconds)


@dataclass(frozen=True, kw_only=True)
class Ticked(Event):
    """An event that nobody but the benchmark knows."""


def empty_handler_rate(count: int) -> float:
    """Handlings a second through relay, claim, an empty handler and settle, all in this one process."""

    @registry.handler("bench.empty", on=Ticked, batch=500)
    def empty(events: Sequence[Ticked]) -> None:
        pass

    subscriptions.subscribe_all()
    heartbeats.beat("bench", kind="worker", queues=["bench.empty"], concurrency=8, processes=2)
    for _ in range(count // CHUNK):
        with transaction.atomic():
            publish(*(Ticked(correlation_id=uuid.uuid4()) for _ in range(CHUNK)))
    taken: list[NewLease] = []
    relay.send = taken.extend  # type: ignore[assignment]
    began = time.perf_counter()
    while relay.run_pass() or taken:
        heartbeats.beat("bench", kind="worker", queues=["bench.empty"], concurrency=8, processes=2)
        while taken:
            lease = taken.pop(0)
            running.run_lease(registry.get("bench.empty"), lease.id, str(lease.token))
    return count / (time.perf_counter() - began)
