"""Where a row's processor time goes, by part: one process does all the work of relay and workers in turn, and
a clock of processor time goes from part to part at the doors between them."""

import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from deliveries.client import Client
from feeds.models import Feed
from outbox import heartbeats, registry, relay, running
from outbox.passes import NewLease


class Ledger:
    """Seconds of processor time by part; what runs inside another part is not counted there."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._local = threading.local()

    @contextmanager
    def of(self, part: str) -> Iterator[None]:
        local = self._local
        now = time.thread_time()
        outer, since = getattr(local, "now", (None, now))
        if outer is not None:
            self.seconds[outer] += now - since
        local.now = (part, time.thread_time())
        try:
            yield
        finally:
            part, since = local.now
            now = time.thread_time()
            self.seconds[part] += now - since
            local.now = (outer, time.thread_time())

    def watch(self, owner: Any, name: str, part: str) -> None:
        """Counts each call of `owner.name` to the part."""
        call: Callable[..., Any] = getattr(owner, name)

        def watched(*args: Any, **named: Any) -> Any:
            with self.of(part):
                return call(*args, **named)

        setattr(owner, name, watched)


def by_part(feed_id: uuid.UUID) -> dict[str, float]:
    """Microseconds a row, from the upload's commit to the feed's end, by part."""
    ledger = Ledger()
    ledger.watch(Client, "send", "HTTP client")
    for name in ("execute", "executemany", "fetchall", "fetchone"):
        ledger.watch(psycopg.Cursor, name, "SQL client")
    for name in ("commit", "rollback"):
        ledger.watch(psycopg.Connection, name, "SQL client")
    for name in ("write_row", "__exit__"):
        ledger.watch(psycopg.Copy, name, "SQL client")
    taken: list[NewLease] = []
    relay.send = taken.extend  # type: ignore[assignment]
    queues = [handler.queue for handler in registry.HANDLERS.values()]
    while Feed.objects.get(id=feed_id).status not in ("completed", "rejected"):
        heartbeats.beat("bench", kind="worker", queues=queues, concurrency=8, processes=2)
        with ledger.of("relay"):
            relay.run_pass()
        while taken:
            lease = taken.pop(0)
            with ledger.of(lease.lane.handler):
                running.run_lease(registry.get(lease.lane.handler), lease.id, str(lease.token))
    total = Feed.objects.get(id=feed_id).total
    costs = {part: seconds * 1e6 / total for part, seconds in ledger.seconds.items()}
    return dict(sorted(costs.items(), key=lambda item: -item[1]))
