"""Columns that a mapping names and a file lacks, and what people said of such before."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from feeds.mapping import Columns, Mapping, fold
from feeds.models import Feed
from feeds.queries.preview import DELIMITERS, first_records
from feeds.reading import Dialect

LIKELY = 0.6  # of 1: from this likeness on, a column is proposed
SAID = (",", ";", "\t", "|")  # delimiters that people can choose


@dataclass(frozen=True, slots=True)
class Missing:
    """A column that a mapping names, and the file's columns that it may be."""

    name: str
    choices: Sequence[str]  # the file's unused columns, the most similar first
    likely: str  # the one that is proposed, or ""


@dataclass(frozen=True, slots=True)
class WholeLine:
    """A line of a file that was read as one cell, though it looks like several."""

    text: str
    delimiter: str  # that probably stands between them

    @property
    def delimiters(self) -> str:
        return f"{DELIMITERS[self.delimiter]}s"


def whole_line(feed: Feed) -> WholeLine | None:
    """Why a file with one column lacks others: the delimiter is wrong, as its first line shows."""
    if not feed.missing or len(feed.columns) != 1:
        return None
    dialect = Dialect.from_json(feed.dialect)
    text = feed.columns[0]
    if not dialect.has_header:
        text = next((record.cells[0] for record in first_records(feed, 1) if record.cells), "")
    times = {delimiter: text.count(delimiter) for delimiter in SAID if delimiter != dialect.delimiter}
    likely = max(times, key=lambda delimiter: times[delimiter])
    return WholeLine(text, likely) if times[likely] else None


def missing_columns(feed: Feed) -> list[Missing]:
    """What a person is asked before the feed can be sent."""
    if not feed.missing:
        return []
    header = Columns(feed.columns)
    named = Mapping.parse(feed.mapping).columns
    used = {header.index(name) for name in named if not header.missing([name])}
    used |= {header.index(found) for found in feed.aliases.values()}
    unused = [name for index, name in enumerate(feed.columns) if index not in used]
    return [_missing(name, unused) for name in feed.missing]


def _missing(name: str, unused: Sequence[str]) -> Missing:
    likeness = {each: _likeness(fold(name), fold(each)) for each in unused}
    choices = sorted(unused, key=lambda each: -likeness[each])
    likely = choices[0] if choices and likeness[choices[0]] >= LIKELY else ""
    return Missing(name, choices, likely)


def _likeness(one: str, other: str) -> float:
    """0 to 1. One that holds the other ("sale price", "price") is more like it than its letters say."""
    shorter, longer = sorted((one, other), key=len)
    holds = len(shorter) > 2 and shorter in longer
    return max(SequenceMatcher(None, one, other).ratio(), LIKELY if holds else 0)
