"""Deliveries: created, cancelled, given up, sent again, deleted.

A status moves only from the one that its command expects, and only what has moved is published.
"""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection

from deliveries.events import DeliveryCancelled, DeliveryCreated, DeliveryFailed, DeliveryReopened
from deliveries.ids import delivery_id, number_range
from deliveries.models import Attempt, Delivery, Payload, Status
from outbox import sql
from outbox.publishing import publish

GIVEN_UP_IN_DOUBT = "An earlier attempt was not answered, and may have arrived."
MAYBE_ARRIVED = "It was cancelled, but an earlier attempt was not answered and may have arrived."


@dataclass(frozen=True, slots=True)
class Parcel:
    """One payload that a group wants sent."""

    number: int
    method: str
    path: str
    content_type: str
    body: str


def create_deliveries(
    *, group_id: uuid.UUID, destination_id: int, lane_id: int, parcels: Sequence[Parcel]
) -> None:
    """Writes deliveries, payloads and their DeliveryCreated. The ids are computed from group and number,
    so the same parcel a second time is an IntegrityError, never a second delivery."""
    ids = [delivery_id(group_id, parcel.number) for parcel in parcels]
    sql.insert(
        Delivery._meta.db_table,
        (
            "id", "group_id", "number", "destination_id", "lane_id", "status", "seq", "attempt",
            "fail_count", "revision", "maybe_arrived",
        ),
        [
            (i, group_id, parcel.number, destination_id, lane_id, "created", 0, 0, 0, 1, False)
            for i, parcel in zip(ids, parcels, strict=True)
        ],
    )  # fmt: skip
    sql.insert(
        Payload._meta.db_table,
        ("delivery_id", "revision", "method", "path", "content_type", "body"),
        [
            (i, 1, parcel.method, parcel.path, parcel.content_type, parcel.body)
            for i, parcel in zip(ids, parcels, strict=True)
        ],
    )
    publish(*(DeliveryCreated(correlation_id=i, conversation_id=group_id, lane_id=lane_id) for i in ids))


def cancel_deliveries(*, group_id: uuid.UUID, first: int, last: int) -> int:
    """Ends what is open among the group's deliveries `first` to `last`; returns how many."""
    low, high = number_range(group_id, first, last)
    moved = _move(
        "status IN ('created', 'scheduled', 'awaiting') AND id BETWEEN %s AND %s", [low, high], "cancelled"
    )
    publish(
        *(
            DeliveryCancelled(
                correlation_id=row.id,
                conversation_id=row.group_id,
                occurrence=row.attempt,
                number=row.number,
                seq=row.seq,
                code="outcome_unknown" if row.maybe_arrived else "cancelled",
                message=MAYBE_ARRIVED if row.maybe_arrived else "It was cancelled before it had arrived.",
            )
            for row in moved
        )
    )
    return len(moved)


def give_up_deliveries(*, group_id: uuid.UUID, first: int, last: int, why: str) -> int:
    """Fails what is to be tried again after a counted failure, among the group's deliveries `first` to
    `last`; returns how many. A success that is under way wins all the same."""
    low, high = number_range(group_id, first, last)
    moved = _move("status = 'scheduled' AND fail_count > 0 AND id BETWEEN %s AND %s", [low, high], "failed")
    publish(
        *(
            DeliveryFailed(
                correlation_id=row.id,
                conversation_id=row.group_id,
                occurrence=row.attempt,
                number=row.number,
                seq=row.seq,
                code="given_up",
                message=f"{why} {GIVEN_UP_IN_DOUBT}" if row.maybe_arrived else why,
            )
            for row in moved
        )
    )
    return len(moved)


def delete_deliveries(*, group_id: uuid.UUID, first: int, last: int) -> None:
    """Deletes an ended group's deliveries `first` to `last`, with their payloads and attempts."""
    ids = number_range(group_id, first, last)
    Attempt.objects.filter(delivery_id__range=ids).delete()
    Payload.objects.filter(delivery_id__range=ids).delete()
    Delivery.objects.filter(id__range=ids).delete()


def reopen_deliveries(ids: Iterable[uuid.UUID]) -> int:
    """Sends failed deliveries again, with a fresh schedule; returns how many were failed and are open now."""
    wanted = list(ids)
    moved = _move(
        f"status = 'failed' AND {sql.any_of('id')}", [sql.listed(wanted)], "scheduled", fail_count=0
    )
    publish(
        *(
            DeliveryReopened(
                correlation_id=row.id,
                conversation_id=row.group_id,
                occurrence=row.attempt,
                lane_id=row.lane_id,
                number=row.number,
                seq=row.seq,
            )
            for row in moved
        )
    )
    return len(moved)


def revise_delivery(id_: uuid.UUID, parcel: Parcel, *, revision: int) -> bool:
    """Sends a failed delivery again with another payload, under another key; the old payload is kept.

    Returns False when it is not failed (any more), or its payload is not that revision, and then
    changes nothing.
    """
    failed = Delivery.objects.filter(id=id_, status=Status.FAILED, revision=revision)
    delivery = failed.select_for_update(no_key=True).first()
    if delivery is None:
        return False
    delivery.revision += 1
    delivery.maybe_arrived = False  # nothing was ever sent under the new key
    delivery.save(update_fields=["revision", "maybe_arrived"])
    Payload.objects.create(
        delivery_id=id_,
        revision=delivery.revision,
        method=parcel.method,
        path=parcel.path,
        content_type=parcel.content_type,
        body=parcel.body,
    )
    return reopen_deliveries([id_]) == 1


@dataclass(frozen=True, slots=True)
class Moved:
    """A delivery whose status was just changed."""

    id: uuid.UUID
    group_id: uuid.UUID
    number: int
    seq: int
    attempt: int
    lane_id: int
    maybe_arrived: bool


def _move(where: str, params: Sequence[Any], status: str, **values: Any) -> list[Moved]:
    """Compare and set, set-based, locked in the order of the ids; returns what was moved."""
    table = Delivery._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT id FROM {table} WHERE {where} ORDER BY id {sql.locked()}", [sql.plain(p) for p in params]
        )
        ids = [sql.as_uuid(row[0]) for row in cursor.fetchall()]
        if not ids:
            return []
        sets = "".join(f", {column} = %s" for column in values)
        cursor.execute(
            f"""UPDATE {table} SET status = %s, seq = seq + 1{sets} WHERE {sql.any_of("id")}
                RETURNING id, group_id, number, seq, attempt, lane_id, maybe_arrived""",
            [status, *values.values(), sql.listed(ids)],
        )
        rows = [
            Moved(sql.as_uuid(i), sql.as_uuid(g), number, seq, attempt, lane, bool(maybe_arrived))
            for i, g, number, seq, attempt, lane, maybe_arrived in cursor.fetchall()
        ]
    return sorted(rows, key=lambda row: row.id)
