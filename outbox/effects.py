"""Effects in batches: acts on several threads, outcomes settled as they come."""

import logging
import math
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from django.db import connection, transaction

from outbox import leases, settling
from outbox.errors import LeaseLost
from outbox.events import Event
from outbox.leases import Claim, Entry
from outbox.outcomes import Defer
from outbox.retries import is_infrastructure
from outbox.settling import Failure
from outbox.starts import Starts

logger = logging.getLogger(__name__)

E = TypeVar("E", bound=Event)
R = TypeVar("R")

FLUSH_COUNT = 50
FLUSH_AFTER = 0.5  # seconds; also how soon a pause is seen
BUSY_ACT = 0.0015  # seconds; acts that take longer are mostly waiting, and more threads pay
RAMP = 0.005  # seconds without an outcome after which another thread is added
AWAY_PAUSE = 0.5  # seconds between two tries to settle while the database is away


class EffectBatch(ABC, Generic[E, R]):
    """One batch of acts towards the outside: load, act, record.

    `load` reads what the acts need, outside any transaction. `act` runs on several threads and
    touches no database. `record` runs in the transaction that settles these acts.
    """

    # Set by an act that has seen a reason to start no more; the rest is given back uncounted.
    halted: bool = False

    def __init__(self, events: Sequence[E], reruns: frozenset[int] = frozenset()) -> None:
        """`reruns`: ids of the events whose earlier run died, perhaps after its act."""
        self.reruns = reruns
        self.load(events)

    @abstractmethod
    def load(self, events: Sequence[E]) -> None: ...

    @abstractmethod
    def is_wanted(self, event: E) -> bool:
        """Whether the act is still to be done; what is not wanted is complete without it."""

    @abstractmethod
    def act(self, event: E) -> R: ...

    @abstractmethod
    def record(self, acts: Sequence[tuple[E, R]]) -> None: ...

    def reduced(self, result: R) -> R:
        """The result with nothing in it that a database could refuse: the last resort of `record`."""
        return result


class Act(NamedTuple):
    """What became of one act: its result, or the error that it ended with."""

    entry: Entry
    result: Any
    error: BaseException | None


# How long an act of a lane takes, as last seen by this process: the next batch starts with as many threads.
_usual: dict[int, float] = {}
_pool = ThreadPoolExecutor(max_workers=512, thread_name_prefix="act")


def run_effect_batch(claim: Claim, kind: type[EffectBatch[Any, Any]]) -> None:
    """Runs the acts of a claimed batch and settles each; unstarted ones are given back uncounted."""
    loaded = _loaded(claim, kind, claim.entries)
    if loaded is None:
        with transaction.atomic():
            leases.fence(claim)
            settling.release(claim)
        return
    if loaded.unwanted:
        with transaction.atomic():
            leases.fence(claim)
            settling.complete(claim, loaded.unwanted)
    run = _Run(claim, loaded.batch, loaded.wanted)
    try:
        run.run()
    finally:
        run.starts.close()


@dataclass(frozen=True, slots=True)
class _Loaded:
    batch: EffectBatch[Any, Any]
    wanted: list[Entry]
    unwanted: list[int]


def _loaded(claim: Claim, kind: type[EffectBatch[Any, Any]], entries: Sequence[Entry]) -> _Loaded | None:
    """What can be loaded of the batch. If not all of it can, its halves are tried, down to the bad one,
    which has failed then; of halves that both can be, the second is left to be given back."""
    try:
        reruns = frozenset(entry.event.id for entry in entries if entry.deaths)
        batch = kind([entry.event for entry in entries], reruns)
        wanted = [entry for entry in entries if batch.is_wanted(entry.event)]
    except LeaseLost:
        raise
    except Exception as exc:
        if is_infrastructure(exc):
            raise
        if len(entries) > 1:
            middle = len(entries) // 2
            halves = [_loaded(claim, kind, entries[:middle]), _loaded(claim, kind, entries[middle:])]
            return next((half for half in halves if half), None)
        with transaction.atomic():
            leases.fence(claim)
            settling.fail(claim, Failure(entries[0], exc))
        return None
    started = {entry.id for entry in wanted}
    return _Loaded(batch, wanted, [entry.id for entry in entries if entry.id not in started])


class _Run:
    """The acts of one batch: threads that act, and this one, which settles what they bring."""

    def __init__(self, claim: Claim, batch: EffectBatch[Any, Any], entries: Sequence[Entry]) -> None:
        self.claim = claim
        self.batch = batch
        self.starts = Starts(claim, entries, is_halted=lambda: batch.halted)
        self.acts: deque[Act] = deque()  # what was done and is not settled yet
        self.enough = threading.Event()  # acts for a flush, or the end of a thread
        self.threads = 0
        self._count = threading.Lock()
        self.lane = claim.parent_id or claim.lane_id
        self.usual = _usual.get(self.lane, 0.0)
        self.checked = claim.renewed  # when the lane was last seen open: at the claim

    def run(self) -> None:
        flushed = time.monotonic()
        self._check_lane()
        for _ in range(min(self._wanted_threads(), max(1, self.starts.left))):
            self._add_thread()
        while self.threads:
            self._wait()
            self._check_lane()
            while len(self.acts) >= FLUSH_COUNT or (self.acts and time.monotonic() - flushed > FLUSH_AFTER):
                settle_acts(self.claim, self.batch, self._take(), last=False)
                flushed = time.monotonic()
                self._check_lane()
        _usual[self.lane] = self.usual
        while len(self.acts) > FLUSH_COUNT:
            settle_acts(self.claim, self.batch, self._take(), last=False)
        settle_acts(self.claim, self.batch, self._take(), last=True)

    def _wait(self) -> None:
        """Until a flush is full or some time has gone by; adds a thread if no outcome came meanwhile, or
        more of them pay. Woken for each outcome, this thread would take the processor from those that act."""
        before = len(self.acts)
        self.enough.wait(RAMP if self._may_ramp() else FLUSH_AFTER / 5)
        self.enough.clear()
        quiet = len(self.acts) == before
        if (quiet or self.threads < self._wanted_threads()) and self._may_ramp():
            self._add_thread()

    def _take(self) -> list[Act]:
        return [self.acts.popleft() for _ in range(min(FLUSH_COUNT, len(self.acts)))]

    def _check_lane(self) -> None:
        now = time.monotonic()
        if now - self.checked > FLUSH_AFTER:
            self.checked = now
            if self._lane_is_open():
                self.starts.seen_open(now)
            else:
                self.starts.close()

    def _lane_is_open(self) -> bool:
        """No, while the database is away: nothing new starts, and what is under way is still settled."""
        try:
            return leases.lane_is_open(self.claim)
        except Exception as exc:
            if not is_infrastructure(exc):
                raise
            connection.close()
            return False

    def _wanted_threads(self) -> int:
        return max(1, min(self.claim.slots, math.ceil(self.usual / BUSY_ACT)))

    def _may_ramp(self) -> bool:
        return self.starts.left > 0 and 0 < self.threads < self.claim.slots

    def _add_thread(self) -> None:
        with self._count:
            self.threads += 1
        _pool.submit(self._work)

    def _work(self) -> None:
        try:
            while (entry := self.starts.next()) is not None:
                began = time.perf_counter()
                self.acts.append(self._act(entry))
                self.usual += (time.perf_counter() - began - self.usual) * 0.2
                if len(self.acts) >= FLUSH_COUNT:
                    self.enough.set()
        finally:
            with self._count:
                self.threads -= 1
            self.enough.set()

    def _act(self, entry: Entry) -> Act:
        try:
            return Act(entry, self.batch.act(entry.event), None)
        except BaseException as exc:
            return Act(entry, None, exc)


def settle_acts(claim: Claim, batch: EffectBatch[Any, Any], ready: Sequence[Act], *, last: bool) -> None:
    """Records outcomes with their completion. A flush that fails for its data is settled one by one,
    in the end with the reduced result alone: an act is never repeated because of its record."""
    try:
        _settle_in_time(claim, batch, ready, last=last)
    except LeaseLost:
        raise
    except Exception as exc:
        if not ready or is_infrastructure(exc):
            raise
        logger.warning("flush.split handler=%s lease=%s %s", claim.handler.name, claim.lease_id, exc)
        for act in ready:
            _settle_alone(claim, batch, act)
        if last:
            _settle_in_time(claim, batch, [], last=True)


def _settle_alone(claim: Claim, batch: EffectBatch[Any, Any], act: Act) -> None:
    tries = [act]
    if act.error is None:
        tries.append(act._replace(result=batch.reduced(act.result)))
    for attempt in tries:
        try:
            _settle_in_time(claim, batch, [attempt], last=False)
            return
        except LeaseLost:
            raise
        except Exception as exc:
            if is_infrastructure(exc):
                raise
            act = Act(act.entry, None, exc)
    _settle_in_time(claim, batch, [act], last=False)


def _settle_in_time(claim: Claim, batch: EffectBatch[Any, Any], ready: Sequence[Act], *, last: bool) -> None:
    """Settles, and while the database is away tries again as long as the lease may be ours: what has
    been done outside must not be done twice because its record came late. Nothing new starts then."""
    while True:
        try:
            return settling.again_on_conflict(lambda: _settle(claim, batch, ready, last=last))
        except LeaseLost:
            raise
        except Exception as exc:
            if not is_infrastructure(exc) or claim.time_left() < AWAY_PAUSE:
                raise
            batch.halted = True
            logger.warning("flush.delayed handler=%s lease=%s %s", claim.handler.name, claim.lease_id, exc)
            connection.close()
            time.sleep(AWAY_PAUSE)


def _settle(claim: Claim, batch: EffectBatch[Any, Any], ready: Sequence[Act], *, last: bool) -> None:
    done = [act for act in ready if act.error is None]
    with transaction.atomic():
        leases.fence(claim)
        settling.complete(claim, [act.entry.id for act in done])
        if done:
            batch.record([(act.entry.event, act.result) for act in done])
        for act in ready:
            if act.error is not None:
                settling.fail(claim, Failure(act.entry, act.error))
        if last:
            held = leases.still_held(claim, [entry.id for entry in claim.entries])
            settling.defer(claim, sorted(held), Defer())
            settling.release(claim)
