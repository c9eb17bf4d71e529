"""Rows on which it is shown what a mapping does: a feed's first ones, or what a person pasted."""

import csv
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from django.http import Http404

from deliveries.models import Destination
from feeds.mapping import Mapping as ParsedMapping
from feeds.models import Feed
from feeds.queries.destinations import visible_destinations
from feeds.queries.feeds import Viewer, get_feed, visible_feeds
from feeds.queries.preview import FirstRequest, first_records, first_request
from feeds.reading import Record

LOOKED_AT = 50  # rows of a feed among which readable ones are looked for
SHOWN = 3
# To show a mapping on; an older one is opened from its own page, and is offered too then.
FEEDS_OFFERED = 20
LONGEST = 20_000  # characters that are pasted
DELIMITERS = ",;\t|"


@dataclass(frozen=True, slots=True)
class Sample:
    """A header, and some rows under it."""

    columns: Sequence[str]
    records: Sequence[Record]
    destination: Destination
    aliases: Mapping[str, str] = field(default_factory=dict)

    def requests(self, document: Any) -> list[FirstRequest]:
        """What the first rows become; raises MappingError when the mapping does not fit them."""
        method = self.destination.method
        bound = ParsedMapping.parse(document).bind(self.columns, default_method=method, aliases=self.aliases)
        return [first_request(bound, record, self.destination) for record in self.records[:SHOWN]]


class Choice:
    """What a person shows a mapping on: what was pasted; else the feed that was chosen, or the newest one,
    of an existing mapping the newest that is sent with it."""

    def __init__(self, user: Viewer, *, feed: str = "", pasted: str = "", mapping: str = "") -> None:
        self.pasted = pasted
        self._mapping = mapping
        self._user = user
        self._feed = feed

    @cached_property
    def feeds(self) -> Sequence[Feed]:
        """The newest feeds with rows, to choose from, and the one that was chosen."""
        newest = visible_feeds(self._user).filter(total__gt=0).order_by("-id")[:FEEDS_OFFERED]
        if chosen := self._chosen:
            return [chosen, *(feed for feed in newest if feed != chosen)]
        return sorted(newest, key=lambda feed: not self._fits(feed))

    def _fits(self, feed: Feed) -> bool:
        return bool(self._mapping) and feed.mapping_base == self._mapping and not feed.missing

    @cached_property
    def _chosen(self) -> Feed | None:
        try:
            return get_feed(self._user, uuid.UUID(self._feed))
        except (ValueError, Http404):
            return None

    @property
    def feed(self) -> Feed | None:
        return next(iter(self.feeds), None)

    @cached_property
    def sample(self) -> Sample | None:
        if text := self.pasted.strip():
            return pasted_sample(text, visible_destinations(self._user).first())
        return sample_of(self.feed) if self.feed else None

    @property
    def columns(self) -> list[str]:
        """The names of its columns, each once."""
        return list(dict.fromkeys(self.sample.columns)) if self.sample else []


def sample_of(feed: Feed) -> Sample:
    """The first rows of a feed's file; none when it was cleared away."""
    records = [record for record in first_records(feed, LOOKED_AT) if not record.error]
    return Sample(feed.columns, records, feed.destination, feed.aliases)


def pasted_sample(text: str, destination: Destination | None) -> Sample | None:
    """A header line with, maybe, rows under it; None when there is no header in it."""
    lines = [line for line in text[:LONGEST].splitlines() if line.strip()]
    if not lines:
        return None
    delimiter = max(DELIMITERS, key=lines[0].count)
    header, *rows = csv.reader(lines, delimiter=delimiter)
    columns = [name.strip() for name in header]
    whole = [tuple(row) for row in rows if len(row) == len(columns)]
    records = [Record(number, number + 1, cells, "", "") for number, cells in enumerate(whole, start=1)]
    return Sample(columns, records, destination or Destination(url="https://example.com", method="POST"))


def sample_request(destination: Destination) -> FirstRequest | None:
    """The first row of the newest feed that was sent there, as a request."""
    feeds = Feed.objects.filter(destination=destination, total__gt=0).select_related("destination")
    feed = feeds.order_by("-id").first()
    return next(iter(sample_of(feed).requests(feed.mapping)), None) if feed else None
