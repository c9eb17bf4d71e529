"""Lines become records: the one place that knows what a valid row is.

The record at a byte depends on nothing but the bytes from there on: not on how the file was cut into blocks,
not on what was read before. That is why reading may stop after any row and go on later, elsewhere.

`csv.reader` does the work, in strict mode. A block in which every line is one good row (nearly every block)
never leaves C; any other is gone through row by row.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import count, repeat
from typing import NamedTuple

from feeds.reading.dialect import Dialect
from feeds.reading.lines import ROW_LIMIT

FIELD_LIMIT = 1_000_000
MAX_COLUMNS = 1_000
# Stands for "no delimiter": csv.reader wants one, and this unit separator is in no text.
NO_DELIMITER = "\x1f"
# The characters kept of a row in which no cells can be told apart, and of a line that is too long to be read.
KEPT_OF_BROKEN_ROW = 65_536
KEPT_OF_LONG_ROW = 1_000


class Record(NamedTuple):
    """One row as it stands in the file. (A tuple: to make a frozen dataclass takes four times as long.)"""

    number: int  # 1 is the first row; invalid rows are counted too
    line: int  # the physical line of the file on which it starts; 1 is the first
    cells: tuple[str, ...]  # of a row with a broken quote: one cell, the line as it stands
    error: str  # "": the row is valid; else a sentence that says why not
    code: str  # "": valid; else nul_byte, too_few_cells, too_many_cells, stray_quote, unclosed_quote, …


class Broken(NamedTuple):
    """Why a row is invalid."""

    code: str
    error: str


class Parsed(NamedTuple):
    """What a block of lines holds."""

    records: list[Record]
    ends: Sequence[int]  # for each record the index of the first line after it
    used: int  # lines used up; a row that begins in the others ends in lines yet to come


_TOO_LONG = Broken("field_too_long", f"A cell of this row has more than {FIELD_LIMIT:,} characters.")
_LONG_LINE = Broken("line_too_long", f"This line has more than {ROW_LIMIT:,} bytes.")
_UNCLOSED = Broken("unclosed_quote", "A quote that is opened in this line is not closed where a cell ends.")
_STRAY = Broken("stray_quote", "Text follows a closing quote: a quote within quotes must be doubled.")
_NUL = Broken("nul_byte", "This row contains a NUL byte.")
_REPEATED = Broken("repeated_header", "This row repeats the header.")

# Not a verdict: the row may end in lines that are not here yet.
_UNFINISHED = Broken("", "")

_record = partial(tuple.__new__, Record)


class Parser:
    """Parses blocks of lines in one dialect.

    `columns` is the number of cells of a good row; 0 lets any number pass. A row equal to one of `headings`
    is invalid: somebody has put two files together, and column names must not be sent as values.
    """

    def __init__(self, dialect: Dialect, columns: int, headings: Sequence[list[str]] = ()) -> None:
        self._dialect = dialect
        self._columns = columns
        self._headings = headings
        escape, special = re.escape(dialect.escape), dialect.escape + dialect.quote + dialect.delimiter[:1]
        self._escapes = re.compile(f"({escape}[{re.escape(special)}])|{escape}") if escape else None

    def parse(self, lines: list[str], sizes: list[int], *, number: int, line: int, final: bool) -> Parsed:
        """The records in `lines`, of `sizes` bytes; the first gets `number` + 1, its line is `line` + 1.

        `final` says that the file ends with these lines.
        """
        # The limit is the process's: other code may have set another one meanwhile.
        csv.field_size_limit(FIELD_LIMIT)
        readable = [self._without_idle_escapes(text) for text in lines] if self._escapes else lines
        good = self._all_good(readable, sizes, number, line)
        return good or self._one_by_one(lines, readable, sizes, number, line, final)

    def _all_good(self, lines: list[str], sizes: list[int], number: int, line: int) -> Parsed | None:
        if not lines or max(sizes) > ROW_LIMIT or "\0" in "".join(lines):
            return None
        try:
            rows = list(self._reader(lines))
        except csv.Error:
            return None
        # As many rows as lines: none has two lines. (An empty line is a row without cells here.)
        if len(rows) != len(lines) or set(map(len, rows)) != {self._columns}:
            return None
        if any(heading in rows for heading in self._headings):
            return None
        numbers, places = count(number + 1), count(line + 1)
        records = list(map(_record, zip(numbers, places, map(tuple, rows), repeat(""), repeat(""))))
        return Parsed(records, range(1, len(lines) + 1), len(lines))

    def _one_by_one(
        self, lines: list[str], readable: list[str], sizes: list[int], number: int, line: int, final: bool
    ) -> Parsed:
        records: list[Record] = []
        ends: list[int] = []
        feed = _Feed(readable)
        reader = self._reader(feed.lines())
        while feed.at < len(lines):
            at = feed.at
            cells: list[str]
            broken: Broken | None
            if sizes[at] > ROW_LIMIT:
                feed.at += 1
                cells, broken = [lines[at][:KEPT_OF_LONG_ROW]], _LONG_LINE
            else:
                cells, broken = _next(reader)
            if broken is _UNFINISHED and not final and sum(sizes[at:]) <= ROW_LIMIT:
                return Parsed(records, ends, at)
            if feed.at > at + 1 and (broken or self._ran_away(cells, readable, sizes, at, feed.at)):
                # The damage is one line: what the open quote swallowed is read again.
                cells, broken = [], _UNCLOSED
                feed.at = at + 1
                reader = self._reader(feed.lines())
            if broken is None and self._blank(cells):
                continue
            broken = (_UNCLOSED if broken is _UNFINISHED else broken) or self._fault(cells)
            number += 1
            kept = tuple(cells[: MAX_COLUMNS + 1]) or (lines[at].rstrip("\r\n")[:KEPT_OF_BROKEN_ROW],)
            code, error = broken or ("", "")
            records.append(Record(number, line + at + 1, kept, error, code))
            ends.append(feed.at)
        return Parsed(records, ends, len(lines))

    def _ran_away(self, cells: list[str], lines: list[str], sizes: list[int], at: int, end: int) -> bool:
        """Whether a row of several lines is rather one with an open quote, and good rows behind it."""
        if sum(sizes[at:end]) > ROW_LIMIT:
            return True
        if not self._columns or len(cells) == self._columns:
            return False
        return any(self._is_good_row(text) for text in lines[at + 1 : end])

    def _is_good_row(self, text: str) -> bool:
        cells, broken = _next(self._reader([text]))
        return broken is None and len(cells) == self._columns

    def _blank(self, cells: list[str]) -> bool:
        # In a file of one column, white space is a value.
        return not cells or (len(cells) == 1 != self._columns and cells[0].isspace())

    def _fault(self, cells: list[str]) -> Broken | None:
        found, wanted = len(cells), self._columns
        if wanted and found != wanted:
            code = "too_few_cells" if found < wanted else "too_many_cells"
            return Broken(code, f"This row has {_cells(found)}, but the file has {_columns(wanted)}.")
        if "\0" in "".join(cells):
            return _NUL
        return _REPEATED if cells in self._headings else None

    def _reader(self, lines: Iterable[str]) -> Iterator[list[str]]:
        dialect = self._dialect
        return csv.reader(
            lines,
            delimiter=dialect.delimiter[:1] or NO_DELIMITER,
            skipinitialspace=dialect.delimiter == ", ",
            quotechar=dialect.quote or None,
            quoting=csv.QUOTE_MINIMAL if dialect.quote else csv.QUOTE_NONE,
            escapechar=dialect.escape or None,
            strict=True,
        )

    def _without_idle_escapes(self, text: str) -> str:
        """Doubles each escape that stands before an ordinary character: `C:\\temp` is no escaped `t`."""
        escape = self._dialect.escape
        if self._escapes is None or escape not in text:
            return text
        return self._escapes.sub(lambda met: met[1] or escape * 2, text)


class _Feed:
    """Gives lines one by one to a reader, and can be set back."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines
        self.at = 0

    def lines(self) -> Iterator[str]:
        while self.at < len(self._lines):
            self.at += 1
            yield self._lines[self.at - 1]


def _next(reader: Iterator[list[str]]) -> tuple[list[str], Broken | None]:
    try:
        return next(reader), None
    except csv.Error as error:
        message = str(error)
        if message.startswith("unexpected end"):
            return [], _UNFINISHED
        return [], _TOO_LONG if message.startswith("field larger") else _STRAY


def _cells(number: int) -> str:
    return "1 cell" if number == 1 else f"{number:,} cells"


def _columns(number: int) -> str:
    return "1 column" if number == 1 else f"{number:,} columns"
