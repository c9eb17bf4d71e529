"""Publishing: events are written in the transaction of the change that they tell of."""

import uuid
from collections.abc import Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from django.db import connection, transaction

from outbox import sql
from outbox.errors import NoTransaction, PublishedInProjection
from outbox.models import uuid7s

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outbox.events import Event

_COLUMNS = (
    "id", "uuid", "type", "version", "correlation_id", "occurrence", "causation_id",
    "conversation_id", "lane_id", "payload", "due_at", "occurred_at",
)  # fmt: skip

# The event being handled, for the causation of what its handler publishes.
_cause: ContextVar[int | None] = ContextVar("cause", default=None)
_forbidden: ContextVar[bool] = ContextVar("publishing_forbidden", default=False)


def publish(*events: "Event") -> list[int]:
    """Stores events with the caller's changes and returns their ids, in order.

    Wakes the relay once the transaction commits; the relay runs every second anyway.

    Raises:
        NoTransaction: outside a transaction, where an event could tell of a change that never was.
        PublishedInProjection: in a projection.
    """
    if not connection.in_atomic_block:
        raise NoTransaction("publish() belongs into the transaction of the change that the event tells of.")
    if _forbidden.get():
        raise PublishedInProjection("A projection may not publish events.")
    if not events:
        return []
    ids = sql.allocate("outbox_outboxevent", len(events))
    now = sql.database_now()
    cause = _cause.get()
    rows = [
        _row(event_id, key, event, cause, now)
        for event_id, key, event in zip(ids, uuid7s(len(events)), events, strict=True)
    ]
    sql.insert("outbox_outboxevent", _COLUMNS, rows)
    table, params = sql.values_table("v", {"event_id": "bigint"}, [(event_id,) for event_id in ids])
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO outbox_unrelayed (event_id) SELECT event_id FROM {table}", params)
    from outbox.wakeup import wake_relay

    transaction.on_commit(wake_relay)
    return ids


def _row(event_id: int, key: uuid.UUID, event: "Event", cause: int | None, now: object) -> Sequence[object]:
    return (
        event_id,
        key,
        type(event).__name__,
        event.version,
        event.correlation_id,
        event.occurrence,
        event.causation_id if event.causation_id is not None else cause,
        event.conversation_id,
        event.lane_id,
        event.payload_json(),
        event.due_at,
        now,
    )


@contextmanager
def caused_by(event_id: int | None) -> "Iterator[None]":
    token = _cause.set(event_id)
    try:
        yield
    finally:
        _cause.reset(token)


@contextmanager
def publishing_forbidden() -> "Iterator[None]":
    token = _forbidden.set(True)
    try:
        yield
    finally:
        _forbidden.reset(token)
