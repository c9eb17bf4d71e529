"""What beat does beside its schedule: it stops between two ticks."""

import signal
from types import FrameType
from typing import Any


def stop_after_the_tick(sender: Any, **_: Any) -> None:
    """Celery's own handler stores the schedule wherever the signal finds it. In the middle of a query it
    waits for the connection of that query, and so for itself."""

    def stop(number: int, frame: FrameType | None) -> None:
        sender.stop()  # the loop sees it within a second, and stores the schedule

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
