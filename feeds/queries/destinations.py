"""Destinations: who may send to which."""

from django.db.models import Q, QuerySet
from django.http import Http404

from deliveries.models import Destination
from feeds.models import Feed
from feeds.queries.feeds import Viewer
from feeds.queries.health import SECRETS
from feeds.queries.pages import Page, cut

DESTINATIONS_A_PAGE = 50


def visible_destinations(user: Viewer) -> QuerySet[Destination]:
    """Where this person may send to: everywhere for admins, else what is open to all or to their groups."""
    destinations = Destination.objects.select_related("group").order_by("name")
    if getattr(user, "is_staff", False):
        return destinations
    return destinations.filter(Q(group__isnull=True) | Q(group__user=user.pk)).distinct()


def destinations_page(user: Viewer, *, after: str = "") -> Page[Destination]:
    """By name, without the secrets."""
    found = visible_destinations(user).defer(*SECRETS).filter(name__gt=after)
    return cut(found[: DESTINATIONS_A_PAGE + 1], DESTINATIONS_A_PAGE, "name")


def may_send(user: Viewer, feed: Feed) -> bool:
    """Who has left the group of its destination still sees their own feed, and sends nothing of it."""
    return visible_destinations(user).filter(id=feed.destination_id).exists()


def get_destination(destination_id: int) -> Destination:
    destination = Destination.objects.filter(id=destination_id).first()
    if destination is None:
        raise Http404
    return destination
