"""The rows of the three result files."""

from collections.abc import Iterator, Sequence
from contextlib import suppress

from feeds.grouping import chosen
from feeds.judging import Refused, bound_mapping, judge, repeats_among
from feeds.mapping import MappingError
from feeds.models import Feed, FeedStatus, Row
from feeds.queries.row_cells import MISREAD, current_cells
from feeds.reading import Position, Record
from feeds.results import ResultRow
from feeds.source import read_rows

RESULT_FILES = {
    "succeeded": ("succeeded",),
    "failed": ("failed",),
    "not-processed": ("", "cancelled"),
}
RESULT_CHUNK = 1000


def result_rows(feed: Feed, kind: str, *, group: str = "") -> Iterator[ResultRow]:
    """The rows of one result file, by number: from the database, and past its end from the file.
    A row that a person mended has the cells that were sent.

    With `group` only the failed rows of that group (feeds.grouping).
    """
    for row in _stored(feed, RESULT_FILES[kind], group):
        yield ResultRow(
            cells=current_cells(row),
            status=row.outcome or "pending",
            http_status=row.http_status,
            attempts=row.attempts,
            error_code=row.code,
            error=row.error,
            misread=row.code in MISREAD,
        )
    if kind != "succeeded" and not group:
        yield from _unreached(feed, invalid=kind == "failed")


def result_count(feed: Feed, kind: str) -> int:
    """How many rows one result file has, by the feed's ledger."""
    return {"succeeded": feed.succeeded, "failed": feed.failed}.get(kind, feed.pending + feed.cancelled)


def result_text(feed: Feed, kind: str) -> int:
    """About how many bytes of text these rows have: their share of the file's."""
    size = feed.plain_path.stat().st_size if feed.plain_path.exists() else feed.size
    return size * result_count(feed, kind) // max(1, feed.total)


def _stored(feed: Feed, outcomes: Sequence[str], group: str) -> Iterator[Row]:
    after = 0
    rows = Row.objects.filter(feed_id=feed.id, outcome__in=outcomes).order_by("number")
    while chunk := list(rows.filter(number__gt=after)[:RESULT_CHUNK]):
        yield from filter(chosen(feed.id, group), chunk) if group else chunk
        after = chunk[-1].number


def _unreached(feed: Feed, *, invalid: bool) -> Iterator[ResultRow]:
    """Rows that the import has not come to, and may never come to."""
    status = "cancelled" if feed.status == FeedStatus.CANCELLED else "pending"
    for record, refused in unimported(feed):
        if invalid and refused:
            misread = record.code in MISREAD
            yield ResultRow(record.cells, "failed", None, 0, refused.code, refused.error, misread)
        elif not invalid and not refused:
            yield ResultRow(record.cells, status, None, 0)


def unimported(feed: Feed) -> Iterator[tuple[Record, Refused | None]]:
    """What the file holds beyond the last imported row, and why not all of it will be sent."""
    if feed.import_done or not feed.columns or not feed.plain_path.exists():
        return
    position = Position.from_json(feed.position) if feed.position else None
    while True:
        records, position = read_rows(feed, position, RESULT_CHUNK)
        if not records:
            return
        yield from zip(records, _refusals(feed, records), strict=True)


def _refusals(feed: Feed, records: Sequence[Record]) -> Iterator[Refused | None]:
    bound = None
    if feed.invalid_by_code is not None:
        # Its file may lack columns of a mapping that was just chosen, or its destination have another method.
        with suppress(MappingError):
            bound = bound_mapping(feed)
    if bound is None:
        yield from (Refused(record.code, record.error) if record.error else None for record in records)
        return
    repeats = repeats_among(feed, bound, records)
    for record in records:
        judged = judge(bound, record, repeats)
        yield judged if isinstance(judged, Refused) else None
