"""Handlers of the tests' own, and a broker in the test's hand: it decides what arrives, when, how often."""

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from celery import current_app
from django.db import connections, transaction

from outbox import heartbeats, registry, relay, running, sql, subscriptions
from outbox.effects import EffectBatch
from outbox.events import Event
from outbox.models import Error, Handling, Heartbeat, Kind, Lane, Lease, Subscription
from outbox.publishing import publish


@dataclass(frozen=True, kw_only=True)
class Noted(Event):
    """An event of the tests."""

    text: str = ""


@dataclass(frozen=True, kw_only=True)
class Echoed(Event):
    """What handlers of the tests publish; nobody receives it unless a test says so."""

    text: str = ""


class Killed(BaseException):
    """SIGKILL, as far as a test can have it inside its own process: nothing catches it."""


@dataclass
class Broker:
    """Messages that the relay sent and no worker has taken yet: (handler, lease id, token)."""

    messages: list[tuple[str, int, str]] = field(default_factory=list)
    refuses: bool = False  # takes no message, and says so
    pretends: bool = False  # takes the message, and says that it did not

    def take(self, name: str, args: tuple[int, str]) -> None:
        if self.refuses:
            raise ConnectionError("connection refused")
        self.messages.append((name, *args))
        if self.pretends:
            raise TimeoutError("timed out")

    def deliver(self, index: int = 0, *, keep: bool = False) -> None:
        name, lease_id, token = self.messages[index] if keep else self.messages.pop(index)
        running.run_lease(registry.get(name), lease_id, token)

    def deliver_all(self) -> None:
        while self.messages:
            self.deliver()

    def deliver_killed(self, index: int = 0) -> None:
        """The worker dies on the way."""
        with pytest.raises(Killed):
            self.deliver(index)

    def settle(self) -> None:
        """Passes and deliveries until nothing moves."""
        while relay.run_pass() or self.messages:
            self.deliver_all()


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    # A test may take longer than a heartbeat keeps.
    monkeypatch.setattr(heartbeats, "FRESH", 3600.0)
    broker = Broker()
    monkeypatch.setattr(
        "celery.app.task.Task.apply_async", lambda task, args, **options: broker.take(task.name, args)
    )
    monkeypatch.setattr(relay, "_broker_rest", 0.0)
    monkeypatch.setattr(relay, "_broker_again", 0.0)
    return broker


@contextmanager
def no_other_handlers() -> Iterator[None]:
    """Only those that a test registers, in this process and among the stored subscriptions."""
    own = dict(registry.HANDLERS)
    registry.HANDLERS.clear()
    Subscription.objects.all().delete()
    try:
        yield
    finally:
        for name in registry.HANDLERS:
            current_app.tasks.pop(name, None)
        registry.HANDLERS.clear()
        registry.HANDLERS.update(own)


@pytest.fixture
def add_handler(db: None) -> Iterator[Callable[..., Callable[..., Any]]]:
    """`registry.handler` whose registrations end with the test; workers of its queue live."""

    def add(name: str, **options: Any) -> Callable[[Any], Any]:
        options.setdefault("on", Noted)

        def register(call: Any) -> Any:
            registry.handler(name, **options)(call)
            subscriptions.subscribe_all()
            crew()
            return call

        return register

    with no_other_handlers():
        yield add


class Acts(EffectBatch[Noted, str]):
    """Acts whose ways a test sets on a subclass."""

    slow = 0.0
    acted: list[str]
    recorded: list[list[str]]

    def load(self, events):
        pass

    def is_wanted(self, event):
        return event.text != "unwanted"

    def act(self, event):
        self.acted.append(event.text)
        if self.slow:
            time.sleep(self.slow)
        if event.text == "bad":
            raise ValueError("no")
        return event.text

    def record(self, acts):
        for event, result in acts:
            Error.objects.create(handler="did", exception=result, place=str(event.id))
        self.recorded.append([result for _, result in acts])


@pytest.fixture
def add_acts(add_handler):
    def add(base: type = Acts, *, batch: int = 200, slots: int = 8, **ways: Any) -> Any:
        kind = type("Tested", (base,), {"acted": [], "recorded": [], **ways})
        add_handler("t.acts", kind=Kind.EFFECT, batch=batch, slots=slots, in_lane=True)(kind)
        return kind

    return add


def crew(*, concurrency: int = 8, processes: int = 2, name: str = "test") -> None:
    """Workers that take from every queue are alive, as many as that."""
    Heartbeat.objects.filter(name=name).delete()
    heartbeats.beat(
        name, kind="worker", queues=list(registry.HANDLERS), concurrency=concurrency, processes=processes
    )


def note(text: str = "", **envelope: Any) -> Noted:
    return Noted(correlation_id=envelope.pop("correlation_id", None) or uuid.uuid4(), text=text, **envelope)


def publish_notes(*texts: str, **envelope: Any) -> list[int]:
    with transaction.atomic():
        return publish(*[note(text, **envelope) for text in texts])


def states(**which: Any) -> dict[str, int]:
    found: dict[str, int] = {}
    for state in Handling.objects.filter(**which).values_list("state", flat=True):
        found[state] = found.get(state, 0) + 1
    return found


def expire(*lease_ids: int) -> None:
    """The time of these leases, or of all, has passed."""
    past = sql.database_now() - timedelta(seconds=1)
    leases = Lease.objects.filter(id__in=lease_ids) if lease_ids else Lease.objects.all()
    leases.update(until=past)


def due_now() -> None:
    """The time of all that waits has come."""
    Handling.objects.waiting().update(due_at=sql.database_now() - timedelta(seconds=1))


def counted_ready() -> dict[int, int]:
    """By lane: the count that the relay keeps, less the handlings that are ready. Empty when it is exact."""
    off = {lane.id: lane.ready for lane in Lane.objects.all()}
    for lane_id in Handling.objects.filter(state="ready").values_list("lane_id", flat=True):
        off[lane_id] = off.get(lane_id, 0) - 1
    return {lane_id: count for lane_id, count in off.items() if count}


def did(event: Any) -> None:
    """A change in the database that can be looked for."""
    Error.objects.create(handler="did", exception=event.text, place="")


def made() -> list[str]:
    """The texts of the events for which it was made."""
    return sorted(Error.objects.filter(handler="did").values_list("exception", flat=True))


def until(condition: Callable[[], Any]) -> None:
    """Waits for what another thread brings about."""
    ends = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < ends, "Waited 10 s in vain."
        time.sleep(0.005)


@contextmanager
def other_transaction() -> Iterator[Any]:
    """A transaction beside the test's own: a cursor, whose locks last until the end of the block."""
    other = connections.create_connection("default")
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            yield cursor
    finally:
        other.rollback()
        other.close()
