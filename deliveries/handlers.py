"""The handlers of deliveries: schedule, execute, retry, register. None of them knows another."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection

from deliveries import attempts, tallies
from deliveries.answers import Kind
from deliveries.commands import EXECUTE
from deliveries.events import (
    DeliveryAttemptFailed,
    DeliveryCreated,
    DeliveryFailed,
    DeliveryReopened,
    DeliveryScheduled,
    DeliverySucceeded,
)
from deliveries.models import Delivery, Destination
from deliveries.schedule import Schedule
from deliveries.sending import SLOTS, Sending
from outbox import sql
from outbox.models import Kind as HandlerKind
from outbox.models import Lane
from outbox.outcomes import Defer, Outcome
from outbox.publishing import publish
from outbox.registry import handler

REFUSED_WAIT = 10.0  # seconds for which a refused delivery waits for the destination's answers to others
REFUSED_TRIES = 3  # attempts of its own after which it stops waiting for others

handler(
    EXECUTE,
    on=DeliveryScheduled,
    kind=HandlerKind.EFFECT,
    batch=400,
    in_lane=True,
    when_due=True,
    slots=SLOTS,
)(Sending)


@handler("deliveries.schedule_delivery", on=[DeliveryCreated, DeliveryReopened], batch=500)
def schedule_delivery(events: Sequence[DeliveryCreated | DeliveryReopened]) -> None:
    """The next attempt is due now; a delivery that has moved on since is left alone."""
    rows = [(e.correlation_id, e.occurrence) for e in sorted(events, key=lambda e: e.correlation_id)]
    table, params = sql.values_table("v", {"id": "uuid", "attempt": "integer"}, rows)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""UPDATE deliveries_delivery
                SET status = 'scheduled', attempt = deliveries_delivery.attempt + 1
                FROM {table}
                WHERE deliveries_delivery.id = v.id AND {sql.any_of("deliveries_delivery.id")}
                  AND deliveries_delivery.attempt = v.attempt AND status IN ('created', 'scheduled')
                RETURNING deliveries_delivery.id""",
            [*params, sql.listed(row[0] for row in rows)],
        )
        moved = {sql.as_uuid(row[0]) for row in cursor.fetchall()}
    publish(
        *(
            DeliveryScheduled(
                correlation_id=event.correlation_id,
                conversation_id=event.conversation_id,
                occurrence=event.occurrence + 1,
                causation_id=event.id,
                lane_id=event.lane_id,
            )
            for event in events
            if event.correlation_id in moved
        )
    )


@dataclass(frozen=True, slots=True)
class _Next:
    """What becomes of a delivery whose attempt failed."""

    event: DeliveryAttemptFailed
    wait: float | None  # None: it fails for good
    fail_count: int


@handler("deliveries.retry_delivery", on=DeliveryAttemptFailed, batch=200)
def retry_delivery(events: Sequence[DeliveryAttemptFailed]) -> Sequence[Outcome]:
    """Schedules the next attempt, or gives the delivery up."""
    ids = sorted({event.correlation_id for event in events})
    deliveries = {
        delivery.id: delivery
        for delivery in Delivery.objects.select_for_update(no_key=True)
        .filter(id__in=ids, status="scheduled")
        .order_by("id")
    }
    destinations = Destination.objects.in_bulk({delivery.destination_id for delivery in deliveries.values()})
    now = sql.database_now()
    outcomes: list[Outcome] = []
    decided: list[_Next] = []
    for event in events:
        delivery = deliveries.get(event.correlation_id)
        if delivery is None or delivery.attempt != event.occurrence:
            outcomes.append(None)  # cancelled, or decided already
            continue
        next_ = _decide(event, delivery, destinations[delivery.destination_id], now)
        outcomes.append(next_ if isinstance(next_, Defer) else None)
        if isinstance(next_, _Next):
            decided.append(next_)
    _schedule_again([item for item in decided if item.wait is not None], deliveries, now)
    _give_up([item for item in decided if item.wait is None])
    return outcomes


def _decide(
    event: DeliveryAttemptFailed, delivery: Delivery, destination: Destination, now: datetime
) -> _Next | Defer:
    if event.kind == Kind.FAILED:
        return _Next(event, None, delivery.fail_count + 1)
    if event.kind == Kind.REFUSED:
        return _decide_refused(event, delivery, destination, now)
    if not event.counted:
        return _Next(event, event.wait or 1.0, delivery.fail_count)
    fail_count = delivery.fail_count + 1
    schedule = Schedule(
        max_attempts=destination.max_attempts,
        first=destination.retry_first,
        factor=destination.retry_factor,
        cap=destination.retry_cap,
    )
    return _Next(event, schedule.wait(fail_count, event.wait), fail_count)


def _decide_refused(
    event: DeliveryAttemptFailed, delivery: Delivery, destination: Destination, now: datetime
) -> _Next | Defer:
    """Refused alone, it fails for good; refused like all others, it waits for the access to be mended."""
    refused_at = event.occurred_at or now
    if destination.last_success_at and destination.last_success_at > refused_at:
        return _Next(event, None, delivery.fail_count)
    if Lane.objects.filter(id=destination.lane_id, paused=True).exists():
        return _Next(event, 0.0, delivery.fail_count)
    if (now - refused_at).total_seconds() < REFUSED_WAIT:
        return Defer(2.0)
    alone = event.occurrence >= REFUSED_TRIES
    return _Next(event, None if alone else 0.0, delivery.fail_count)


def _schedule_again(items: Sequence[_Next], deliveries: dict[uuid.UUID, Delivery], now: datetime) -> None:
    _update(
        "attempt = v.attempt, fail_count = v.fail_count",
        [(item.event.correlation_id, item.event.occurrence + 1, item.fail_count) for item in items],
    )
    publish(
        *(
            DeliveryScheduled(
                correlation_id=item.event.correlation_id,
                conversation_id=item.event.conversation_id,
                occurrence=item.event.occurrence + 1,
                causation_id=item.event.id,
                lane_id=deliveries[item.event.correlation_id].lane_id,
                due_at=now + timedelta(seconds=item.wait or 0.0),
            )
            for item in items
        )
    )


def _give_up(items: Sequence[_Next]) -> None:
    seqs = _update(
        "status = 'failed', seq = deliveries_delivery.seq + 1, fail_count = v.fail_count",
        [(item.event.correlation_id, item.event.occurrence, item.fail_count) for item in items],
    )
    publish(
        *(
            DeliveryFailed(
                correlation_id=item.event.correlation_id,
                conversation_id=item.event.conversation_id,
                occurrence=item.event.occurrence,
                causation_id=item.event.id,
                number=item.event.number,
                seq=seqs[item.event.correlation_id],
                http_status=item.event.http_status,
                code=item.event.code,
                message=item.event.message,
            )
            for item in items
        )
    )


def _update(sets: str, rows: Sequence[tuple[uuid.UUID, int, int]]) -> dict[uuid.UUID, int]:
    """Writes rows of (id, attempt, fail count), locked by the caller; returns their seq by id."""
    if not rows:
        return {}
    table, params = sql.values_table(
        "v", {"id": "uuid", "attempt": "integer", "fail_count": "smallint"}, rows
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f"""UPDATE deliveries_delivery SET {sets} FROM {table}
                WHERE deliveries_delivery.id = v.id AND {sql.any_of("deliveries_delivery.id")}
                RETURNING deliveries_delivery.id, seq""",
            [*params, sql.listed(row[0] for row in rows)],
        )
        return {sql.as_uuid(row[0]): row[1] for row in cursor.fetchall()}


@handler(
    "deliveries.register_attempt",
    on=[DeliveryScheduled, DeliverySucceeded, DeliveryAttemptFailed],
    kind=HandlerKind.PROJECTION,
    batch=500,
)
def register_attempt(events: Sequence[DeliveryScheduled | DeliverySucceeded | DeliveryAttemptFailed]) -> None:
    """Merges what the events say into the attempts' rows, and counts those that ended."""
    attempts.merge(events)
    tallies.add(events)
