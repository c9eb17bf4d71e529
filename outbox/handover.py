"""Hand-over: ready handlings become batches under a lease, lane by lane in turn."""

from collections.abc import Iterator

from django.db import connection

from outbox import sql
from outbox.board import LaneState
from outbox.errors import OutboxError
from outbox.models import Handling
from outbox.passes import NewLease, Pass
from outbox.registry import HANDLERS

GROUP = 16  # suspects with a single death that share a lease


class Miscounted(OutboxError):
    """a handling that stood as ready is not; nothing but the relay may change it, so all is rolled back."""


def hand_over(step: Pass, *, most: int | None) -> None:
    """One batch a lane and turn, until nobody has work, room or leave; or `most` batches."""
    lanes = step.board.in_turn()
    while lanes:
        still = []
        for lane in lanes:
            if most is not None and len(step.leases) >= most:
                return
            if _hand_over_one(step, lane) and lane.ready > 0:
                still.append(lane)
        lanes = still


def _hand_over_one(step: Pass, lane: LaneState) -> bool:
    """Leases one batch of the lane, and the suspects at its head; False if nothing was leased."""
    handler = HANDLERS.get(lane.handler)
    if handler is None or step.board.grant(lane, 1) is None:
        return False
    head = _head(lane.id, handler.batch)
    clean = [handling_id for handling_id, deaths in head if deaths == 0]
    if not clean and len(head) == handler.batch:
        clean = [handling_id for handling_id, _ in _head(lane.id, handler.batch, deaths=0)]
    leased = bool(clean) and _lease(step, lane, clean)
    for ids, deaths in _suspects(head):
        leased = _lease_suspects(step, lane, ids, deaths) or leased
    return leased


def _suspects(head: list[tuple[int, int]]) -> Iterator[tuple[list[int], int]]:
    """Those whose workers died, as they may run: after one death in small groups, after more alone.

    Nearly always the worker was to blame, and a restart must not cost each of its handlings a lease.
    """
    once = [handling_id for handling_id, deaths in head if deaths == 1]
    for first in range(0, len(once), GROUP):
        yield once[first : first + GROUP], 1
    for handling_id, deaths in head:
        if deaths > 1:
            yield [handling_id], deaths


def _lease_suspects(step: Pass, lane: LaneState, ids: list[int], deaths: int) -> bool:
    """After a third death a suspect also runs at a time when no other such one does, whoever's, so that
    the next death is its own."""
    alone = deaths > 2
    return not (alone and step.board.suspect_runs) and _lease(step, lane, ids, alone=alone)


def _head(lane_id: int, limit: int, **only: int) -> list[tuple[int, int]]:
    ready = Handling.objects.ready().filter(lane_id=lane_id, **only)
    return list(ready.order_by("pos").values_list("id", "deaths")[:limit])


def _lease(step: Pass, lane: LaneState, ids: list[int], *, alone: bool = False) -> bool:
    lease = step.open_lease(lane, len(ids), alone=alone)
    if lease is None:
        return False
    lease.ids = ids[: lease.grant.count]
    _mark(lease)
    step.change_ready(lane, -len(lease.ids))
    step.moved += len(lease.ids)
    return True


def _mark(lease: NewLease) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            f"""UPDATE outbox_handling SET state = 'leased', lease_id = %s, pos = NULL
                WHERE {sql.any_of("id")} AND state = 'ready'""",
            [lease.id, sql.listed(lease.ids)],
        )
        if cursor.rowcount != len(lease.ids):
            raise Miscounted(f"{cursor.rowcount} of {len(lease.ids)} handlings were ready")
