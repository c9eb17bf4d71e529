"""Settling: how a worker leaves handlings, always under its fenced lease."""

import traceback
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from django.db import connection, transaction

from outbox import sql
from outbox.errors import LeaseLost
from outbox.leases import Claim, Entry
from outbox.models import Error, Handling, State
from outbox.notices import HandlingParked
from outbox.outcomes import Defer, Outcome
from outbox.publishing import publish
from outbox.retries import Again, is_conflict
from outbox.wakeup import wake_relay

T = TypeVar("T")

MESSAGE_LIMIT = 2000  # characters kept of an error
SAMPLE_KEPT = timedelta(minutes=1)
CONFLICT_TRIES = 3


@dataclass(frozen=True, slots=True)
class Failure:
    """A handler reported failure for one handling."""

    entry: Entry
    error: BaseException


def complete(claim: Claim, ids: Sequence[int]) -> None:
    """These are handled. Raises LeaseLost unless the lease holds every one of them."""
    if not ids:
        return
    now, params = sql.clock()
    with connection.cursor() as cursor:
        cursor.execute(
            f"""UPDATE outbox_handling SET state = 'done', lease_id = NULL, finished_at = {now}
                WHERE {sql.any_of("id")} AND lease_id = %s AND state = 'leased'""",
            [*params, sql.listed(ids), claim.lease_id],
        )
        if cursor.rowcount != len(ids):
            raise LeaseLost(f"lease {claim.lease_id} held {cursor.rowcount} of {len(ids)} handlings")


def defer(claim: Claim, ids: Sequence[int], outcome: Defer) -> None:
    """These wait, uncounted; with no delay they are given back to whoever takes them next."""
    if ids:
        due_at = sql.database_now() + timedelta(seconds=outcome.seconds)
        _leave(claim, ids, state=State.WAITING, due_at=due_at)


def settle(claim: Claim, entries: Sequence[Entry], outcomes: Sequence[Outcome]) -> None:
    """Leaves each as its handler answered; the next step of long work is one that is due now."""
    done: list[int] = []
    deferred: dict[Defer, list[int]] = defaultdict(list)
    for entry, outcome in zip(entries, outcomes, strict=True):
        if outcome is None:
            done.append(entry.id)
        else:
            deferred[outcome if isinstance(outcome, Defer) else Defer()].append(entry.id)
    complete(claim, done)
    for until, ids in deferred.items():
        defer(claim, ids, until)


def fail(claim: Claim, failure: Failure) -> None:
    """Counts one failure; the handler's retry policy says whether it waits or is parked."""
    now = sql.database_now()
    tries = failure.entry.tries + 1
    decision = claim.handler.retry(tries, failure.error, now)
    message = describe(failure.error)
    if isinstance(decision, Again):
        values = {"due_at": decision.at, "tries": tries, "message": message}
        _leave(claim, [failure.entry.id], state=State.WAITING, **values)
    else:
        _park(claim, failure, tries=tries, message=message, now=now)


def _park(claim: Claim, failure: Failure, *, tries: int, message: str, now: datetime) -> None:
    group = group_of(claim.handler.name, failure.error)
    values = {"error": group, "tries": tries, "message": message, "finished_at": now}
    _leave(claim, [failure.entry.id], state=State.PARKED, **values)
    if claim.handler.tells_when_parked:
        event = failure.entry.event
        publish(
            HandlingParked(
                correlation_id=event.correlation_id,
                conversation_id=event.conversation_id,
                causation_id=event.id,
                occurrence=tries,
                handling_id=failure.entry.id,
                handler=claim.handler.name,
                exception=group.exception,
                place=group.place,
                message=message[:300],
            )
        )


def release(claim: Claim) -> None:
    """Ends the lease: nothing of the batch is held any longer. The relay may hand over the next."""
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM outbox_lease WHERE id = %s AND token = %s", [claim.lease_id, sql.plain(claim.token)]
        )
    transaction.on_commit(wake_relay)


def _leave(claim: Claim, ids: Sequence[int], *, state: State, **values: object) -> None:
    held = Handling.objects.filter(id__in=list(ids), lease_id=claim.lease_id, state=State.LEASED)
    left = held.update(state=state, lease_id=None, **values)
    if left != len(ids):
        raise LeaseLost(f"lease {claim.lease_id} held {left} of {len(ids)} handlings")


def describe(error: BaseException) -> str:
    """The error as one storable text."""
    text = f"{type(error).__name__}: {error}".replace("\x00", "\\x00")
    return text.encode("utf-8", "replace").decode()[:MESSAGE_LIMIT]


def group_of(handler: str, error: BaseException) -> Error:
    """The group of a failure: same handler, same exception, same place in the code."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "site-packages" not in frame.filename] or list(frames)
    place = f"{'/'.join(own[-1].filename.split('/')[-2:])}:{own[-1].lineno} {own[-1].name}" if own else ""
    return error_group(handler, type(error).__name__, place, sample=describe(error))


def error_group(handler: str, exception: str, place: str, *, sample: str) -> Error:
    """The group, with this sample if its last one has become old: workers that fail together must not
    queue for one row."""
    group, made = Error.objects.get_or_create(
        handler=handler, exception=exception[:100], place=place[:200], defaults={"sample": sample}
    )
    if not made and group.last_at < sql.database_now() - SAMPLE_KEPT:
        group.sample = sample
        group.save(update_fields=["sample", "last_at"])
    return group


def again_on_conflict(call: Callable[[], T]) -> T:
    """Runs a transaction; again at once, three times, when another stood in its way."""
    for _ in range(CONFLICT_TRIES):
        try:
            return call()
        except Exception as exc:
            if not is_conflict(exc):
                raise
    return call()
