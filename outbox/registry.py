"""Handlers: their declaration, and their Celery tasks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from celery import Task, shared_task
from django.utils.module_loading import autodiscover_modules

from outbox.errors import UnknownHandler
from outbox.events import Event
from outbox.models import Kind
from outbox.retries import RetryPolicy, exponential

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Handler:
    """What one handler declared. `docs/how-to/handler.md` shows each form."""

    name: str  # stable: stored in subscriptions, lanes and leases
    call: Callable[..., Any]  # a function, or a subclass of EffectBatch
    on: tuple[type[Event], ...]
    kind: Kind
    batch: int  # handlings in one lease, at most
    takes_list: bool  # the function takes all events of the batch at once
    in_lane: bool  # works in the event's lane instead of one of its own
    when_due: bool  # not before the event's due_at
    slots: int  # threads that one lease of an EffectBatch may use, at most
    hard_limit: float  # seconds after which a running lease ends whatever its worker says
    retry: RetryPolicy
    tells_when_parked: bool  # off for those who would tell of it
    task: Task[..., None] = field(compare=False)

    @property
    def queue(self) -> str:
        return self.name


HANDLERS: dict[str, Handler] = {}


def handler(
    name: str,
    *,
    on: type[Event] | Sequence[type[Event]],
    kind: Kind = Kind.TRANSACTIONAL,
    batch: int | None = None,
    in_lane: bool = False,
    when_due: bool = False,
    slots: int = 1,
    hard_limit: float = 60.0,
    retry: RetryPolicy | None = None,
    tells_when_parked: bool = True,
) -> Callable[[F], F]:
    """Registers the decorated function as a handler of the given event types.

    Without `batch` the function takes one event; with it, a list of at most `batch` events. An effect
    that takes more than one is a subclass of EffectBatch.
    """
    types = tuple(on) if isinstance(on, Sequence) else (on,)

    def register(call: F) -> F:
        _check_form(name, call, acts_in_batches=kind is Kind.EFFECT and batch is not None)
        HANDLERS[name] = Handler(
            name=name,
            call=call,
            on=types,
            kind=kind,
            # Without a list form, quick database work still shares a lease and a transaction.
            batch=batch or (1 if kind is Kind.EFFECT else 50),
            takes_list=batch is not None,
            in_lane=in_lane,
            when_due=when_due,
            slots=slots,
            hard_limit=hard_limit,
            retry=retry or exponential(),
            tells_when_parked=tells_when_parked,
            task=_task(name),
        )
        return call

    return register


def _check_form(name: str, call: object, *, acts_in_batches: bool) -> None:
    from outbox.effects import EffectBatch

    if acts_in_batches != (isinstance(call, type) and issubclass(call, EffectBatch)):
        raise TypeError(f"{name}: a batch of effects, and nothing else, is an EffectBatch.")


def _task(name: str) -> Task[..., None]:
    from outbox.running import run_lease

    @shared_task(name=name, ignore_result=True)
    def run(lease_id: int, token: str) -> None:
        run_lease(HANDLERS[name], lease_id, token)

    return run


def get(name: str) -> Handler:
    """The handler of that name; raises UnknownHandler with the names there are."""
    try:
        return HANDLERS[name]
    except KeyError:
        raise UnknownHandler(
            f"There is no handler {name}; known are {', '.join(sorted(HANDLERS))}."
        ) from None


def load() -> None:
    """Imports every app's `handlers.py`, which registers what stands in it."""
    autodiscover_modules("handlers")
