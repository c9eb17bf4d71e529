"""The outbox's own events."""

from dataclasses import dataclass

from outbox.events import Event


@dataclass(frozen=True, kw_only=True)
class HandlingParked(Event):
    """A handling gave up by our fault and waits for a person."""

    handling_id: int
    handler: str
    exception: str
    place: str
    message: str


@dataclass(frozen=True, kw_only=True)
class OutboxChanged(Event):
    """Somebody had parked work run again, or switched a handler, elsewhere than in the admin."""

    what: str  # in the past tense
    detail: str
    user_id: int | None = None  # None: on the command line
