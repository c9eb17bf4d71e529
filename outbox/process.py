"""What this process knows of itself: whether it stops, and the lease that its thread works under."""

import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from outbox.leases import Claim

# Set on a warm stop: running batches give back what they have not started.
stopping = threading.Event()

current_claim: "ContextVar[Claim | None]" = ContextVar("current_claim", default=None)


def progress() -> None:
    """A long act calls this as it gets on; its lease is renewed when it needs to be.

    Raises LeaseLost when the lease is another's by now: the act must stop and write nothing.
    """
    from outbox.leases import renew

    claim = current_claim.get()
    if claim is not None:
        renew(claim)
