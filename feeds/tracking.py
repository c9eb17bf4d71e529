"""Tracking a feed's progress: what the deliveries' events say, folded into rows and the ledger.

Each row remembers the sequence number of the outcome that it shows, so events may come in any order and
twice; the difference goes to the feed in one update, whose row is the lock.
"""

import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import connection
from django.db.models import F

from deliveries.events import (
    DeliveryAttemptFailed,
    DeliveryCancelled,
    DeliveryFailed,
    DeliveryReopened,
    DeliverySucceeded,
)
from feeds.commands import close_if_done
from feeds.events import FeedImported, FeedTried
from feeds.grouping import Failure, failures_among, regroup
from feeds.models import Feed, FeedStatus
from outbox import sql
from outbox.publishing import caused_by, publish

Tracked = (
    FeedImported
    | DeliverySucceeded
    | DeliveryFailed
    | DeliveryCancelled
    | DeliveryReopened
    | DeliveryAttemptFailed
)
_COUNTED = {"": "pending", "succeeded": "succeeded", "failed": "failed", "cancelled": "cancelled"}


@dataclass(slots=True)
class Change:
    """What the events of one batch say of one row."""

    seq: int = 0
    outcome: str = ""
    attempts: int = 0
    http_status: int | None = None
    code: str = ""
    error: str = ""
    tried: bool = False

    def failure(self, number: int) -> Failure:
        return Failure(number, self.http_status, self.code, self.error, invalid=False)


@dataclass(slots=True)
class Difference:
    """What a batch changes for a feed: its counts, and which rows are failed now, or no more."""

    counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    left: list[Failure] = field(default_factory=list)
    joined: list[Failure] = field(default_factory=list)


def track(events: Sequence[Tracked]) -> None:
    """Folds the events into their feeds, in the order of the feeds' ids."""
    by_feed: dict[uuid.UUID, list[Tracked]] = defaultdict(list)
    for event in events:
        if event.conversation_id is not None:
            by_feed[event.conversation_id].append(event)
    differences = {feed_id: _track_rows(feed_id, by_feed[feed_id]) for feed_id in sorted(by_feed)}
    for feed_id, difference in differences.items():
        # What closes the count is the whole batch; its newest event stands for it.
        with caused_by(max(event.id for event in by_feed[feed_id])):
            _count(feed_id, difference)


def _track_rows(feed_id: uuid.UUID, events: Iterable[Tracked]) -> Difference:
    """Updates the rows; returns what changes for the feed."""
    changes = _folded(events)
    difference = Difference()
    if not changes:
        return difference
    counts, written, failed = difference.counts, [], []
    for number, outcome, seq, tried in _rows(feed_id, sorted(changes)):
        change = changes[number]
        newly_tried = change.tried and not tried
        counts["tried"] += newly_tried
        if change.seq > seq:
            counts[_COUNTED[outcome]] -= 1
            counts[_COUNTED[change.outcome]] += 1
            if outcome == "failed":
                failed.append(number)
            if change.outcome == "failed":
                difference.joined.append(change.failure(number))
        elif newly_tried:
            change.seq, change.outcome = seq, outcome
        else:
            continue
        written.append((number, change))
    if failed:
        difference.left = failures_among(feed_id, failed)
    _write(feed_id, written)
    return difference


def _folded(events: Iterable[Tracked]) -> dict[int, Change]:
    changes: dict[int, Change] = defaultdict(Change)
    for event in events:
        if isinstance(event, FeedImported):
            continue
        change = changes[event.number]
        # A reopened delivery had been tried; a cancelled one may never have been, and never will be.
        change.tried = True
        if isinstance(event, DeliveryAttemptFailed) or event.seq <= change.seq:
            continue
        change.seq = event.seq
        change.attempts = event.occurrence
        change.http_status, change.code, change.error = None, "", ""
        if isinstance(event, DeliverySucceeded):
            change.outcome, change.http_status = "succeeded", event.http_status
        elif isinstance(event, DeliveryFailed):
            change.outcome, change.http_status = "failed", event.http_status
            change.code, change.error = event.code, event.message
        elif isinstance(event, DeliveryCancelled):
            change.outcome, change.code, change.error = "cancelled", event.code, event.message
        else:
            change.outcome = ""
    return changes


def _rows(feed_id: uuid.UUID, numbers: Sequence[int]) -> list[tuple[int, str, int, bool]]:
    # Joined by both columns of the key. With the feed as a constant, stale statistics take it for a small
    # one, and PostgreSQL reads all of its rows to find these.
    table, params = sql.values_table(
        "v", {"feed_id": "uuid", "number": "bigint"}, [(feed_id, number) for number in numbers]
    )
    of_rows = f"{sql.locked()} OF r" if sql.locked() else ""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT r.number, r.outcome, r.outcome_seq, r.tried
                FROM {table} JOIN feeds_row r ON r.feed_id = v.feed_id AND r.number = v.number
                ORDER BY r.number {of_rows}""",
            params,
        )
        return [(n, outcome, seq, bool(tried)) for n, outcome, seq, tried in cursor.fetchall()]


_TYPES = {
    "feed_id": "uuid",
    "number": "bigint",
    "outcome": "text",
    "seq": "integer",
    "attempts": "integer",
    "http_status": "smallint",
    "code": "text",
    "error": "text",
    "decided": "boolean",
}


def _write(feed_id: uuid.UUID, rows: Sequence[tuple[int, Change]]) -> None:
    """A row that was only tried keeps what it shows."""
    if not rows:
        return
    table, params = sql.values_table(
        "v",
        _TYPES,
        [
            (
                feed_id,
                number,
                change.outcome,
                change.seq,
                change.attempts,
                change.http_status,
                change.code,
                change.error,
                change.attempts > 0,
            )
            for number, change in rows
        ],
    )
    sets = ", ".join(
        f"{column} = CASE WHEN v.decided THEN v.{column} ELSE feeds_row.{column} END"
        for column in ("attempts", "http_status", "code", "error")
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f"""UPDATE feeds_row SET outcome = v.outcome, outcome_seq = v.seq, tried = true, {sets}
                FROM {table} WHERE feeds_row.feed_id = v.feed_id AND feeds_row.number = v.number""",
            params,
        )


def _count(feed_id: uuid.UUID, difference: Difference) -> None:
    changed = difference.counts.items()
    values: dict[str, Any] = {name: F(name) + change for name, change in changed if change}
    if not Feed.objects.filter(id=feed_id).update(**values or {"round": F("round")}):
        return  # the feed was deleted
    regroup(feed_id, left=difference.left, joined=difference.joined)
    feed = Feed.objects.get(id=feed_id)
    if feed.status == FeedStatus.COMPLETED and feed.pending > 0:
        feed.status = FeedStatus.DELIVERING
        feed.ended_at = None
        feed.save(update_fields=["status", "ended_at"])
    _tell_when_tried(feed)
    close_if_done(feed)


def _tell_when_tried(feed: Feed) -> None:
    if feed.import_done and not feed.tried_told and feed.tried >= feed.created:
        Feed.objects.filter(id=feed.id).update(tried_told=True)
        publish(FeedTried(correlation_id=feed.id, conversation_id=feed.id))
