"""Reading a whole file once, to know what it holds before anything is sent."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from feeds.reading.dialect import Dialect
from feeds.reading.errors import Unreadable
from feeds.reading.header import read_header
from feeds.reading.lines import no_progress
from feeds.reading.parsing import MAX_COLUMNS, Record
from feeds.reading.records import read_batches


class Survey(NamedTuple):
    """What a file holds."""

    total: int  # rows, invalid ones included
    invalid: int


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
    for batch in read_batches(path, dialect, len(columns), progress=progress):
        look(batch.records)
        total += len(batch.records)
        invalid += sum(bool(record.code) for record in batch.records)
    if not total:
        raise no_rows(dialect)
    return Survey(total, invalid)


def no_rows(dialect: Dialect) -> Unreadable:
    """Why a file is not read that has none."""
    if dialect.has_header:
        return Unreadable("header_only", "The file has a header but no rows.")
    return Unreadable("empty", "The file is empty.")
