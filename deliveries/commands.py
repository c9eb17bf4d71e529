"""What can be done with destinations and deliveries. Every command runs in the caller's transaction,
moves a status only from the one that it expects, and publishes only what it has moved."""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.db import connection, transaction

from deliveries import token_requests, tokens
from deliveries.addresses import problem_with_url
from deliveries.authentication import Auth, problem_with
from deliveries.errors import BadDestination, DestinationChanged, UnknownDestination
from deliveries.events import (
    DeliveryCancelled,
    DeliveryCreated,
    DeliveryFailed,
    DeliveryReopened,
    DestinationPaused,
    DestinationResumed,
)
from deliveries.ids import delivery_id, number_range
from deliveries.models import Attempt, Delivery, Destination, Payload, Status
from deliveries.wire import problem_with_header
from outbox import lanes, sql
from outbox.models import uuid7
from outbox.publishing import publish

GIVEN_UP_IN_DOUBT = "An earlier attempt was not answered, and may have arrived."
MAYBE_ARRIVED = "It was cancelled, but an earlier attempt was not answered and may have arrived."
HEALTH = {"failing", "refusals", "last_success_at"}  # written by what is sent, and empty while all is well
EXECUTE = "deliveries.execute_delivery"  # the handler whose lanes carry pause, rate, breaker, fairness


@dataclass(frozen=True, slots=True)
class Parcel:
    """One payload that a group wants sent."""

    number: int
    method: str
    path: str
    content_type: str
    body: str


# Destinations


def add_destination(
    *,
    name: str,
    url: str,
    method: str = "POST",
    headers: dict[str, str] | None = None,
    rate: float | None = None,
    concurrency: int | None = None,
    **settings_: Any,
) -> Destination:
    """Stores a destination with its lane. Raises BadDestination with a sentence that says what to change."""
    with transaction.atomic():
        if rate is not None and rate <= 0:
            raise BadDestination("A rate is a number of requests a second, above 0.")
        destination = Destination(
            name=name,
            url=url,
            method=method,
            headers=headers or {},
            rate=rate,
            concurrency=concurrency,
            **settings_,
        )
        destination.lane_id = lanes.ensure(
            EXECUTE,
            f"destination:{uuid7()}",
            max_slots=concurrency,
            interval=1 / rate if rate else None,
            act_limit=_act_limit(destination),
        )
        _check(destination)
        destination.save()
    return destination


def _act_limit(destination: Destination) -> float:
    """Seconds that one act may take: with OAuth2 a request, a new token, and the request once more."""
    if destination.auth == Auth.OAUTH2:
        return 2 * destination.timeout + token_requests.LIMIT
    return destination.timeout


def _check(destination: Destination) -> None:
    if problem := problem_with_url(destination.url):
        raise BadDestination(problem)
    for header, value in destination.headers.items():
        if problem := problem_with_header(header, value):
            raise BadDestination(problem)
    try:
        destination.full_clean(exclude=HEALTH)
    except ValidationError as exc:
        field, messages = next(iter(exc.message_dict.items()))
        place = "" if field == "__all__" else f"{field}: "
        raise BadDestination(f"{place}{messages[0]}") from exc
    _, problem = problem_with(destination.auth, destination.credentials or {}, destination.headers)
    if problem:
        raise BadDestination(problem)


def change_destination(destination_id: int, *, edition: int | None = None, **fields: Any) -> Destination:
    """Changes a destination, and its lane's limits with it. `edition` is that of what the person saw.

    Raises BadDestination as `add_destination`, DestinationChanged if another edition is stored, with
    other values than these, and UnknownDestination.
    """
    with transaction.atomic():
        destination = _locked(destination_id)
        changed = {name for name, value in fields.items() if getattr(destination, name) != value}
        if not changed:
            return destination
        if edition not in (None, destination.edition):
            raise DestinationChanged(
                "Somebody else changed this destination while this page was open, so nothing is stored. "
                "Open it again to see how it is now, and make your change there."
            )
        for name in changed:
            setattr(destination, name, fields[name])
        destination.edition += 1
        _check(destination)
        destination.save(update_fields=[*changed, "edition"])
        if changed & {"auth", "credentials"}:
            tokens.forget(destination.id)
        lanes.limit(
            destination.lane_id,
            max_slots=destination.concurrency,
            interval=1 / destination.rate if destination.rate else None,
            act_limit=_act_limit(destination),
        )
    return destination


def get_destination(name: str) -> Destination:
    """The destination of that name; raises UnknownDestination naming those there are."""
    destination = Destination.objects.filter(name=name).first()
    if destination is None:
        known = ", ".join(Destination.objects.order_by("name").values_list("name", flat=True)[:20])
        raise UnknownDestination(
            f"There is no destination {name}. "
            + (f"Known are: {known}." if known else "Add one with: manage.py add_destination NAME URL")
        )
    return destination


def pause_destination(destination_id: int, *, reason: str, by_person: bool) -> bool:
    """Nothing more is sent there until it is resumed; says whether this call paused it."""
    destination = _locked(destination_id)
    if not lanes.pause([destination.lane_id], why=reason):
        return False
    Destination.objects.filter(id=destination_id).update(paused_for=reason[:300])
    publish(
        DestinationPaused(
            correlation_id=_story(destination),
            destination_id=destination.id,
            name=destination.name,
            reason=reason,
            by_person=by_person,
        )
    )
    return True


def resume_destination(destination_id: int) -> bool:
    """Ends a pause or a hold, and forgets what led to it; says whether there was one."""
    destination = _locked(destination_id)
    if not lanes.resume([destination.lane_id]):
        return False
    Destination.objects.filter(id=destination_id).update(
        paused_for="", failures=0, failing=[], breaker_opened=0, refusals=[]
    )
    publish(
        DestinationResumed(
            correlation_id=_story(destination), destination_id=destination.id, name=destination.name
        )
    )
    return True


def _locked(destination_id: int) -> Destination:
    destination = Destination.objects.select_for_update(no_key=True).filter(id=destination_id).first()
    if destination is None:
        raise UnknownDestination("This destination was deleted meanwhile.")
    return destination


def _story(destination: Destination) -> uuid.UUID:
    return uuid.uuid5(uuid.NAMESPACE_URL, f"rowpost:destination:{destination.id}")


# Groups


def open_group(group_id: uuid.UUID, destination: Destination) -> int:
    """The lane of the group's deliveries: paused with the group, limited with its destination."""
    return lanes.ensure(EXECUTE, f"group:{group_id}", parent_id=destination.lane_id)


def pause_group(lane_id: int) -> None:
    lanes.pause([lane_id], why="The feed is paused.")


def resume_group(lane_id: int) -> None:
    lanes.resume([lane_id])


def drain_group(lane_id: int) -> None:
    """The group was cancelled: what waits in its lane is dropped without taking the destination's rate."""
    lanes.drain(lane_id)


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


# Deliveries


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
