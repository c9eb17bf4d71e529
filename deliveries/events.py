"""The facts of deliveries. `correlation_id` is the delivery's id, `conversation_id` its group's."""

from dataclasses import dataclass, field
from typing import Any

from outbox.events import Event


@dataclass(frozen=True, kw_only=True)
class DeliveryCreated(Event):
    """A payload is to be sent."""


@dataclass(frozen=True, kw_only=True)
class DeliveryReopened(Event):
    """A person wants a failed delivery sent again; `occurrence` is the attempt that it had reached."""

    number: int
    seq: int


@dataclass(frozen=True, kw_only=True)
class DeliveryScheduled(Event):
    """Attempt `occurrence` is to be made, not before `due_at`."""


@dataclass(frozen=True, kw_only=True)
class Exchanged(Event):
    """Attempt `occurrence` was made; what came of it."""

    number: int
    destination_id: int = 0  # 0: stored before it was told
    revision: int = 1
    sends: int = 1
    http_status: int | None = None
    code: str = ""
    message: str = ""
    seconds: float = 0.0
    response_headers: dict[str, Any] = field(default_factory=dict)
    response_body: str = ""


@dataclass(frozen=True, kw_only=True)
class DeliverySucceeded(Exchanged):
    """The third party has it."""

    seq: int


@dataclass(frozen=True, kw_only=True)
class DeliveryAttemptFailed(Exchanged):
    """The attempt failed; `kind` says what follows (deliveries.answers.Kind)."""

    kind: str
    counted: bool = True
    outcome_unknown: bool = False
    wait: float | None = None  # seconds that the third party, or our hold, asks for


@dataclass(frozen=True, kw_only=True)
class DeliveryFailed(Event):
    """Given up, by the third party's fault."""

    number: int
    seq: int
    http_status: int | None = None
    code: str = ""
    message: str = ""


@dataclass(frozen=True, kw_only=True)
class DeliveryCancelled(Event):
    """Stopped by a person."""

    number: int
    seq: int
    code: str = "cancelled"
    message: str = ""


@dataclass(frozen=True, kw_only=True)
class DestinationPaused(Event):
    """Nothing is sent there until somebody resumes it."""

    destination_id: int
    name: str
    reason: str
    by_person: bool = False


@dataclass(frozen=True, kw_only=True)
class DestinationResumed(Event):
    """Sending goes on."""

    destination_id: int
    name: str


@dataclass(frozen=True, kw_only=True)
class BreakerOpened(Event):
    """The destination is held: from now on one request at a time finds out whether it works again."""

    destination_id: int
    name: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class BreakerClosed(Event):
    """A request went through: the destination is held no more."""

    destination_id: int
    name: str
