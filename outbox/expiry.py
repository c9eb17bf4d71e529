"""Taking back leases that expired: the work of a message that was lost, or of a worker that died."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db import connection
from django.db.models import F, QuerySet

from outbox import sql
from outbox.models import Handling, Lease, State
from outbox.notices import HandlingParked
from outbox.publishing import publish
from outbox.registry import HANDLERS
from outbox.settling import error_group

logger = logging.getLogger(__name__)

DEATHS_ALONE = 3  # deaths in a lease of its own, with no other suspect beside it, that park a handling


@dataclass(slots=True)
class Taken:
    """What was taken back: the leases that ended, and the lane of each handling that became ready."""

    leases: set[int] = field(default_factory=set)
    lanes: list[int] = field(default_factory=list)


def take_back(lease_ids: Sequence[int], now: datetime, *, unclaimed: bool = False) -> Taken:
    """Ends these leases, under the relay's lock, if they have expired; or if they are `unclaimed`.

    A lease that was never claimed counts nothing. One that was running counts a death for each
    handling that it left unsettled: a suspect from then on. A lease that its worker has locked is being
    settled, or is in a transaction that the database ends at its hard limit: the relay waits for neither.
    """
    taken = Taken()
    leases = Lease.objects.select_for_update(no_key=True, skip_locked=True).filter(id__in=lease_ids)
    for lease in leases.order_by("id"):
        claimed = lease.state == Lease.State.RUNNING
        expired = min(lease.until, lease.hard_until or lease.until) < now
        if not expired and (claimed or not unclaimed):
            continue  # claimed or renewed since it was looked at
        if claimed:
            _count_deaths(lease, now)
        left = list(_left(lease).order_by("id").values_list("id", flat=True))
        put_back(left)
        taken.leases.add(lease.id)
        lease.delete()
        taken.lanes += [lease.lane_id] * len(left)
    return taken


def _left(lease: Lease) -> QuerySet[Handling]:
    return Handling.objects.filter(id__in=lease.ids, lease_id=lease.id, state=State.LEASED)


def _count_deaths(lease: Lease, now: datetime) -> None:
    logger.warning(
        "lease.expired handler=%s lease=%s owner=%s Its worker died or hangs.",
        lease.handler,
        lease.id,
        lease.owner,
    )
    _left(lease).update(deaths=F("deaths") + 1, deaths_alone=F("deaths_alone") + (1 if lease.alone else 0))
    for killer in _left(lease).filter(deaths_alone__gte=DEATHS_ALONE).select_related("event"):
        _park_killer(lease, killer, now)


def put_back(ids: Sequence[int]) -> None:
    """Makes these handlings ready, in this order, behind all others of their lanes."""
    if not ids:
        return
    positions = sql.allocate("outbox_handling", len(ids))
    table, params = sql.values_table(
        "v", {"id": "bigint", "pos": "bigint"}, list(zip(ids, positions, strict=True))
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f"""UPDATE outbox_handling SET state = 'ready', due_at = NULL, lease_id = NULL, pos = v.pos
                FROM {table} WHERE outbox_handling.id = v.id AND {sql.any_of("outbox_handling.id")}""",
            [*params, sql.listed(ids)],
        )


def _park_killer(lease: Lease, killer: Handling, now: datetime) -> None:
    message = f"It killed its worker {killer.deaths_alone} times when it ran alone."
    group = error_group(lease.handler, "WorkerDied", "", sample=message)
    Handling.objects.filter(id=killer.id).update(
        state=State.PARKED, lease_id=None, error=group, message=message, finished_at=now
    )
    handler = HANDLERS.get(lease.handler)
    if handler is None or handler.tells_when_parked:
        publish(
            HandlingParked(
                correlation_id=killer.event.correlation_id,
                conversation_id=killer.event.conversation_id,
                causation_id=killer.event_id,
                occurrence=killer.generation,
                handling_id=killer.id,
                handler=lease.handler,
                exception="WorkerDied",
                place="",
                message=message,
            )
        )
