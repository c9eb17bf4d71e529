"""Reading a whole file once, to know what it holds before anything is sent."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from feeds.reading.dialect import Dialect
from feeds.reading.errors import Unreadable
from feeds.reading.header import read_header
from feeds.reading.lines import no_progress
from feeds.reading.parsing import MAX_COLUMNS, Record
from feeds.reading.records import read_batches

SAMPLES = 100
_BLOCK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class InvalidRow:
    """Where a row is invalid, and why."""

    number: int
    line: int
    code: str
    error: str


@dataclass(frozen=True, slots=True)
class Survey:
    """What a file holds."""

    columns: tuple[str, ...]  # their names
    total: int  # rows, invalid ones included
    invalid: int
    samples: tuple[InvalidRow, ...]  # the first invalid rows
    notes: tuple[str, ...]  # sentences for people on what they may not expect


def _do_not_look(records: Sequence[Record]) -> None: ...


def survey(
    path: Path,
    dialect: Dialect,
    *,
    look: Callable[[Sequence[Record]], None] = _do_not_look,
    progress: Callable[[], None] = no_progress,
) -> Survey:
    """Reads every row. `path` is the plain UTF-8 file; `progress` is called at least once per MB.

    `look` is given all records in their order, some at a time, for whoever wants to know more of them.

    Raises Unreadable (`header_only`, `empty`, `bad_header`, `too_many_columns`).
    """
    columns = read_header(path, dialect)
    if len(columns) > MAX_COLUMNS:
        raise Unreadable("too_many_columns", f"The file has more than {MAX_COLUMNS:,} columns.")
    total = invalid = 0
    samples: list[InvalidRow] = []
    for batch in read_batches(path, dialect, len(columns), progress=progress):
        look(batch.records)
        bad = [record for record in batch.records if record.code]
        total += len(batch.records)
        invalid += len(bad)
        samples += [InvalidRow(r.number, r.line, r.code, r.error) for r in bad[: SAMPLES - len(samples)]]
    if not total:
        raise no_rows(dialect)
    return Survey(columns, total, invalid, tuple(samples), tuple(_notes(dialect, len(columns))))


def no_rows(dialect: Dialect) -> Unreadable:
    """Why a file is not read that has none."""
    if dialect.has_header:
        return Unreadable("header_only", "The file has a header but no rows.")
    return Unreadable("empty", "The file is empty.")


def sha256(path: Path, *, progress: Callable[[], None] = no_progress) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            progress()
    return digest.hexdigest()


def _notes(dialect: Dialect, columns: int) -> list[str]:
    notes = []
    if dialect.preamble:
        lines = "The first line is" if dialect.preamble == 1 else f"The first {dialect.preamble:,} lines are"
        notes.append(f"{lines} skipped: the table begins below.")
    if not dialect.has_header:
        names = "column_1" if columns == 1 else f"column_1 to column_{columns}"
        notes.append(f"No header was found: the columns are called {names}.")
    elif dialect.header_rows > 1:
        notes.append(f"The header takes {dialect.header_rows} rows: their names are joined.")
    return notes
