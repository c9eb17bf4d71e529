"""Why nothing, or less than expected, is sent to a destination."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q
from django.utils import timezone

from deliveries.models import Destination
from feeds.models import Feed, FeedStatus
from outbox.models import Lane


@dataclass(frozen=True, slots=True)
class Wait:
    """Why nothing, or less than expected, is being sent."""

    sentence: str
    until: datetime | None = None


def closed_destinations(feeds: Iterable[Feed]) -> set[int]:
    """Of feeds that are on their way: to which destinations nothing goes just now."""
    lanes = {
        feed.destination.lane_id: feed.destination_id
        for feed in feeds
        if feed.status == FeedStatus.DELIVERING
    }
    closed = Q(paused=True) | Q(held_until__gt=timezone.now())
    found = Lane.objects.filter(closed, id__in=lanes).values_list("id", flat=True) if lanes else ()
    return {lanes[lane_id] for lane_id in found}


def hold(destination: Destination) -> Wait | None:
    """What keeps rows from going there; None if nothing does."""
    lane = Lane.objects.get(id=destination.lane_id)
    name = destination.name
    if lane.paused:
        why = f": {lane.held_for.rstrip('.')}." if lane.held_for else "."
        return Wait(f"The destination {name} is paused{why} Nothing goes there before it is resumed.")
    if lane.held_until and lane.held_until > timezone.now():
        return Wait(f"The destination {name} is held. {lane.held_for}", lane.held_until)
    if destination.breaker_opened:
        return Wait(
            f"The destination {name} keeps failing. One row at a time tries whether it works again; "
            f"the others go once one of them has gone through."
        )
    return None
