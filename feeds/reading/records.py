"""Reading the rows of a file, from its beginning or from where an earlier reading stopped."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import accumulate
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple, Self

from feeds.reading.dialect import Dialect
from feeds.reading.header import Header, find_header
from feeds.reading.lines import BLOCK, LineReader, no_progress
from feeds.reading.parsing import Parsed, Parser, Record

# A chunk of very long rows ends early, so that the memory it takes does not grow with their number.
CHUNK_BYTES = 8 * 1024 * 1024
# Small blocks, because what a chunk reads beyond its limit is read again by the next one.
CHUNK_BLOCK = 16 * 1024


class Position(NamedTuple):
    """Where the next record begins."""

    byte: int  # offset in the plain UTF-8 file
    row: int  # number of the last row read; 0 at the start
    line: int  # physical lines before it

    def to_json(self) -> dict[str, int]:
        """The position as plain values, for a JSON column."""
        return self._asdict()

    @classmethod
    def from_json(cls, values: Mapping[str, int]) -> Self:
        """The position that `to_json` gave."""
        return cls(values["byte"], values["row"], values["line"])


_position = partial(tuple.__new__, Position)


class Batch:
    """Some records, each with the position after it: made only when asked for."""

    def __init__(self, parsed: Parsed, line: int, bytes_before: list[int]) -> None:
        self.records = parsed.records
        self._ends = parsed.ends
        self._line = line
        self._bytes_before = bytes_before

    def position(self, index: int) -> Position:
        """The position after one of the records."""
        end = self._ends[index]
        return Position(self._bytes_before[end], self.records[index].number, self._line + end)

    def positions(self) -> Iterator[Position]:
        """The position after each record."""
        numbers = map(attrgetter("number"), self.records)
        lines = map(self._line.__add__, self._ends)
        return map(
            _position, zip(map(self._bytes_before.__getitem__, self._ends), numbers, lines, strict=True)
        )


def read_records(
    path: Path, dialect: Dialect, columns: int, start: Position | None = None
) -> Iterator[tuple[Record, Position]]:
    """Every record from `start` on (without it: from the first row), with the position after it.

    `path` is the plain UTF-8 file (`Normalised.path`), `columns` the number of cells of a good row. Reading
    from any of the positions gives what an undisturbed reading gives. Lines without any text are no rows.
    """
    for batch in read_batches(path, dialect, columns, start):
        yield from zip(batch.records, batch.positions(), strict=True)


def read_chunk(
    path: Path, dialect: Dialect, columns: int, start: Position | None, limit: int
) -> tuple[list[Record], Position]:
    """The next records, at most `limit`, and the position after the last one.

    The file ends with an empty list. A shorter one says nothing: a chunk also ends after `CHUNK_BYTES`.
    """
    header = find_header(path, dialect)
    first = position = start or _after(header)
    records: list[Record] = []
    for batch in _batches(path, dialect, columns, position, header, CHUNK_BLOCK):
        taken = batch.records[: limit - len(records)]
        records += taken
        position = batch.position(len(taken) - 1) if taken else position
        if len(records) >= limit or position.byte - first.byte >= CHUNK_BYTES:
            break
    return records, position


def read_batches(
    path: Path,
    dialect: Dialect,
    columns: int,
    start: Position | None = None,
    progress: Callable[[], None] = no_progress,
) -> Iterator[Batch]:
    """The records from `start` on, as many at once as a block of the file holds."""
    header = find_header(path, dialect)
    return _batches(path, dialect, columns, start or _after(header), header, BLOCK, progress)


def _after(header: Header) -> Position:
    return Position(header.end_byte, 0, header.end_line)


def _batches(
    path: Path,
    dialect: Dialect,
    columns: int,
    start: Position,
    header: Header,
    block: int,
    progress: Callable[[], None] = no_progress,
) -> Iterator[Batch]:
    byte, number, line = start
    # In one column a value may well be equal to the column's name.
    parser = Parser(dialect, columns, header.rows if columns > 1 else ())
    with LineReader(path, byte, progress) as reader:
        lines: list[str] = []
        sizes: list[int] = []
        while not reader.final:
            # Of a row longer than a block, ever more is read at once, so that it is not parsed too often.
            more_lines, more_sizes = reader.read(max(block, sum(sizes)))
            lines, sizes = lines + more_lines, sizes + more_sizes
            parsed = parser.parse(lines, sizes, number=number, line=line, final=reader.final)
            bytes_before = list(accumulate(sizes, initial=byte))
            yield Batch(parsed, line, bytes_before)
            byte, line, number = bytes_before[parsed.used], line + parsed.used, number + len(parsed.records)
            lines, sizes = lines[parsed.used :], sizes[parsed.used :]
