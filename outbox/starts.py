"""When an act may start: at its time, once, and only while starting is right."""

import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence

from outbox import process
from outbox.leases import MARGIN, Claim, Entry

START_BUDGET = 5.0  # seconds in which a batch starts acts; the rest is given back
SLOT_TOLERANCE = 0.05  # seconds by which a paced start may be late; a later one loses its slot
OPEN_FOR = 0.75  # seconds after a look at the lane in which acts may start; then they wait for the next look


class Starts:
    """Hands a batch's entries to the threads: each once, in order, at its time."""

    def __init__(self, claim: Claim, entries: Sequence[Entry], *, is_halted: Callable[[], bool]) -> None:
        self._claim = claim
        self._is_halted = is_halted
        self._entries: Iterator[Entry] = iter(entries)
        self._lock = threading.Lock()
        self._slot = 0
        self._slots = len(entries)
        self._began = time.monotonic()
        self._closed = threading.Event()
        self._seen_open = claim.renewed  # when the lane was last looked at, and open
        self._ended = False  # a thread was told that there is no more for it, nor for any other
        self._left = len(entries)

    @property
    def left(self) -> int:
        """Entries that may still start."""
        return 0 if self._ended else self._left

    def close(self) -> None:
        """Nothing starts any more, not even what waits for its time."""
        self._closed.set()

    def seen_open(self, at: float) -> None:
        """The lane was open when somebody looked, at this (monotonic) time."""
        self._seen_open = at

    def next(self) -> Entry | None:
        """The next entry, once its time has come; None when there is none for any thread."""
        entry = self._next()
        if entry is None:
            self._ended = True
        return entry

    def _next(self) -> Entry | None:
        if not self._wait_for_slot():
            return None
        with self._lock:
            if not self._may_start():
                self._closed.set()
                return None
            entry = next(self._entries, None)
            if entry is not None:
                self._left -= 1
            return entry

    def _wait_for_slot(self) -> bool:
        """Waits for the next slot; False if there is none, or the batch is closed meanwhile."""
        while (at := self._next_slot()) is not None:
            wait = at - time.monotonic()
            if wait > 0 and self._closed.wait(wait):
                return False
            self._wait_for_a_look()
            # On a busy machine it wakes up late; then this slot is lost too.
            if self._claim.pace is None or time.monotonic() - at <= SLOT_TOLERANCE:
                return True
        return False

    def _wait_for_a_look(self) -> None:
        """Who looks also settles, and may be kept by a busy database: a pause would not be seen."""
        while time.monotonic() - self._seen_open > OPEN_FOR and self._may_start():
            self._closed.wait(0.01)

    def _next_slot(self) -> float | None:
        """When the next start may be; None if the pace leaves none in this lease."""
        claim = self._claim
        now = time.monotonic()
        if claim.first_start is None or claim.pace is None:
            return now
        with self._lock:
            missed = math.ceil((now - SLOT_TOLERANCE - claim.first_start) / claim.pace)
            slot = max(self._slot, missed)
            self._slot = slot + 1
            if slot >= self._slots:
                return None
            return claim.first_start + slot * claim.pace

    def _may_start(self) -> bool:
        claim = self._claim
        return not (
            self._closed.is_set()
            or self._is_halted()
            or process.stopping.is_set()
            or time.monotonic() - self._began > START_BUDGET
            or claim.time_left() < claim.act_limit + MARGIN
        )
