"""Leases: claim by token swap, fence, renewal. Whoever lost a lease writes nothing."""

import os
import socket
import threading
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import orjson
from django.db import connection, transaction
from django.db.models import Q

from outbox import sql
from outbox.errors import LeaseLost
from outbox.events import Event, UnreadableEvent, restore
from outbox.models import Lane, Lease
from outbox.registry import Handler

HAND_OVER_HOLD = 10.0  # seconds that a message may take to its worker
RUN_HOLD = 20.0  # seconds of a run lease; far below the broker's visibility timeout
RENEW_AFTER = 5.0
MARGIN = 2.0  # seconds by which a lease must outlast whatever is started under it


@dataclass(frozen=True, slots=True)
class Entry:
    """One handling of a batch, with its event."""

    id: int
    tries: int
    deaths: int
    event: Event


@dataclass(slots=True)
class Claim:
    """A run lease as its worker sees it. Times are of the worker's monotonic clock."""

    lease_id: int
    token: uuid.UUID
    handler: Handler
    lane_id: int
    parent_id: int | None
    slots: int
    until: float
    hard_until: float
    act_limit: float
    hold: float
    closed: bool  # its lane was paused or held while the message was on its way
    first_start: float | None = None  # pacing: when the first start may be
    pace: float | None = None
    renewed: float = field(default_factory=time.monotonic)
    entries: list[Entry] = field(default_factory=list)
    newer: list[int] = field(default_factory=list)  # handlings whose event this release cannot read yet
    unreadable: list[tuple[Entry, Exception]] = field(default_factory=list)  # nor will any other

    @property
    def ids(self) -> list[int]:
        """All handlings that were claimed."""
        events = [*self.entries, *(entry for entry, _ in self.unreadable)]
        return [*(entry.id for entry in events), *self.newer]

    def time_left(self) -> float:
        return self.until - time.monotonic()


def owner_name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}:{threading.get_ident()}"


def claim(handler: Handler, lease_id: int, message_token: str) -> Claim | None:
    """Swaps the message's token for a fresh one; None if the message is late, repeated or not ours."""
    asked = time.monotonic()  # the lease is counted from before the claim was sent: never too long
    with transaction.atomic():
        now = sql.database_now()
        read = time.monotonic()  # the pace is counted from after the clock was read: never too early
        found = _waiting_lease(lease_id, message_token)
        if found is None:
            return None
        claim = _claim_of(handler, found, asked, now)
        if (paced_from := sql.as_datetime(found.paced_from)) is not None:
            claim.first_start = read + (paced_from - now).total_seconds()
        _fill(claim, found.ids)
        with connection.cursor() as cursor:
            cursor.execute(
                """UPDATE outbox_lease
                   SET token = %s, state = 'running', owner = %s, until = %s, hard_until = %s
                   WHERE id = %s""",
                [
                    sql.plain(claim.token),
                    owner_name(),
                    sql.plain(now + timedelta(seconds=claim.hold)),
                    sql.plain(now + timedelta(seconds=claim.hard_until - asked)),
                    lease_id,
                ],
            )
    return claim


class _Found(NamedTuple):
    """A lease whose message has come, with its lane and the one (`top`) whose limits hold for its acts."""

    id: int
    ids: Any
    lane_id: int
    parent_id: int | None
    slots: int
    paced_from: Any
    pace: float | None
    act_limit: float
    lane_paused: bool
    lane_held: Any
    top_paused: bool
    top_held: Any

    def is_closed(self, now: datetime) -> bool:
        held = (sql.as_datetime(self.lane_held), sql.as_datetime(self.top_held))
        return bool(
            self.lane_paused or self.top_paused or any(until is not None and until > now for until in held)
        )


def _waiting_lease(lease_id: int, message_token: str) -> _Found | None:
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT lease.id, ids, lane_id, lease.parent_id, slots, paced_from, pace, top.act_limit,
                       lane.paused, lane.held_until, top.paused, top.held_until
                FROM outbox_lease lease JOIN outbox_lane lane ON lane.id = lane_id
                JOIN outbox_lane top ON top.id = coalesce(lease.parent_id, lane_id)
                WHERE lease.id = %s AND token = %s AND state = 'handed_over' {sql.locked("lease")}""",
            [lease_id, sql.plain(uuid.UUID(message_token))],
        )
        row = cursor.fetchone()
    if row is None:
        return None
    found = _Found(*row)
    return found._replace(ids=orjson.loads(found.ids)) if isinstance(found.ids, str) else found


def _claim_of(handler: Handler, found: _Found, asked: float, now: datetime) -> Claim:
    hold = max(RUN_HOLD, found.act_limit + 10.0)
    return Claim(
        lease_id=found.id,
        token=uuid.uuid4(),
        handler=handler,
        lane_id=found.lane_id,
        parent_id=found.parent_id,
        slots=found.slots,
        until=asked + hold,
        hard_until=asked + max(handler.hard_limit, hold),
        act_limit=found.act_limit,
        hold=hold,
        closed=found.is_closed(now),
        pace=found.pace,
    )


def _fill(claim: Claim, ids: Sequence[int]) -> None:
    """Reads the handlings still held under the lease, in the order of their events."""
    statement = f"""
        SELECT h.id, h.tries, h.deaths, e.type, e.version, e.payload, e.id, e.correlation_id, e.occurrence,
               e.causation_id, e.conversation_id, e.lane_id, e.due_at, e.occurred_at
        FROM outbox_handling h JOIN outbox_outboxevent e ON e.id = h.event_id
        WHERE {sql.any_of("h.id")} AND h.lease_id = %s AND h.state = 'leased' ORDER BY e.id"""
    with connection.cursor() as cursor:
        sql.load_times_fast(cursor)
        cursor.execute(statement, [sql.listed(ids), claim.lease_id])
        rows = cursor.fetchall()
    for handling_id, tries, deaths, kind, version, payload, *envelope in rows:
        values = _envelope(envelope)
        try:
            event = restore(kind, version, payload, **values)
        except UnreadableEvent:
            claim.newer.append(handling_id)
        except Exception as exc:
            # Raised here it would look as if each worker that claims the batch had died.
            claim.unreadable.append((Entry(handling_id, tries, deaths, Event(**values)), exc))
        else:
            claim.entries.append(Entry(handling_id, tries, deaths, event))


def _envelope(stored: Sequence[Any]) -> dict[str, Any]:
    event_id, correlation, occurrence, cause, conversation, lane_id, due, at = stored
    return {
        "id": event_id,
        "correlation_id": sql.as_uuid(correlation),
        "occurrence": occurrence,
        "causation_id": cause,
        "conversation_id": sql.as_uuid(conversation) if conversation else None,
        "lane_id": lane_id,
        "due_at": sql.as_datetime(due),
        "occurred_at": sql.as_datetime(at),
    }


def fence(claim: Claim) -> None:
    """Locks the lease for the rest of the transaction, first of all locks; raises LeaseLost.

    A transaction that hangs keeps the lock, and nobody else could have its work: PostgreSQL ends it at
    the lease's hard limit.
    """
    statement = f"FROM outbox_lease WHERE id = %s AND token = %s {sql.locked()}"
    params: list[Any] = [claim.lease_id, sql.plain(claim.token)]
    if sql.on_postgresql():
        limit = str(max(1000, int(1000 * (claim.hard_until - time.monotonic()))))
        names = "statement_timeout", "idle_in_transaction_session_timeout"
        limits = ", ".join(f"set_config('{name}', %s, true)" for name in names)
        statement, params = f"SELECT id, {limits} {statement}", [limit, limit, *params]
    else:
        statement = f"SELECT id {statement}"
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        if cursor.fetchone() is None:
            raise LeaseLost(f"lease {claim.lease_id} is no longer ours")


def still_held(claim: Claim, ids: Sequence[int]) -> set[int]:
    """Which of these handlings the (fenced) lease still holds."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT id FROM outbox_handling
                WHERE {sql.any_of("id")} AND lease_id = %s AND state = 'leased'""",
            [sql.listed(ids), claim.lease_id],
        )
        return {row[0] for row in cursor.fetchall()}


def renew(claim: Claim) -> None:
    """Lengthens the lease after progress, never past its hard limit; raises LeaseLost.

    Called often: it writes only when the last renewal is RENEW_AFTER seconds old.
    """
    asked = time.monotonic()
    if asked - claim.renewed < RENEW_AFTER:
        return
    hold = min(claim.hold, claim.hard_until - asked)
    if hold <= 0:
        raise LeaseLost(f"lease {claim.lease_id} is past its hard limit")
    until = sql.database_now() + timedelta(seconds=hold)
    if not Lease.objects.filter(id=claim.lease_id, token=claim.token).update(until=until):
        raise LeaseLost(f"lease {claim.lease_id} is no longer ours")
    claim.renewed = asked
    claim.until = asked + hold


def lane_is_open(claim: Claim) -> bool:
    """Whether the batch may start more: its lane and the parent are neither paused, held nor drained.

    A batch that was loaded before its lane was drained would go on with what nobody wants any more.
    """
    lanes = [claim.lane_id] if claim.parent_id is None else [claim.lane_id, claim.parent_id]
    closed = closed_at(sql.database_now()) | Q(draining=True)
    return not Lane.objects.filter(id__in=lanes).filter(closed).exists()


def closed_at(now: datetime) -> Q:
    return Q(paused=True) | Q(held_until__gt=now)
