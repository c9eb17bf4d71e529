"""The relay: fans events out into handlings, and hands due handlings to Celery in batches.

Any number of relays may run; each pass is one transaction, one at a time by an advisory lock. Only a
pass makes handlings, makes them ready, and leases them; hence the count of ready work on each lane is
exact, and workers never touch a lane.
"""

import logging
import time
from collections.abc import Sequence

from django.db import transaction

from outbox import sql
from outbox.board import Board
from outbox.expiry import put_back, take_back
from outbox.fanout import fan_out
from outbox.handover import hand_over
from outbox.leases import HAND_OVER_HOLD
from outbox.models import Handling, Lease
from outbox.passes import NewLease, Pass
from outbox.registry import HANDLERS

logger = logging.getLogger(__name__)

LOCK = 0x726F77706F7374  # "rowpost"
WAKE = 2000  # waiting handlings made ready a pass, at most
LANES = 1000  # lanes looked at a pass, at most
BUSY = 200  # handlings moved in a pass that make the next one wait, to find more: fewer, fuller batches
REST = 0.05  # seconds that it waits
TASK_BUDGET = 20.0  # seconds that one Celery task keeps passing


class BrokerAway(Exception):
    """the broker did not take a message."""


_broker_rest = 0.0  # seconds to leave an ill broker alone, doubled up to 10
_broker_again = 0.0  # monotonic time of the next try


def run_passes(budget: float = TASK_BUDGET) -> int:
    """Passes until there is nothing left to do; returns how many handlings were moved."""
    ends = time.monotonic() + budget
    moved = 0
    while True:
        count = run_pass()
        moved += count
        if count == 0 or time.monotonic() > ends:
            return moved
        if count >= BUSY:
            time.sleep(REST)


def run_pass() -> int:
    """One pass: take back, wake, fan out, hand over, send. Returns how many handlings it moved."""
    global _broker_again, _broker_rest
    resting = time.monotonic() < _broker_again
    with transaction.atomic():
        step = _begin_pass()
        step.board.load_ready(LANES)
        _wake_due(step)
        fan_out(step, lease_new=not resting and _broker_rest == 0)
        if not resting:
            hand_over(step, most=1 if _broker_rest else None)
        step.write()
    try:
        send(step.leases)
    except BrokerAway as exc:
        _broker_rest = min(10.0, max(0.5, _broker_rest * 2))
        _broker_again = time.monotonic() + _broker_rest
        logger.warning("broker.away The broker took no message (%s); next try in %.1f s.", exc, _broker_rest)
        return 0
    if step.leases:
        _broker_rest = 0.0
    return step.moved


def _begin_pass() -> Pass:
    """Takes the relay's lock and reads the board, with expired leases taken back."""
    sql.lock_for_transaction(LOCK)
    sql.without_bitmaps()
    now = sql.database_now()
    live = list(Lease.objects.defer("ids", "token").order_by("id"))
    expired = [lease.id for lease in live if min(lease.until, lease.hard_until or lease.until) < now]
    taken = take_back(expired, now)
    step = Pass(now=now, board=Board(now, [lease for lease in live if lease.id not in taken.leases]))
    step.add_ready(taken.lanes)
    return step


def _wake_due(step: Pass) -> None:
    due = Handling.objects.waiting().filter(due_at__lte=step.now).order_by("due_at")
    handlings = list(due.values_list("id", "lane_id")[:WAKE])
    put_back([handling_id for handling_id, _ in handlings])
    step.add_ready(lane_id for _, lane_id in handlings)
    step.moved += len(handlings)


def send(leases: Sequence[NewLease]) -> None:
    """One Celery message a lease, after the commit. What the broker does not take is given back at once;
    the message of an unknown outcome then finds nothing to claim."""
    for index, lease in enumerate(leases):
        handler = HANDLERS[lease.lane.handler]
        try:
            handler.task.apply_async(
                args=(lease.id, str(lease.token)),
                queue=handler.queue,
                expires=HAND_OVER_HOLD,
                retry=False,
                ignore_result=True,
            )
        except Exception as exc:
            give_back([unsent.id for unsent in leases[index:]])
            raise BrokerAway(str(exc)) from exc


def give_back(lease_ids: Sequence[int]) -> None:
    """Ends leases that were handed over and are not claimed."""
    with transaction.atomic():
        sql.lock_for_transaction(LOCK)
        now = sql.database_now()
        step = Pass(now=now, board=Board(now, []))
        step.add_ready(take_back(lease_ids, now, unclaimed=True).lanes)
        step.write()
