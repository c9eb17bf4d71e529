"""Destinations: who may send to which."""

from django.db.models import Q, QuerySet
from django.http import Http404

from deliveries.models import Destination
from feeds.models import Feed
from feeds.queries.feeds import Viewer
from feeds.queries.preview import FirstRequest
from feeds.queries.samples import sample_of


def visible_destinations(user: Viewer) -> QuerySet[Destination]:
    """Where this person may send to: everywhere for admins, else what is open to all or to their groups."""
    destinations = Destination.objects.select_related("group").order_by("name")
    if getattr(user, "is_staff", False):
        return destinations
    return destinations.filter(Q(group__isnull=True) | Q(group__user=user.pk)).distinct()


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
