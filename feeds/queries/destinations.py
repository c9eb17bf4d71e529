"""Destinations: who may send to which, and how they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q, QuerySet, Sum
from django.http import Http404
from django.utils import timezone

from deliveries.models import Destination
from feeds.models import Feed
from feeds.queries.feeds import Viewer
from feeds.queries.preview import FirstRequest
from feeds.queries.samples import sample_of
from outbox.models import Lane


def visible_destinations(user: Viewer) -> QuerySet[Destination]:
    """Where this person may send to: everywhere for admins, else what is open to all or to their groups."""
    destinations = Destination.objects.select_related("group").order_by("name")
    if getattr(user, "is_staff", False):
        return destinations
    return destinations.filter(Q(group__isnull=True) | Q(group__user=user.pk)).distinct()


@dataclass(frozen=True, slots=True)
class Health:
    """How a destination is, in one word and one sentence."""

    destination: Destination
    state: str  # healthy, held, failing, paused
    why: str = ""
    until: datetime | None = None
    waiting: int = 0  # requests that could be sent now


def health(destinations: Sequence[Destination]) -> list[Health]:
    lanes = Lane.objects.in_bulk([destination.lane_id for destination in destinations])
    waiting = dict(
        Lane.objects.filter(ready__gt=0, parent__in=list(lanes))
        .values_list("parent")
        .annotate(Sum("ready"))
        .order_by()
    )
    return [_health(each, lanes.get(each.lane_id), waiting.get(each.lane_id, 0)) for each in destinations]


def _health(destination: Destination, lane: Lane | None, waiting: int) -> Health:
    if lane is not None and lane.paused:
        return Health(destination, "paused", lane.held_for, waiting=waiting)
    held = lane is not None and lane.held_until is not None and lane.held_until > timezone.now()
    why, until = (lane.held_for, lane.held_until) if lane is not None and held else ("", None)
    if destination.breaker_opened:
        return Health(destination, "failing", why or "It is tried one request at a time.", until, waiting)
    return Health(destination, "held" if held else "healthy", why, until, waiting)


def get_destination(destination_id: int) -> Destination:
    destination = Destination.objects.filter(id=destination_id).first()
    if destination is None:
        raise Http404
    return destination


def sample_request(destination: Destination) -> FirstRequest | None:
    """The first row of the newest feed that was sent there, as a request."""
    feeds = Feed.objects.filter(destination=destination, total__gt=0).select_related("destination")
    feed = feeds.order_by("-id").first()
    return next(iter(sample_of(feed).requests(feed.mapping)), None) if feed else None
