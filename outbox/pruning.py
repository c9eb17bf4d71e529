"""Pruning: whole conversations that are closed and old enough, hourly and in small steps.

A conversation is closed when every handling of its events is done and its newest event is old
enough. An event without a conversation is one of its own. What is ready, leased, waiting or parked
is never pruned by age, nor is an event that no relay has seen.

The cost is that of what is deleted: live conversations are skipped with one index probe each. Lanes
stay: only the app that made one knows whether it will want it again.
"""

import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction

from outbox import sql
from outbox.heartbeats import KEPT
from outbox.models import Heartbeat, OutboxEvent

OLDER_THAN = timedelta(days=7)
BATCH = 1000  # events deleted in one transaction
WALK = 1000  # conversations looked at in one statement
TAKEN = 5000  # events looked up in one statement
FIRST = uuid.UUID(int=0)
LAST = uuid.UUID(int=2**128 - 1)

# An event whose work is over: relayed, and every handling done. Neither ever changes back.
_OVER = """NOT EXISTS (SELECT 1 FROM outbox_unrelayed u WHERE u.event_id = e.id)
       AND NOT EXISTS (SELECT 1 FROM outbox_handling h WHERE h.event_id = e.id AND h.state <> 'done')"""


@dataclass(slots=True)
class Pruned:
    """What one call deleted. `after` is where to go on when its time was up, None when all is done."""

    events: int = 0
    handlings: int = 0
    errors: int = 0
    heartbeats: int = 0
    after: uuid.UUID | None = None


@dataclass(slots=True)
class _Call:
    boundary: int  # the first event that is too young
    batch: int
    ends: float | None
    pruned: Pruned

    def time_is_up(self, at: uuid.UUID) -> bool:
        if self.ends is not None and time.monotonic() > self.ends:
            self.pruned.after = at
        return self.pruned.after is not None


def prune(
    older_than: timedelta = OLDER_THAN,
    *,
    batch: int = BATCH,
    budget: float | None = None,
    after: uuid.UUID = FIRST,
) -> Pruned:
    """Deletes what is closed and older than that.

    With a `budget` it stops after so many seconds; `after` of its answer lets the next call go on.
    """
    now = sql.database_now()
    ends = time.monotonic() + budget if budget is not None else None
    call = _Call(_first_event_since(now - older_than), batch, ends, Pruned())
    for conversation in _old_conversations(call.boundary, after):
        # The one at `after` was found closed before its deletion was cut short.
        if conversation == after or _is_closed(conversation, call.boundary):
            _delete_all(call, "e.conversation_id = %s", [sql.plain(conversation)], at=conversation)
        if call.pruned.after is not None or call.time_is_up(uuid.UUID(int=conversation.int + 1)):
            return call.pruned
    _delete_all(call, "e.conversation_id IS NULL", [], at=LAST)
    if call.pruned.after is None:
        _forget_the_unused(call.pruned, now, older_than)
    return call.pruned


def _first_event_since(limit: datetime) -> int:
    """The id from which events are younger than the limit. Ids rise with time, so it is found by
    halving: `occurred_at` needs no index."""
    ids = OutboxEvent.objects.order_by("id").values_list("id", "occurred_at")
    oldest, newest = ids.first(), ids.last()
    if oldest is None or newest is None:
        return 0
    low, high = oldest[0], newest[0] + 1
    while low < high:
        middle = (low + high) // 2
        found = ids.filter(id__gte=middle).first()
        if found is None or found[1] >= limit:
            high = middle
        else:
            low = found[0] + 1
    return low


def _old_conversations(boundary: int, after: uuid.UUID) -> Iterator[uuid.UUID]:
    """Conversations from `after` on without an event as young as the boundary, in index order.

    Each step jumps to the next conversation in the index. `id + 0` keeps the primary key, which would
    be walked through all younger events, out of the plan.
    """
    following = """SELECT conversation_id FROM outbox_outboxevent
                   WHERE conversation_id {} ORDER BY conversation_id LIMIT 1"""
    statement = f"""
        WITH RECURSIVE walk(id, step) AS (
            SELECT ({following.format(">= %s")}), 1
            UNION ALL
            SELECT ({following.format("> walk.id")}), step + 1
            FROM walk WHERE id IS NOT NULL AND step < {WALK}
        )
        SELECT id, (SELECT 1 FROM outbox_outboxevent e
                    WHERE e.conversation_id = walk.id AND e.id + 0 >= %s LIMIT 1)
        FROM walk WHERE id IS NOT NULL"""
    while True:
        steps = _fetch(statement, [sql.plain(after), boundary])
        for found, young in steps:
            after = sql.as_uuid(found)
            if young is None:
                yield after
        if len(steps) < WALK:
            return
        after = uuid.UUID(int=after.int + 1)


def _is_closed(conversation: uuid.UUID, boundary: int) -> bool:
    """Whether all of its work is over (and its age asked again now: it may have come to life)."""
    return not _fetch(
        f"""SELECT 1 FROM outbox_outboxevent e
            WHERE e.conversation_id = %s AND (e.id + 0 >= %s OR NOT ({_OVER})) LIMIT 1""",
        [sql.plain(conversation), boundary],
    )


def _delete_all(call: _Call, which: str, params: Sequence[Any], *, at: uuid.UUID) -> None:
    """Deletes these events, as far as their work is over, in one transaction a batch. To be cut short
    does no harm: what is left is closed still."""
    statement = f"""SELECT e.id FROM outbox_outboxevent e
                    WHERE {which} AND e.id + 0 < %s AND {_OVER} LIMIT {TAKEN}"""
    while ids := [row[0] for row in _fetch(statement, [*params, call.boundary])]:
        for start in range(0, len(ids), call.batch):
            _delete(call.pruned, ids[start : start + call.batch])
            if call.time_is_up(at):
                return


def _delete(pruned: Pruned, event_ids: Sequence[int]) -> None:
    events = sql.listed(event_ids)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM outbox_handling WHERE {sql.any_of('event_id')}", [events])
        pruned.handlings += cursor.rowcount
        cursor.execute(f"DELETE FROM outbox_outboxevent WHERE {sql.any_of('id')}", [events])
        pruned.events += cursor.rowcount


def _forget_the_unused(pruned: Pruned, now: datetime, older_than: timedelta) -> None:
    """Groups of errors that nothing is parked for, and processes that were last seen long ago."""
    with connection.cursor() as cursor:
        # Not by the ORM, whose cascade would look through all handlings to clear their reference.
        cursor.execute(
            """DELETE FROM outbox_error WHERE last_at < %s AND id NOT IN
               (SELECT error_id FROM outbox_handling WHERE error_id IS NOT NULL)""",
            [sql.plain(now - older_than)],
        )
        pruned.errors = cursor.rowcount
    pruned.heartbeats, _ = Heartbeat.objects.filter(seen_at__lt=now - KEPT).delete()


def _fetch(statement: str, params: Sequence[Any]) -> Sequence[Any]:
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        rows: Sequence[Any] = cursor.fetchall()
        return rows
