"""Attempts are merged from events in whatever order these come: each writes its own columns, the first
outcome stays, and "scheduled" never overwrites one."""

import uuid
from collections.abc import Iterable
from typing import Any

import orjson
from django.db import connection

from deliveries.events import DeliveryAttemptFailed, DeliveryScheduled, DeliverySucceeded
from deliveries.models import AttemptOutcome
from outbox import sql

# Column → PostgreSQL type. Empty text and NULL both mean "not known yet".
_COLUMNS = {
    "delivery_id": "uuid",
    "number": "integer",
    "scheduled_at": "timestamptz",
    "due_at": "timestamptz",
    "finished_at": "timestamptz",
    "outcome": "text",
    "counted": "boolean",
    "sends": "smallint",
    "http_status": "smallint",
    "code": "text",
    "message": "text",
    "seconds": "double precision",
    "revision": "smallint",
    "response_headers": "jsonb",
    "response_body": "text",
}
_TEXTS = ("outcome", "code", "message", "response_body")
_Key = tuple[uuid.UUID, int]


def merge(events: Iterable[DeliveryScheduled | DeliverySucceeded | DeliveryAttemptFailed]) -> None:
    """Writes what these events tell of their attempts, folded to one row an attempt."""
    rows: dict[_Key, dict[str, Any]] = {}
    for event in sorted(events, key=lambda event: event.id):
        row = rows.setdefault((event.correlation_id, event.occurrence), {})
        for column, value in _told(event).items():
            row.setdefault(column, value)
    if not rows:
        return
    empty: dict[str, Any] = {column: "" if column in _TEXTS else None for column in _COLUMNS}
    table, params = sql.values_table(
        "v",
        _COLUMNS,
        [tuple({**empty, **rows[k], "delivery_id": k[0], "number": k[1]}.values()) for k in sorted(rows)],
    )
    names = ", ".join(_COLUMNS)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""INSERT INTO deliveries_attempt ({names}) SELECT {names} FROM {table} WHERE true
                ON CONFLICT (delivery_id, number) DO UPDATE SET {_MERGE}""",
            params,
        )


def _keep_known(column: str) -> str:
    known = f"NULLIF(deliveries_attempt.{column}, '')" if column in _TEXTS else f"deliveries_attempt.{column}"
    return f"{column} = COALESCE({known}, excluded.{column})"


_MERGE = ", ".join(_keep_known(column) for column in _COLUMNS if column not in ("delivery_id", "number"))


def _told(event: DeliveryScheduled | DeliverySucceeded | DeliveryAttemptFailed) -> dict[str, Any]:
    if isinstance(event, DeliveryScheduled):
        return {"scheduled_at": event.occurred_at, "due_at": event.due_at or event.occurred_at}
    outcome, counted = AttemptOutcome.SUCCEEDED, False
    if isinstance(event, DeliveryAttemptFailed):
        outcome = AttemptOutcome.UNKNOWN if event.outcome_unknown else AttemptOutcome.FAILED
        counted = event.counted
    return {
        "finished_at": event.occurred_at,
        "outcome": str(outcome),
        "counted": counted,
        "sends": event.sends,
        "http_status": event.http_status,
        "code": event.code,
        "message": event.message,
        "seconds": event.seconds,
        "revision": event.revision,
        "response_headers": orjson.dumps(event.response_headers).decode(),
        "response_body": event.response_body,
    }
