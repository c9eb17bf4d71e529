"""Which feeds a person sees."""

import uuid

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db.models import Q, QuerySet
from django.http import Http404

from deliveries.models import Destination
from feeds.folding import contains
from feeds.models import Feed, FeedStatus
from outbox.paging import Order, Page, read

FEEDS_A_PAGE = 25

Viewer = AbstractBaseUser | AnonymousUser


def visible_feeds(user: Viewer) -> QuerySet[Feed]:
    """The feeds that this person may see: their own, and those to their groups' destinations; admins all."""
    feeds = Feed.objects.select_related("destination", "owner")
    if getattr(user, "is_staff", False):
        return feeds
    theirs = Destination.objects.filter(group__user=user.pk).values("id")
    return feeds.filter(Q(owner_id=user.pk) | Q(destination__in=theirs))


def get_feed(user: Viewer, feed_id: uuid.UUID) -> Feed:
    """Raises Http404 for a feed that is another's just as for one that is not there."""
    feed = visible_feeds(user).filter(id=feed_id).first()
    if feed is None:
        raise Http404
    return feed


def feeds_page(user: Viewer, *, search: str = "", status: str = "", place: str = "") -> Page[Feed]:
    """The newest first; an id tells the time of its making."""
    among = feeds = visible_feeds(user)
    if search:
        feeds = feeds.filter(contains("name", search))
    if status in FeedStatus.values:
        feeds = feeds.filter(status=status)
    order = Order(("id",), descending=True)
    return read(feeds, order, place, size=FEEDS_A_PAGE, among=among if search or status else None)
