"""What can be done with destinations, groups and deliveries. Commands run in the caller's transaction."""

from deliveries.commands.deliveries import (
    Parcel,
    cancel_deliveries,
    create_deliveries,
    delete_deliveries,
    give_up_deliveries,
    reopen_deliveries,
    revise_delivery,
)
from deliveries.commands.destinations import (
    BOUNDS,
    EXECUTE,
    add_destination,
    change_destination,
    get_destination,
    pause_destination,
    problem_with_bounds,
    resume_destination,
    tell_breaker,
)
from deliveries.commands.groups import drain_group, open_group, pause_group, resume_group

__all__ = [
    "BOUNDS",
    "EXECUTE",
    "Parcel",
    "add_destination",
    "cancel_deliveries",
    "change_destination",
    "create_deliveries",
    "delete_deliveries",
    "drain_group",
    "get_destination",
    "give_up_deliveries",
    "open_group",
    "pause_destination",
    "pause_group",
    "problem_with_bounds",
    "reopen_deliveries",
    "resume_destination",
    "resume_group",
    "revise_delivery",
    "tell_breaker",
]
