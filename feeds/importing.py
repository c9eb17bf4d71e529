"""Importing a feed: chunk by chunk, rows, deliveries and their events in one transaction each, with the
position from which the next chunk is read. A crash resumes at the last committed chunk; no row twice."""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import orjson
from django.conf import settings
from django.db import DataError, transaction

from deliveries.commands import Parcel, create_deliveries
from feeds.commands import locked
from feeds.errors import Incomplete
from feeds.events import FeedImported
from feeds.grouping import Failure, regroup
from feeds.judging import Refused, bound_mapping, judge, repeats_among
from feeds.models import TRIAL_ROWS, Feed, FeedStatus, Row
from feeds.reading import Position, Record
from feeds.results import UNMENDED
from feeds.source import read_rows
from outbox import sql
from outbox.outcomes import Defer, NextStep, Outcome
from outbox.publishing import publish

WINDOW_WAIT = 0.5  # seconds until a feed with a full window is looked at again


@dataclass(frozen=True, slots=True)
class ImportedRow:
    """A row as it will be stored; without a parcel it is invalid."""

    record: Record
    parcel: Parcel | None
    code: str = ""
    error: str = ""
    seen_by_check: bool = True  # False: invalid for a reason that the check did not count

    @property
    def failure(self) -> Failure:
        return Failure(self.record.number, None, self.code, self.error, invalid=True)


def chunk_size() -> int:
    # SQLite has one writer, whom a long transaction would keep from all others.
    return 2000 if sql.on_postgresql() else 500


def import_chunk(feed_id: uuid.UUID, *, trial: bool = False) -> Callable[[], Outcome] | Defer | None:
    """Reads and renders the next chunk, outside any transaction; what it returns writes it in one.

    Defers itself while a window of the feed's deliveries has never been attempted: so a slow
    destination holds back its own import, and rows that keep failing do not.

    The import of a `trial` ends when its rows are made, or when the rest was released: then that release
    has an import of its own.
    """
    feed = Feed.objects.get(id=feed_id)
    if feed.import_done or feed.status not in (FeedStatus.DELIVERING, FeedStatus.PAUSED):
        return None
    if feed.trial_is_full or (trial and not feed.trial):
        return None
    if feed.created - feed.tried >= settings.IMPORT_WINDOW:
        return Defer(WINDOW_WAIT)
    rows, position = _next_rows(feed)
    return lambda: _write(feed, rows, position)


def _next_rows(feed: Feed) -> tuple[list[ImportedRow], Position]:
    """The next chunk; of a trial no more than it may send."""
    start = Position.from_json(feed.position) if feed.position else None
    records, position = read_rows(feed, start, chunk_size())
    rows = _render(feed, records)
    if feed.trial and feed.unreached:
        places = [place for place, row in enumerate(rows, 1) if row.parcel]
        allowed = places[: TRIAL_ROWS - feed.created]
        if len(allowed) < len(places):
            _, position = read_rows(feed, start, allowed[-1])
            return rows[: allowed[-1]], position
    return rows, position


def _render(feed: Feed, records: Sequence[Record]) -> list[ImportedRow]:
    bound = bound_mapping(feed)
    repeats = repeats_among(feed, bound, records)
    rows = []
    for record in records:
        judged = judge(bound, record, repeats)
        if isinstance(judged, Refused):
            seen = _seen_by_check(feed, record)
            rows.append(ImportedRow(record, None, judged.code, judged.error, seen_by_check=seen))
        else:
            parcel = Parcel(
                record.number, judged.method, judged.path, judged.content_type, judged.body.decode()
            )
            rows.append(ImportedRow(record, parcel))
    return rows


def _seen_by_check(feed: Feed, record: Record) -> bool:
    """Whether the check has counted the row; one from before an upgrade counted misread rows alone."""
    if feed.invalid_by_code is not None:
        return True
    return bool(record.error) and record.code != UNMENDED[0]


def _write(read: Feed, rows: Sequence[ImportedRow], position: Position) -> Outcome:
    feed = locked(read.id)
    if feed.position != read.position or feed.import_done:
        return NextStep()  # somebody else was here
    if feed.status not in (FeedStatus.DELIVERING, FeedStatus.PAUSED):
        return None
    if not rows:
        _finish(feed, position)
        return None
    try:
        with transaction.atomic():
            _insert(feed, rows)
    except DataError:
        rows = _refused_one_by_one(feed, rows)
    found_late = sum(row.parcel is None and not row.seen_by_check for row in rows)
    feed.position = position.to_json()
    feed.created += sum(row.parcel is not None for row in rows)
    feed.invalid += found_late
    feed.failed += found_late
    feed.pending -= found_late
    feed.save(update_fields=["position", "created", "invalid", "failed", "pending"])
    regroup(feed.id, joined=[row.failure for row in rows if row.parcel is None])
    return NextStep()


def _finish(feed: Feed, position: Position) -> None:
    if position.row != feed.total:
        raise Incomplete(
            f"The check counted {feed.total} rows and the import {position.row}: "
            f"the stored file has changed since. Upload it again."
        )
    feed.import_done = True
    feed.trial = False  # it was no more than its trial
    feed.save(update_fields=["import_done", "trial"])
    publish(FeedImported(correlation_id=feed.id, conversation_id=feed.id))


def _refused_one_by_one(feed: Feed, rows: Sequence[ImportedRow]) -> list[ImportedRow]:
    """The database refuses something in the chunk: the row that it is in becomes invalid, alone."""
    written = []
    for row in rows:
        try:
            with transaction.atomic():
                _insert(feed, [row])
            written.append(row)
        except DataError as exc:
            bad = ImportedRow(
                row.record._replace(cells=()),
                None,
                "not_storable",
                f"The row cannot be stored: {exc}"[:500],
                seen_by_check=row.seen_by_check and row.parcel is None,
            )
            _insert(feed, [bad])
            written.append(bad)
    return written


def _insert(feed: Feed, rows: Sequence[ImportedRow]) -> None:
    sql.insert(
        Row._meta.db_table,
        (
            "feed_id", "number", "line", "cells", "invalid", "tried", "outcome", "outcome_seq",
            "attempts", "code", "error",
        ),
        [
            (
                feed.id,
                row.record.number,
                row.record.line,
                orjson.dumps(row.record.cells).decode(),
                row.parcel is None,
                False,
                "" if row.parcel else "failed",
                0,
                0,
                row.code,
                row.error,
            )
            for row in rows
        ],
    )  # fmt: skip
    create_deliveries(
        group_id=feed.id,
        destination_id=feed.destination_id,
        lane_id=feed.lane_id,
        parcels=[row.parcel for row in rows if row.parcel],
    )
