"""The three result files of a feed: succeeded, failed, not processed.

Each holds the original columns and, after them, what became of the row. The plain file gives back
every cell exactly. The failed one uploads again as it is once mended: the result columns are then
ignored (`strip_result_columns`).

A row that could not be split into the right number of cells is *not* repaired here, and the result
columns never shift: each missing cell says so in its place, and the last cell holds all cells from there
on. These cells begin with a mark. A row with a mark in it is refused when it is uploaded again
(`is_unmended`), so that no shifted price reaches a shop until a person has written the right values
over the marks. (Surplus cells after the result columns would be refused as well, but in a file of
nothing but such rows they would hide which line is the header.)
"""

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Final

RESULT_COLUMNS: Final = ("_status", "_http_status", "_attempts", "_error_code", "_error")

MARK: Final = "[[mend"
"""Begins each cell that a person has to write anew; plain ASCII, so that any program keeps it."""

UNMENDED: Final = (
    "not_mended",
    "This row still has a cell that begins with [[mend; write the right value there.",
)
"""Code and sentence for a row that is uploaded again without having been mended."""

CHUNK = 64 * 1024  # characters that are collected before they are handed on


@dataclass(frozen=True, slots=True)
class ResultRow:
    """One row of the feed and what became of it."""

    cells: Sequence[str]  # as they were in the file, be they too many or too few
    status: str
    http_status: int | None
    attempts: int
    error_code: str = ""
    error: str = ""
    misread: bool = False  # the reader refused it, so that its cells are not certain even if their number is


def write_results(rows: Iterable[ResultRow], columns: Sequence[str]) -> Iterator[bytes]:
    """The file as UTF-8 CSV, piece by piece, in constant memory. Every cell is quoted."""
    buffer = StringIO(newline="")
    # All quoted: whoever reads the file cannot take a sign within a cell for the delimiter.
    write = csv.writer(buffer, quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerow
    write([*columns, *RESULT_COLUMNS])
    for row in rows:
        write(record(row, len(columns)))
        if buffer.tell() >= CHUNK:
            yield _taken(buffer)
    yield _taken(buffer)


def strip_result_columns(header: Sequence[str]) -> list[int]:
    """The positions of the columns to keep of a file that is uploaded again.

    Without all five result columns that is every one. Of a name that occurs twice only the last one is
    ours; the other was in the original file.
    """
    last = {name: index for index, name in enumerate(header)}
    if not all(name in last for name in RESULT_COLUMNS):
        return list(range(len(header)))
    ours = {last[name] for name in RESULT_COLUMNS}
    return [index for index in range(len(header)) if index not in ours]


def is_unmended(cells: Iterable[str]) -> bool:
    """Whether a row of a file that is uploaded again still has a mark, and so must not be sent."""
    return any(cell.startswith(MARK) for cell in cells)


def record(row: ResultRow, width: int) -> list[str]:
    """The row's cells, as many as there are columns, and the five results."""
    return [
        *_rectangular(row, width),
        row.status,
        "" if row.http_status is None else str(row.http_status),
        str(row.attempts),
        row.error_code,
        row.error,
    ]


def _rectangular(row: ResultRow, width: int) -> Sequence[str]:
    """As many cells as the header has, with marks where they are not those of the file."""
    cells = row.cells
    surplus, missing = len(cells) - width, width - len(cells)
    if surplus > 0:
        return [*cells[: width - 1], f"{MARK}: {surplus} too many]] {_as_csv(cells[width - 1 :])}"]
    if missing > 0:
        return [*cells, *[f"{MARK}: no cell]]"] * missing]
    if row.misread and not is_unmended(cells):
        return [f"{MARK}: check this row]] {cells[0]}", *cells[1:]]
    return cells


def _as_csv(cells: Sequence[str]) -> str:
    text = StringIO(newline="")
    csv.writer(text, lineterminator="").writerow(cells)
    return text.getvalue()


def _taken(buffer: StringIO) -> bytes:
    """What was collected, as bytes. A lone surrogate, which UTF-8 does not have, becomes "?"."""
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text.encode(errors="replace")
