"""Destinations: who may send to which, and who looks after which."""

import uuid

from django.contrib.auth.models import Group, PermissionsMixin
from django.db.models import Q, QuerySet
from django.http import Http404

from deliveries.models import Destination
from feeds.models import Feed, SentTest
from feeds.queries.feeds import Viewer
from feeds.queries.health import SECRETS
from outbox.paging import Order, Page, read

DESTINATIONS_A_PAGE = 50
ADD, CHANGE = "deliveries.add_destination", "deliveries.change_destination"


def visible_destinations(user: Viewer) -> QuerySet[Destination]:
    """Where this person may send to: everywhere for admins, else what is open to all or to their groups."""
    destinations = Destination.objects.select_related("group").order_by("name")
    if getattr(user, "is_staff", False):
        return destinations
    return destinations.filter(Q(group__isnull=True) | Q(group__user=user.pk)).distinct()


def destinations_page(user: Viewer, place: str = "") -> Page[Destination]:
    """By name, without the secrets."""
    found = visible_destinations(user).defer(*SECRETS)
    return read(found, Order(("name",)), place, size=DESTINATIONS_A_PAGE)


def may_send(user: Viewer, feed: Feed) -> bool:
    """Who has left the group of its destination still sees their own feed, and sends nothing of it."""
    return visible_destinations(user).filter(id=feed.destination_id).exists()


def is_allowed(user: Viewer, permission: str) -> bool:
    """Admins may do all; others what they, or a group of theirs, were given in the administration."""
    if getattr(user, "is_staff", False):
        return True
    return isinstance(user, PermissionsMixin) and user.is_active and user.has_perm(permission)


def groups_to_choose(user: Viewer) -> QuerySet[Group] | None:
    """The groups that this person may give a destination to; None for admins, who also make some for all."""
    return None if getattr(user, "is_staff", False) else Group.objects.filter(user=user.pk).order_by("name")


def may_add(user: Viewer) -> bool:
    groups = groups_to_choose(user)
    return is_allowed(user, ADD) and (groups is None or groups.exists())


def kept_destinations(user: Viewer) -> QuerySet[Destination]:
    """Those that this person looks after: all for admins, those of their groups for who may change some."""
    destinations = Destination.objects.all()
    if getattr(user, "is_staff", False):
        return destinations
    return destinations.filter(group__user=user.pk) if is_allowed(user, CHANGE) else destinations.none()


def get_destination(user: Viewer, destination_id: int) -> Destination:
    """One that this person looks after. Raises Http404 for another's just as for one that is not there."""
    destination = kept_destinations(user).filter(id=destination_id).first()
    if destination is None:
        raise Http404
    return destination


def keeps(user: Viewer, feed: Feed) -> bool:
    """Whether this person looks after the destination of the feed."""
    if feed.destination.group_id is None:  # an admin's, then
        return bool(getattr(user, "is_staff", False))
    return kept_destinations(user).filter(id=feed.destination_id).exists()


def sent_test(destination: Destination, key: str) -> SentTest | None:
    """The test send of that ticket, as an address names it."""
    try:
        ticket = uuid.UUID(key)
    except ValueError:
        return None
    return SentTest.objects.filter(destination=destination, ticket=ticket).first()
