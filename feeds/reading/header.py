"""The header of a file: where it ends, and the names it gives to the columns."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from feeds.reading.dialect import Dialect
from feeds.reading.errors import Unreadable
from feeds.reading.lines import LineReader
from feeds.reading.parsing import Parser, Record

# The header is looked up with every chunk of rows: no more than it is read.
HEADER_BLOCK = 1024


class Header(NamedTuple):
    """What stands before the first row."""

    rows: list[list[str]]  # the cells of each row of the header, as they stand; none: the file has no header
    end_byte: int
    end_line: int  # physical lines up to the first row: preamble and header


def read_header(path: Path, dialect: Dialect) -> tuple[str, ...]:
    """The names of the columns, each once and none empty.

    White space at the ends of a name goes, and within it becomes one space. Rows of a header are joined by a
    space. A column without a name becomes `column_3` (its place), a name that was there before `price_2`. A
    file without a header has `column_1`, `column_2`, …

    Raises Unreadable (`bad_header`, `empty`) when there is no such header.
    """
    header = find_header(path, dialect)
    if header.rows:
        names = join_names(header.rows)
        if dialect.columns and len(names) > dialect.columns:
            # Only ever when exactly so many names are left: the header has empty cells that no row has.
            names = [name for name in names if name]
    else:
        names = [""] * (dialect.columns or _width_of_first_row(path, dialect))
    return unique_names(names)


def find_header(path: Path, dialect: Dialect) -> Header:
    """Where the header ends, and its cells. Raises Unreadable (`bad_header`, `empty`)."""
    wanted = dialect.header_rows if dialect.has_header else 0
    byte, line = _skip_lines(path, dialect.preamble)
    rows: list[list[str]] = []
    for record, end_byte, end_line in _first_records(path, dialect, byte, line, wanted):
        if record.code:
            raise Unreadable("bad_header", f"The header in line {record.line} cannot be read: {record.error}")
        rows.append(list(record.cells))
        byte, line = end_byte, end_line
    if len(rows) < wanted:
        raise Unreadable("empty", "The file holds nothing where its header should be.")
    return Header(rows, byte, line)


def join_names(rows: Sequence[Sequence[str]]) -> list[str]:
    """One name for each column, from the rows of the header below each other."""
    width = max(map(len, rows))
    filled = [[*row, *[""] * (width - len(row))] for row in rows]
    return [" ".join(" ".join(cells).replace("\0", "").split()) for cells in zip(*filled, strict=True)]


def unique_names(names: Iterable[str]) -> tuple[str, ...]:
    """The names, each made different from all others and none empty."""
    names = list(names)
    taken, unique = set(names), list[str]()
    for place, name in enumerate(names, start=1):
        wanted = name or f"column_{place}"
        candidate, copy = wanted, 1
        while candidate in unique or (candidate in taken and candidate != name):
            copy += 1
            candidate = f"{wanted}_{copy}"
        unique.append(candidate)
    return tuple(unique)


def _skip_lines(path: Path, wanted: int) -> tuple[int, int]:
    byte = line = 0
    with LineReader(path) as reader:
        while line < wanted and not reader.final:
            _, sizes = reader.read()
            skipped = sizes[: wanted - line]
            byte, line = byte + sum(skipped), line + len(skipped)
    return byte, line


def _first_records(
    path: Path, dialect: Dialect, byte: int, line: int, wanted: int
) -> list[tuple[Record, int, int]]:
    """The first `wanted` records from a byte on, each with byte and line after it."""
    if not wanted:
        return []
    parser = Parser(dialect, 0)
    lines: list[str] = []
    sizes: list[int] = []
    with LineReader(path, byte) as reader:
        while True:
            more_lines, more_sizes = reader.read(max(HEADER_BLOCK, sum(sizes)))
            lines, sizes = lines + more_lines, sizes + more_sizes
            parsed = parser.parse(lines, sizes, number=0, line=line, final=reader.final)
            if len(parsed.records) >= wanted or reader.final:
                pairs = list(zip(parsed.records, parsed.ends, strict=True))[:wanted]
                return [(record, byte + sum(sizes[:end]), line + end) for record, end in pairs]


def _width_of_first_row(path: Path, dialect: Dialect) -> int:
    byte, line = _skip_lines(path, dialect.preamble)
    for record, _, _ in _first_records(path, dialect, byte, line, 1):
        return len(record.cells)
    raise Unreadable("empty", "The file is empty.")
