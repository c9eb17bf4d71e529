"""Fan-out: each new event becomes one handling for each stored subscription of its type.

By the stored subscriptions, not by the code that this relay has loaded: beside workers of another
release it loses nothing.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.db import connection

from outbox import sql
from outbox.board import LaneState
from outbox.models import State, Subscription
from outbox.passes import NewLease, Pass

FAN_OUT = 2000  # events a pass, at most

_COLUMNS = (
    "id", "event_id", "subscription_id", "lane_id", "state", "pos", "due_at", "lease_id",
    "tries", "deaths", "deaths_alone", "generation", "message",
)  # fmt: skip


class Wanted(NamedTuple):
    """A handling to be made. `due_at` is None for what may run at once."""

    event_id: int
    subscription_id: int
    lane_id: int
    due_at: datetime | None


def fan_out(step: Pass, *, lease_new: bool) -> None:
    """Makes the handlings of events that are not fanned out yet; with `lease_new` as many as there is
    room for are born leased."""
    wanted = _handlings_of(_take_events(), step)
    births = _Births(step, wanted, lease_new=lease_new)
    ids = sql.allocate("outbox_handling", len(wanted))
    rows = []
    for handling_id, item in zip(ids, wanted, strict=True):
        state, lease_id = births.place(handling_id, item)
        pos = handling_id if state is State.READY else None
        rows.append(
            (handling_id, item.event_id, item.subscription_id, item.lane_id, state.value, pos, item.due_at,
             lease_id, 0, 0, 0, 0, "")
        )  # fmt: skip
    sql.insert("outbox_handling", _COLUMNS, rows)
    step.moved += len(rows)


def _take_events() -> Sequence[Any]:
    """The oldest events that are not fanned out, which they are from now on."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT event_id FROM outbox_unrelayed ORDER BY event_id LIMIT {FAN_OUT}")
        ids = sql.listed(row[0] for row in cursor.fetchall())
        cursor.execute(f"DELETE FROM outbox_unrelayed WHERE {sql.any_of('event_id')}", [ids])
        cursor.execute(
            f"""SELECT id, type, lane_id, due_at FROM outbox_outboxevent
                WHERE {sql.any_of("id")} ORDER BY id""",
            [ids],
        )
        events: Sequence[Any] = cursor.fetchall()
    return events


def _handlings_of(events: Sequence[Any], step: Pass) -> list[Wanted]:
    """The handlings that the subscriptions want, whose lanes stand on the board then."""
    if not events:
        return []
    by_type: dict[str, list[Subscription]] = defaultdict(list)
    for subscription in Subscription.objects.filter(active=True).order_by("id"):
        by_type[subscription.event_type].append(subscription)
    own_lanes = step.board.own_lanes({s.handler for found in by_type.values() for s in found})
    lanes_of = step.board.by_handler({event_lane for _, _, event_lane, _ in events if event_lane})
    wanted = []
    for event_id, event_type, event_lane, due_at in events:
        due = sql.as_datetime(due_at)
        for subscription in by_type.get(event_type, ()):
            if event_id > subscription.since_event:
                # What stands in a lane is run by the lane's handler: another's must not.
                at_home = subscription.in_lane and event_lane in lanes_of[subscription.handler]
                lane_id = event_lane if at_home else own_lanes[subscription.handler]
                waits = subscription.when_due and due is not None and due > step.now
                wanted.append(Wanted(event_id, subscription.id, lane_id, due if waits else None))
    return wanted


class _Births:
    """Where each new handling goes. It is born leased while its lane is empty and has room: that saves
    an update each."""

    def __init__(self, step: Pass, wanted: Sequence[Wanted], *, lease_new: bool) -> None:
        self._step = step
        self._lease_new = lease_new
        self._leases: dict[int, NewLease | None] = {}
        self._left: dict[int, int] = defaultdict(int)
        for item in wanted:
            self._left[item.lane_id] += item.due_at is None

    def place(self, handling_id: int, item: Wanted) -> tuple[State, int | None]:
        """The state that it is born in, and its lease."""
        if item.due_at is not None:
            return State.WAITING, None
        lane = self._step.board.lanes[item.lane_id]
        lease = self._leases.get(lane.id)
        if lease is None or len(lease.ids) >= lease.grant.count:
            lease = self._leases[lane.id] = self._open_lease(lane)
        self._left[lane.id] -= 1
        if lease is None:
            self._step.change_ready(lane, 1)
            return State.READY, None
        lease.ids.append(handling_id)
        return State.LEASED, lease.id

    def _open_lease(self, lane: LaneState) -> NewLease | None:
        # What is ready in the lane, or beside it under the same parent, was there first.
        if not self._lease_new or lane.ready or (lane.parent and lane.parent.wanting):
            return None
        return self._step.open_lease(lane, self._left[lane.id])
