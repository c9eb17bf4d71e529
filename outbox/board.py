"""The board: who may be handed how much right now. Read once a pass, then kept in memory.

Every limit is decided here: living workers, a lane's hold, slots and rate, those of its parent,
and the share of the workers that one destination may hold.
"""

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection
from django.db.models import Q

from outbox import heartbeats, sql
from outbox.leases import closed_at
from outbox.models import Kind, Lane, Lease
from outbox.registry import HANDLERS, Handler

AHEAD = 2.0  # seconds of starts granted in advance, at most
TOP_UP = 1.0  # seconds left of them below which more are granted: fewer, fuller batches
LEAD = 0.03  # seconds that a message takes to its worker; a start before that would be late


@dataclass(slots=True)
class LaneState:
    """A lane during one pass."""

    id: int
    handler: str
    parent: "LaneState | None"
    ready: int
    closed: bool
    probing: bool
    draining: bool
    max_slots: int | None
    interval: float | None
    tat: datetime | None
    turn: int
    leases: int = 0
    slots: int = 0  # in flight
    wanting: int = 0  # lanes under this parent that have ready work
    tat_changed: bool = False

    @property
    def top(self) -> "LaneState":
        return self.parent or self

    @property
    def chain(self) -> "tuple[LaneState, ...]":
        """The lanes whose limits hold here; a lane that drains starts no acts and is bound by none."""
        if self.draining:
            return ()
        return (self,) if self.parent is None else (self, self.parent)

    @property
    def is_closed(self) -> bool:
        return any(link.closed for link in self.chain)

    def tokens(self, now: datetime, interval: float) -> int:
        """Starts that the rate allows to be granted now."""
        ahead = max(0.0, (self.tat - now).total_seconds()) if self.tat else 0.0
        if ahead > TOP_UP:
            return 0
        return max(1 if ahead <= 0 else 0, int((AHEAD - ahead) / interval))


@dataclass(frozen=True, slots=True)
class Grant:
    """Leave to lease so many handlings of a lane to one worker."""

    count: int
    slots: int
    paced_from: datetime | None = None
    pace: float | None = None


class Board:
    def __init__(self, now: datetime, live: Iterable[Lease]) -> None:
        self.now = now
        self.lanes: dict[int, LaneState] = {}
        self._crews = heartbeats.crews(now)
        self._leases: dict[str, int] = {}
        self._by_lane: dict[int, tuple[int, int]] = {}
        self.suspect_runs = False  # one that is to run with no other suspect beside it
        for lease in live:
            self._leases[lease.handler] = self._leases.get(lease.handler, 0) + 1
            self.suspect_runs = self.suspect_runs or lease.alone
            for lane_id in (lease.lane_id, lease.parent_id):
                if lane_id is not None:
                    count, slots = self._by_lane.get(lane_id, (0, 0))
                    self._by_lane[lane_id] = (count + 1, slots + lease.slots)

    # Lanes

    def load(self, ids: Iterable[int]) -> None:
        """Makes sure that these lanes stand on the board, each with its parent."""
        missing = {lane_id for lane_id in ids if lane_id not in self.lanes}
        if missing:
            self._add(Lane.objects.filter(id__in=missing))

    def own_lanes(self, handlers: set[str]) -> dict[str, int]:
        """Each handler's own lane, made if there is none, on the board."""
        lanes = {lane.handler: lane for lane in Lane.objects.filter(handler__in=handlers, key="")}
        for missing in sorted(handlers - lanes.keys()):
            lanes[missing] = Lane.objects.create(handler=missing, key="")
        self._add(lanes.values())
        return {handler: lane.id for handler, lane in lanes.items()}

    def by_handler(self, ids: set[int]) -> dict[str, set[int]]:
        """These lanes, on the board, by the handler that they belong to."""
        self.load(ids)
        found: dict[str, set[int]] = defaultdict(set)
        for lane in filter(None, map(self.lanes.get, ids)):
            found[lane.handler].add(lane.id)
        return found

    def load_ready(self, limit: int) -> None:
        """Puts the open lanes that have ready work on the board, those first whose turn is longest ago."""
        # Handlers that nobody can take work for now must not fill the board with their lanes.
        takers = [handler.name for handler in HANDLERS.values() if self._free(handler) > 0]
        open_lanes = Lane.objects.filter(ready__gt=0, handler__in=takers).exclude(closed_at(self.now))
        open_lanes = open_lanes.filter(
            Q(parent__isnull=True)
            | Q(draining=True)
            | Q(parent__paused=False)
            & (Q(parent__held_until__isnull=True) | Q(parent__held_until__lte=self.now))
        )
        self._add(open_lanes.order_by("turn", "id")[:limit])
        self.count_wanting()

    def count_wanting(self) -> None:
        for lane in self.lanes.values():
            lane.wanting = 0
        for lane in self.lanes.values():
            if lane.parent is not None and lane.ready > 0 and not lane.draining:
                lane.parent.wanting += 1

    def in_turn(self) -> list[LaneState]:
        """The open lanes with ready work, in their turn."""
        self.count_wanting()
        lanes = [lane for lane in self.lanes.values() if lane.ready > 0 and not lane.is_closed]
        return sorted(lanes, key=lambda lane: (lane.turn, lane.id))

    def _add(self, lanes: Iterable[Lane]) -> None:
        rows = list(lanes)
        parents = {row.parent_id for row in rows if row.parent_id is not None}
        self.load(parent for parent in parents if parent is not None)
        for row in rows:
            if row.id not in self.lanes:
                held = row.paused or (row.held_until is not None and row.held_until > self.now)
                leases, slots = self._by_lane.get(row.id, (0, 0))
                self.lanes[row.id] = LaneState(
                    id=row.id,
                    handler=row.handler,
                    parent=self.lanes[row.parent_id] if row.parent_id is not None else None,
                    ready=row.ready,
                    closed=held,
                    probing=row.probing,
                    draining=row.draining,
                    max_slots=row.max_slots,
                    interval=row.interval,
                    tat=row.tat,
                    turn=row.turn,
                    leases=leases,
                    slots=slots,
                )

    # Grants

    def grant(self, lane: LaneState, wanted: int) -> Grant | None:
        """Leave for one more lease of the lane, at most `wanted` handlings; None if there is no room."""
        handler = HANDLERS.get(lane.handler)
        if handler is None or wanted <= 0 or lane.is_closed:
            return None
        if not self._has_room(handler, lane):
            return None
        count = min(wanted, handler.batch)
        slots = min(handler.slots, count)
        pace: LaneState | None = None
        for link in lane.chain:
            if link.probing:
                if link.leases:
                    return None
                count = slots = 1
            if link.max_slots is not None:
                # Two leases share the slots, so that one sends while the other is on its way.
                free = link.max_slots - link.slots
                slots = min(slots, free, max(1, link.max_slots // 2))
            if link.interval is not None:
                share = math.ceil(link.tokens(self.now, link.interval) / max(1, link.wanting))
                count = min(count, share)
                if pace is None or link.interval > (pace.interval or 0):
                    pace = link
        if count <= 0 or slots <= 0:
            return None
        grant = Grant(count=count, slots=slots)
        if pace is not None and pace.interval is not None:
            first = max(pace.tat or self.now, self.now + timedelta(seconds=LEAD))
            grant = Grant(count=count, slots=slots, paced_from=first, pace=pace.interval)
        return grant

    def take(self, lane: LaneState, grant: Grant, *, alone: bool = False) -> None:
        """Books a lease that was made of the grant."""
        self._leases[lane.handler] = self._leases.get(lane.handler, 0) + 1
        self.suspect_runs = self.suspect_runs or alone
        for link in lane.chain:
            link.leases += 1
            link.slots += grant.slots
            if link.interval is not None:
                start = max(link.tat or self.now, self.now)
                if grant.paced_from is not None:
                    start = max(start, grant.paced_from)
                link.tat = start + timedelta(seconds=grant.count * link.interval)
                link.tat_changed = True

    def _free(self, handler: Handler) -> int:
        """How many more batches the living workers of the handler's queue can take."""
        crew = self._crews.get(handler.queue)
        if crew is None or crew.processes == 0:
            return 0
        total = 2 * crew.processes
        if handler.kind is Kind.EFFECT:
            total = max(total, crew.concurrency * 3 // 4)
        return total - self._leases.get(handler.name, 0)

    def _has_room(self, handler: Handler, lane: LaneState) -> bool:
        """Whether the living workers can take one more batch of this lane's family.

        A family (a destination) holds at most two batches a process, and never more than what would
        be left for others: with each further family that hangs, the share shrinks, and some is free.
        """
        free = self._free(handler)
        if free <= 0:
            return False
        if not handler.in_lane:
            return True
        return lane.top.leases < min(2 * self._crews[handler.queue].processes, free)

    def save(self, ready_changes: dict[int, int], turns: dict[int, int]) -> None:
        """Writes what the pass changed of the lanes, locked in the order of their ids."""
        changed = {i for i, lane in self.lanes.items() if lane.tat_changed}
        ids = sorted({i for i, change in ready_changes.items() if change} | turns.keys() | changed)
        if not ids:
            return
        table, params = sql.values_table(
            "v",
            {"id": "bigint", "ready": "integer", "turn": "bigint", "tat": "timestamptz"},
            [
                (i, ready_changes.get(i, 0), turns.get(i), self.lanes[i].tat if i in changed else None)
                for i in ids
            ],
        )
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT id FROM outbox_lane WHERE {sql.any_of('id')} ORDER BY id {sql.locked()}",
                [sql.listed(ids)],
            )
            cursor.execute(
                f"""UPDATE outbox_lane SET ready = outbox_lane.ready + v.ready,
                        turn = coalesce(v.turn, outbox_lane.turn), tat = coalesce(v.tat, outbox_lane.tat)
                    FROM {table} WHERE outbox_lane.id = v.id""",
                params,
            )
