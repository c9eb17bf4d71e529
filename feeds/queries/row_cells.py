"""The cells of one row: what the file had, what a person made of it, and what may be changed."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

import orjson
from django.http import Http404

from deliveries.ids import delivery_id
from deliveries.models import Delivery, Status
from feeds.editing import EDITABLE, NEVER_SENT
from feeds.models import Feed, Row

MISREAD = ("stray_quote", "unclosed_quote")  # codes of rows whose cells are not certain
LONG = 60  # characters from which on a cell is edited in an area


def cells(row: Row) -> list[str]:
    """As they were in the file."""
    return [str(cell) for cell in orjson.loads(row.cells)]


def current_cells(row: Row) -> list[str]:
    """As they are sent: what a person made of them, else what the file had."""
    return cells(row) if row.mended is None else [str(cell) for cell in orjson.loads(row.mended)]


def get_row(feed: Feed, number: int) -> Row:
    """Raises Http404 when the row is not there (yet)."""
    row = Row.objects.filter(feed_id=feed.id, number=number).first()
    if row is None:
        raise Http404
    return row


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell: what the file had, and what is sent."""

    column: str  # "": the line had more cells than there are columns
    had: str | None  # None: the line had no such cell
    now: str | None

    @property
    def changed(self) -> bool:
        return self.now is not None and self.now != self.had

    @property
    def is_blank(self) -> bool:
        return not (self.had or "").strip()


def compared(feed: Feed, row: Row) -> list[Cell]:
    """Each cell of the line, and of the columns that it lacks."""
    cells_ = zip_longest(feed.columns, cells(row), current_cells(row))
    return [Cell(column or "", had, now) for column, had, now in cells_]


@dataclass(frozen=True, slots=True)
class Entry:
    """One cell in the form in which a row is changed."""

    column: str
    value: str
    had: str | None  # in the file at this place; None: the line had no such cell

    @property
    def is_long(self) -> bool:
        """An input of one line would lose its line breaks."""
        return len(self.value) > LONG or "\n" in self.value or "\r" in self.value


@dataclass(frozen=True, slots=True)
class Editing:
    """How a row may be changed and sent."""

    entries: Sequence[Entry]
    surplus: Sequence[str]  # cells of the line for which there is no column
    certain: bool  # each cell stands beside its column, as far as reading can tell
    revision: int  # that is being changed
    entered: bool = False  # the values are those of a person whose form was not taken

    @property
    def never_sent(self) -> bool:
        return self.revision == NEVER_SENT


def editing(feed: Feed, row: Row, entered: Sequence[str] | None = None) -> Editing | None:
    """None when the row is neither invalid nor failed, or its feed is not sent now."""
    revision = _revision(feed, row)
    if revision is None:
        return None
    had = cells(row)
    width = len(feed.columns)
    values = list(current_cells(row) if entered is None else entered)[:width]
    values += [""] * (width - len(values))
    padded = [*had, *[None] * (width - len(had))]
    return Editing(
        [
            Entry(column, value, before)
            for column, value, before in zip(feed.columns, values, padded, strict=False)
        ],
        surplus=had[width:],
        certain=row.mended is not None or (len(had) == width and row.code not in MISREAD),
        revision=revision,
        entered=entered is not None,
    )


def _revision(feed: Feed, row: Row) -> int | None:
    if feed.status not in EDITABLE:
        return None
    if row.invalid:
        return NEVER_SENT
    failed = Delivery.objects.filter(id=delivery_id(feed.id, row.number), status=Status.FAILED)
    return failed.values_list("revision", flat=True).first()


def as_entered(text: str, before: str) -> str:
    """A cell as a browser sends it, which makes CRLF of every line break; untouched, it stays as it was."""
    if _lines(text) == _lines(before):
        return before
    return text if "\r\n" in before else _lines(text)


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")
