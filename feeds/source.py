"""The rows of a feed's file as they are sent: without the result columns that an earlier delivery added."""

from collections.abc import Sequence

from feeds.models import Feed
from feeds.reading import Dialect, Position, Record, read_chunk
from feeds.results import RESULT_COLUMNS, UNMENDED, is_unmended, strip_result_columns


def sent_columns(names: tuple[str, ...]) -> tuple[list[str], list[int]]:
    """The columns that are sent, and their places among all of the file."""
    kept = strip_result_columns(names)
    return [names[index] for index in kept], kept


def read_rows(feed: Feed, start: Position | None, limit: int) -> tuple[list[Record], Position]:
    """The next rows from `start` on, at most `limit`, and the position after them; none at the end."""
    dialect = Dialect.from_json(feed.dialect)
    records, position = read_chunk(feed.plain_path, dialect, feed.width, start, limit)
    if feed.width == len(feed.columns):
        return records, position
    return [sent_record(record, feed.kept) for record in records], position


def sent_record(record: Record, kept: Sequence[int]) -> Record:
    """The record without the results of earlier sends. Only for files that have such columns."""
    if record.code:
        surplus = len(RESULT_COLUMNS) if len(record.cells) > len(RESULT_COLUMNS) else 0
        return record._replace(cells=record.cells[: len(record.cells) - surplus])
    cells = tuple(record.cells[index] for index in kept)
    if is_unmended(cells):
        code, error = UNMENDED
        return record._replace(cells=cells, code=code, error=error)
    return record._replace(cells=cells)
