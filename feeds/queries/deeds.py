"""Who did what: on the page of what it was done with, and all of it on the overview."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from heapq import merge
from itertools import islice

from django.contrib.admin.models import ADDITION, CHANGE, LogEntry
from django.db.models import QuerySet
from django.urls import reverse

from deliveries.models import Destination
from feeds.deeds import UPLOADED
from feeds.models import Deed, Doer, Feed
from outbox.paging import Order, Page, read

DEEDS_A_PAGE = 20
_TOP = 10**18 - 1  # above every id, and of no more digits than a place may have
# What people do with these in the admin is a deed too, and told as one.
HAVE_DEEDS = ("feeds", "deliveries")
_VERBS = {ADDITION: "added", CHANGE: "changed"}


@dataclass(frozen=True, slots=True)
class Done:
    """One thing that was done, with the page of what it was done with."""

    who: str
    what: str
    at: datetime
    name: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class DonePage:
    """Some of all that people did, the newest first, with the places of the pages beside it."""

    items: Sequence[Done]
    previous: str
    next: str
    is_first: bool


def deeds_of_feed(feed: Feed, place: str = "") -> Page[Deed]:
    """The last of a feed's is always who uploaded it; feeds of earlier releases have no deed of it."""
    page = _page(feed.deeds.all(), place)
    if page.next or (page.items and page.items[-1].what == UPLOADED):
        return page
    return replace(page, items=[*page.items, _unrecorded_upload(feed)])


def upload_of(feed: Feed) -> Deed:
    first = feed.deeds.select_related("user").order_by("id").first()
    return first if first is not None and first.what == UPLOADED else _unrecorded_upload(feed)


def _unrecorded_upload(feed: Feed) -> Deed:
    by = Doer.PERSON if feed.owner else Doer.COMMAND_LINE
    return Deed(feed=feed, user=feed.owner, by=by, what=UPLOADED, at=feed.created_at)


def deeds_of_destination(destination: Destination, place: str = "") -> Page[Deed]:
    return _page(Deed.objects.filter(destination=destination), place)


def deeds_of_mapping(name: str, place: str = "") -> Page[Deed]:
    return _page(Deed.objects.filter(mapping_name=name).exclude(mapping_name=""), place)


def _page(deeds: QuerySet[Deed], place: str) -> Page[Deed]:
    return read(deeds.select_related("user"), Order(("id",), descending=True), place, size=DEEDS_A_PAGE)


def recent_deeds(place: str = "") -> DonePage:
    """All deeds, with what was done in the admin to people, groups and the outbox.

    Two lists, each in the order of its ids, are shown as one in the order of time. A place names two ids:
    from which deed and from which entry on everything is on the pages before it.
    """
    direction, _, keys = place.partition(":")
    cut = [int(key) for key in keys.split(":") if key.isdecimal() and len(key) < 19]
    if direction not in ("after", "before") or len(cut) != 2:
        direction, cut = "", [_TOP, _TOP]
    backwards = direction == "before"
    found = _merged(cut, backwards)
    if backwards and not found:
        return recent_deeds()
    more = len(found) > DEEDS_A_PAGE
    del found[DEEDS_A_PAGE:]
    if backwards:
        found.reverse()
    above, below = _cuts(found, cut, backwards)
    return DonePage(
        [_of_deed(each) if isinstance(each, Deed) else _of_entry(each) for each in found],
        previous=f"before:{above}" if direction and (more or not backwards) else "",
        next=f"after:{below}" if more or backwards else "",
        is_first=not direction,
    )


def _merged(cut: Sequence[int], backwards: bool) -> list[Deed | LogEntry]:
    """The nearest of both lists on one side of the cut, one more than a page has, in the order of reading."""
    deeds = Deed.objects.select_related("user", "feed", "destination").only(
        *("by", "what", "detail", "at", "mapping_name", "user__username", "feed__name", "destination__name")
    )
    entries = LogEntry.objects.select_related("user", "content_type")
    entries = entries.exclude(content_type__app_label__in=HAVE_DEEDS)
    side, order = ("id__gte", "id") if backwards else ("id__lt", "-id")
    nearest: tuple[list[Deed | LogEntry], ...] = (
        list(deeds.filter(**{side: cut[0]}).order_by(order)[: DEEDS_A_PAGE + 1]),
        list(entries.filter(**{side: cut[1]}).order_by(order)[: DEEDS_A_PAGE + 1]),
    )
    return list(islice(merge(*nearest, key=_time, reverse=not backwards), DEEDS_A_PAGE + 1))


def _time(each: Deed | LogEntry) -> datetime:
    return each.at if isinstance(each, Deed) else each.action_time


def _cuts(found: Sequence[Deed | LogEntry], cut: Sequence[int], backwards: bool) -> tuple[str, str]:
    """The cuts above and below what is shown. Of a list of which nothing is shown, it stays where it was."""
    above, below = [], []
    for kind, at in ((Deed, cut[0]), (LogEntry, cut[1])):
        ids = [each.id for each in found if isinstance(each, kind)]
        above.append(max(ids) + 1 if ids and backwards else at)
        below.append(min(ids) if ids and not backwards else at)
    return ":".join(map(str, above)), ":".join(map(str, below))


def _of_deed(deed: Deed) -> Done:
    name, url = _place(deed)
    return Done(deed.who, f"{deed.what} {deed.detail}".strip(), deed.at, name, url)


def _place(deed: Deed) -> tuple[str, str]:
    if deed.feed is not None:
        return deed.feed.name, reverse("feeds:feed", args=[deed.feed.id])
    if deed.destination is not None:
        return deed.destination.name, reverse("feeds:destination", args=[deed.destination.id])
    if deed.mapping_name:
        return deed.mapping_name, reverse("feeds:mapping", args=[deed.mapping_name])
    return "", ""


def _of_entry(entry: LogEntry) -> Done:
    kind = entry.content_type.name if entry.content_type else "record"
    told = "" if entry.action_flag == ADDITION else entry.get_change_message().rstrip(".")
    what = f"{_VERBS.get(entry.action_flag, 'deleted')} the {kind} {entry.object_repr}"
    return Done(entry.user.get_username(), f"{what}: {told}" if told else what, entry.action_time)
