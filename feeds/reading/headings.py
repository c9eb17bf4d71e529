"""Finding the header among the first records of a file: what stands before it, and how many rows it takes."""

from collections import Counter
from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

from feeds.reading.cells import is_placeholder, kind
from feeds.reading.parsing import Record

# So many rows say what a column holds.
ROWS_LOOKED_AT = 200
FEWEST_ROWS = 10
CELLS_LOOKED_AT = 4_000
MOST_HEADER_ROWS = 4
# A column has a kind when so many of its cells have it.
KIND_SHARE = 0.75
LONGEST_NAME = 100


class Heading(NamedTuple):
    """Where the header is."""

    preamble: int  # physical lines before it, or before the first row
    header_rows: int  # 0: there is no header


def find_heading(records: Sequence[Record], columns: int, has_header: bool | None = None) -> Heading:
    """The heading of a file whose good rows have so many columns.

    A person's `has_header` stands above what the cells look like. Lines before the header are preamble.
    Without a header only titles (lines of one cell) are: anything else is a row, and with the wrong number of
    cells an invalid one, which people are told of.
    """
    titles = _titles(records, columns)
    first = _first_full(records, columns) if has_header is not False else None
    if first is not None and (has_header or _is_header(records, first, columns, titles)):
        return Heading(records[first].line - 1, _header_rows(records, first, columns))
    if has_header and len(records) > titles:
        return Heading(records[titles].line - 1, 1)
    return Heading(records[titles].line - 1 if titles < len(records) else 0, 0)


def _titles(records: Sequence[Record], columns: int) -> int:
    """The number of records at the top that have one cell, in a file with more columns."""
    if columns == 1:
        return 0
    return next((at for at, record in enumerate(records) if record.code or len(record.cells) > 1), 0)


def _first_full(records: Sequence[Record], columns: int) -> int | None:
    """The first record that may be the header: as wide as the rows, and not one lonely title in padding."""
    for at, record in enumerate(records):
        filled = sum(bool(cell.strip()) for cell in record.cells)
        if _fits(record, columns) and (filled > 1 or filled == columns == 1 or (filled and columns == 2)):
            return at
    return None


def _fits(record: Record, columns: int) -> bool:
    if record.code or len(record.cells) < columns:
        return False
    return len(record.cells) == columns or sum(bool(cell.strip()) for cell in record.cells) == columns


def _is_header(records: Sequence[Record], at: int, columns: int, titles: int) -> bool:
    cells = _names(records[at], columns)
    kinds = _column_kinds(records, at + 1, columns)
    pairs = [(kind(cell), wanted) for cell, wanted in zip(cells, kinds, strict=True) if cell.strip()]
    like_rows = sum(found == wanted for found, wanted in pairs if wanted not in ("", "code"))
    # A value where only text stands is no name either.
    like_rows += sum(found not in ("", "code", "flag") for found, wanted in pairs if wanted in ("", "code"))
    unlike_rows = sum(found != wanted for found, wanted in pairs if wanted)
    if like_rows or unlike_rows:
        return unlike_rows > like_rows
    # Nothing but text. Most files have a header; but if something precedes this line that is no title, that
    # something may be the header, damaged.
    lonely = all(sum(map(bool, map(str.strip, record.cells))) <= 1 for record in records[titles:at])
    return lonely and _look_like_names(cells, records[at + 1 : at + 1 + ROWS_LOOKED_AT])


def _look_like_names(cells: Sequence[str], body: Sequence[Record]) -> bool:
    names = [cell.strip() for cell in cells if cell.strip()]
    if len(set(names)) < len(names) or any(len(name) > LONGEST_NAME for name in names):
        return False
    rows = [record.cells for record in body if len(record.cells) == len(cells)]
    return not any(name and name == row[at] for row in rows for at, name in enumerate(cells))


def _header_rows(records: Sequence[Record], first: int, columns: int) -> int:
    """How many rows the header takes: copies of the first one, and rows of text over columns of values."""
    rows = 1
    while rows < MOST_HEADER_ROWS and first + rows < len(records):
        record = records[first + rows]
        if not _fits(record, columns) or columns == 1:
            break
        copy = [cell.strip() for cell in record.cells] == [cell.strip() for cell in records[first].cells]
        if not copy and not _is_second_row(record, _column_kinds(records, first + rows + 1, columns)):
            break
        rows += 1
    return rows


def _is_second_row(record: Record, kinds: Sequence[str]) -> bool:
    over_values = [
        cell for cell, wanted in zip(record.cells, kinds, strict=False) if wanted not in ("", "code")
    ]
    return (
        len(over_values) >= 2
        and all(cell.strip() for cell in over_values)
        and not any(kind(cell) or is_placeholder(cell) for cell in record.cells)
    )


def _names(record: Record, columns: int) -> list[str]:
    if len(record.cells) == columns:
        return list(record.cells)
    return [cell for cell in record.cells if cell.strip()]


def _column_kinds(records: Sequence[Record], start: int, columns: int) -> list[str]:
    whole = (record.cells for record in records[start:] if not record.code and len(record.cells) == columns)
    rows = list(islice(whole, max(FEWEST_ROWS, min(ROWS_LOOKED_AT, CELLS_LOOKED_AT // columns))))
    return [_common_kind([row[at] for row in rows]) for at in range(columns)]


def _common_kind(cells: Sequence[str]) -> str:
    kinds = Counter(kind(cell) for cell in cells if cell.strip() and not is_placeholder(cell))
    if not kinds:
        return ""
    common, times = kinds.most_common(1)[0]
    return common if times >= KIND_SHARE * kinds.total() else ""
