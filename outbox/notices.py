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
