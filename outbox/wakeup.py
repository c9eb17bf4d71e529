"""The early wake-up of the relay: a hint, never a promise.

A thread of its own sends it, so that a request never waits for a broker; hints that come close
together become one, and one that fails is forgotten, since beat runs the relay every second anyway.
"""

import logging
import os
import threading
import time

logger = logging.getLogger(__name__)

# Seconds between two hints of one process. They double while hints come without a pause: then the relay is
# at work anyway, and each message costs it and us a millisecond.
_SHORTEST_GAP, _LONGEST_GAP = 0.02, 0.16


class _Waker:
    def __init__(self) -> None:
        self._wanted = threading.Event()
        self.pid = os.getpid()
        threading.Thread(target=self._run, name="relay-wakeup", daemon=True).start()

    def wake(self) -> None:
        self._wanted.set()

    def _run(self) -> None:
        from outbox.tasks import RELAY_QUEUE, relay

        gap = _SHORTEST_GAP
        while True:
            at_once = self._wanted.is_set()
            self._wanted.wait()
            self._wanted.clear()
            gap = min(2 * gap, _LONGEST_GAP) if at_once else _SHORTEST_GAP
            try:
                relay.apply_async(queue=RELAY_QUEUE, expires=5, retry=False, ignore_result=True)
            except Exception as exc:
                logger.debug("wakeup.failed The relay was not woken (%s); beat will.", exc)
                time.sleep(1.0)
            time.sleep(gap)


_lock = threading.Lock()
_waker: _Waker | None = None


def wake_relay() -> None:
    """Asks the relay to run soon. Never blocks, never raises."""
    global _waker
    with _lock:
        if _waker is None or _waker.pid != os.getpid():  # a forked process has no thread of its parent
            _waker = _Waker()
    _waker.wake()
