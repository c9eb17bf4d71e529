"""What beat does beside its schedule: it says that it lives, and stops between two ticks."""

import atexit
import signal
from types import FrameType
from typing import Any

from config.heart import Heart


def say_that_it_lives(**_: Any) -> None:
    from outbox.heartbeats import BEAT

    heart = Heart(lambda: {"kind": BEAT})
    heart.start()
    atexit.register(heart.stop)


def stop_after_the_tick(sender: Any, **_: Any) -> None:
    """Celery's own handler stores the schedule wherever the signal finds it. In the middle of a query it
    waits for the connection of that query, and so for itself."""

    def stop(number: int, frame: FrameType | None) -> None:
        sender.stop()  # the loop sees it within a second, and stores the schedule

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
