"""Who did what: on the page of what it was done with, and all of it on the overview."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.contrib.admin.models import ADDITION, CHANGE, LogEntry
from django.db.models import QuerySet
from django.urls import reverse

from deliveries.models import Destination
from feeds.models import Deed, Feed

SHOWN = 20
# What people do with these in the admin is a deed too, and told as one.
HAVE_DEEDS = ("feeds", "deliveries")
_VERBS = {ADDITION: "added", CHANGE: "changed"}


@dataclass(frozen=True, slots=True)
class Done:
    """One thing that a person did, with the page of what it was done with."""

    who: str
    what: str
    at: datetime
    name: str = ""
    url: str = ""


def deeds_of_feed(feed: Feed) -> Sequence[Deed]:
    return _newest(feed.deeds.all())


def deeds_of_destination(destination: Destination) -> Sequence[Deed]:
    return _newest(Deed.objects.filter(destination=destination))


def deeds_of_mapping(name: str) -> Sequence[Deed]:
    return _newest(Deed.objects.filter(mapping_name=name).exclude(mapping_name=""))


def _newest(deeds: QuerySet[Deed]) -> list[Deed]:
    return list(deeds.select_related("user").order_by("-id")[:SHOWN])


def recent_deeds() -> list[Done]:
    """The newest of all, with what was done in the admin to people, groups and the outbox."""
    deeds = Deed.objects.select_related("user", "feed", "destination").only(
        *("what", "detail", "at", "mapping_name", "user__username", "feed__name", "destination__name")
    )
    entries = LogEntry.objects.select_related("user", "content_type")
    entries = entries.exclude(content_type__app_label__in=HAVE_DEEDS)
    done = [_of_deed(deed) for deed in deeds.order_by("-id")[:SHOWN]]
    done += [_of_entry(entry) for entry in entries.order_by("-id")[:SHOWN]]
    return sorted(done, key=lambda each: each.at, reverse=True)[:SHOWN]


def _of_deed(deed: Deed) -> Done:
    name, url = _place(deed)
    who = deed.user.get_username() if deed.user else "somebody"
    return Done(who, f"{deed.what} {deed.detail}".strip(), deed.at, name, url)


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
