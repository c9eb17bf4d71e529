"""Rows on which it is shown what a mapping does: a feed's first ones, or what a person pasted."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from deliveries.models import Destination
from feeds.mapping import Mapping as ParsedMapping
from feeds.models import Feed
from feeds.queries.preview import FirstRequest, first_records, request_of
from feeds.reading import Record

LOOKED_AT = 50  # rows of a feed among which readable ones are looked for
SHOWN = 3
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
        return [request_of(bound, record, self.destination) for record in self.records[:SHOWN]]


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
