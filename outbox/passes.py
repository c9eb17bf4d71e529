"""One pass of the relay: what it has decided so far, and what it writes at its end."""

import uuid
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from outbox import sql
from outbox.board import Board, Grant, LaneState
from outbox.leases import HAND_OVER_HOLD
from outbox.models import Lease

ID_STOCK = 20  # ids of leases that are fetched at once


@dataclass(slots=True)
class NewLease:
    """A lease that this pass hands over."""

    id: int
    token: uuid.UUID
    lane: LaneState
    grant: Grant
    ids: list[int] = field(default_factory=list)
    alone: bool = False


@dataclass(slots=True)
class Pass:
    """Everything here stays in memory until `write`; handlings are written on the way."""

    now: datetime
    board: Board
    leases: list[NewLease] = field(default_factory=list)
    moved: int = 0  # handlings made, woken or handed over
    _ready: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    _turns: dict[int, int] = field(default_factory=dict)
    _ids: list[int] = field(default_factory=list)

    def add_ready(self, lane_ids: Iterable[int]) -> None:
        """One more handling is ready in each of these lanes, as often as the lane is named."""
        named = list(lane_ids)
        self.board.load(set(named))
        for lane_id in named:
            self.change_ready(self.board.lanes[lane_id], 1)

    def change_ready(self, lane: LaneState, by: int) -> None:
        lane.ready += by
        self._ready[lane.id] += by

    def open_lease(self, lane: LaneState, wanted: int, *, alone: bool = False) -> NewLease | None:
        """A lease for at most `wanted` handlings of the lane; None if it has no leave or room."""
        grant = self.board.grant(lane, wanted)
        if grant is None:
            return None
        self.board.take(lane, grant, alone=alone)
        if not self._ids:
            self._ids = sql.allocate("outbox_lease", ID_STOCK)[::-1]
        lease = NewLease(self._ids.pop(), uuid.uuid4(), lane, grant, alone=alone)
        self.leases.append(lease)
        self._turns[lane.id] = lease.id
        return lease

    def write(self) -> None:
        until = self.now + timedelta(seconds=HAND_OVER_HOLD)
        Lease.objects.bulk_create(
            Lease(
                id=lease.id,
                token=lease.token,
                handler=lease.lane.handler,
                lane_id=lease.lane.id,
                parent_id=lease.lane.chain[-1].id if len(lease.lane.chain) > 1 else None,
                ids=lease.ids,
                slots=lease.grant.slots,
                alone=lease.alone,
                paced_from=lease.grant.paced_from,
                pace=lease.grant.pace,
                until=until,
            )
            for lease in self.leases
        )
        self.board.save(self._ready, self._turns)
