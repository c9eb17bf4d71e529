"""What becomes of a row: a request, or why there is none; the same for check, preview and import."""

from collections import Counter, abc
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import orjson

from feeds.mapping import BoundMapping, Mapping, Rendered, RowError
from feeds.mapping.rules import not_unique
from feeds.models import Feed
from feeds.reading import Record
from feeds.repeats import Repeat, RepeatFinder, read_repeats
from feeds.source import sent_record


def bound_mapping(feed: Feed) -> BoundMapping:
    """The feed's mapping for the columns of its file; raises MappingError when they do not fit."""
    parts = (orjson.dumps(part) for part in (feed.mapping, feed.columns, feed.aliases))
    return _bound(*parts, feed.destination.method)


@lru_cache(maxsize=32)
def _bound(document: bytes, columns: bytes, aliases: bytes, method: str) -> BoundMapping:
    mapping = Mapping.parse(orjson.loads(document))
    return mapping.bind(orjson.loads(columns), default_method=method, aliases=orjson.loads(aliases))


class Refused(NamedTuple):
    """Why a row is invalid."""

    code: str
    error: str
    column: str = ""  # as the mapping names it; "" when no single column is to blame
    value: str = ""  # what the column has


def judge(bound: BoundMapping, record: Record, repeats: abc.Mapping[int, Repeat]) -> Rendered | Refused:
    """The row's request; or why there is none: it was misread, breaks a rule, or repeats another."""
    if record.error:
        return Refused(record.code, record.error)
    try:
        rendered = bound.render(record.cells)
    except RowError as exc:
        return _refused(bound, record, exc)
    if record.number in repeats:
        repeat = repeats[record.number]
        column, index = bound.unique[repeat.which]
        return _refused(bound, record, not_unique(column, record.cells[index], repeat.first))
    return rendered


def _refused(bound: BoundMapping, record: Record, exc: RowError) -> Refused:
    value = record.cells[bound.header.index(exc.column)] if exc.column else ""
    return Refused(exc.code, str(exc), exc.column, value)


def repeats_among(feed: Feed, bound: BoundMapping, records: Sequence[Record]) -> abc.Mapping[int, Repeat]:
    """Which of these rows of a checked feed repeat an earlier one."""
    if not bound.unique or not records:
        return {}
    return read_repeats(feed.repeats_path, records[0].number, records[-1].number)


class Inspection:
    """Judges all rows of a file while it is surveyed, and counts the invalid ones by their code."""

    def __init__(
        self, bound: BoundMapping, kept: Sequence[int], width: int, finder: RepeatFinder | None
    ) -> None:
        self.reasons: Counter[str] = Counter()
        self._bound, self._kept, self._finder = bound, kept, finder
        self._strips = len(kept) < width

    def look(self, records: Sequence[Record]) -> None:
        for raw in records:
            record = sent_record(raw, self._kept) if self._strips else raw
            judged = judge(self._bound, record, {})
            if isinstance(judged, Refused):
                self.reasons[judged.code] += 1
            if self._finder and not record.error:
                self._finder.note(record, invalid=isinstance(judged, Refused))
