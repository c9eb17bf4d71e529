"""Why nothing, or less than expected, is sent to a destination."""

from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from deliveries.models import Destination
from outbox.models import Lane


@dataclass(frozen=True, slots=True)
class Wait:
    """Why nothing, or less than expected, is being sent."""

    sentence: str
    until: datetime | None = None


def hold(destination: Destination) -> Wait | None:
    """What keeps rows from going there; None if nothing does."""
    lane = Lane.objects.get(id=destination.lane_id)
    name = destination.name
    if lane.paused:
        why = f": {lane.held_for.rstrip('.')}." if lane.held_for else "."
        return Wait(f"The destination {name} is paused{why} Nothing goes there before it is resumed.")
    if lane.held_until and lane.held_until > timezone.now():
        return Wait(f"The destination {name} is held: {lane.held_for}", lane.held_until)
    if destination.breaker_opened:
        return Wait(
            f"The destination {name} keeps failing. One row at a time tries whether it works again; "
            f"the others go once one of them has gone through."
        )
    return None
