"""How many requests ended in each minute of the last hour: read from the tallies, never from attempts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from deliveries import tallies
from deliveries.tallies import Minute
from feeds.queries.bars import WIDTH, Bar, bar

SHOWN = 60  # minutes
HEIGHT = 140  # of the chart
_ROUND = (1, 2, 3, 4, 6, 8)


@dataclass(frozen=True, slots=True)
class Throughput:
    minutes: Sequence[Minute]
    columns: Sequence[Bar]  # one a minute
    rate: float  # requests a second, over the last minute
    succeeded: int
    failed: int
    top: int  # requests a minute at the upper edge of the chart
    width: int = WIDTH
    height: int = HEIGHT

    @property
    def total(self) -> int:
        return self.succeeded + self.failed

    @property
    def busy(self) -> list[Minute]:
        """The minutes in which something ended, the newest first."""
        return [minute for minute in reversed(self.minutes) if minute.total]


def throughput(now: datetime) -> Throughput:
    minutes = tallies.last_minutes(SHOWN, now)
    top = _rounded_up(max(minute.total for minute in minutes))
    return Throughput(
        minutes=minutes,
        columns=[
            bar(index, SHOWN, minute.succeeded, minute.failed, top=top, height=HEIGHT)
            for index, minute in enumerate(minutes)
        ],
        rate=tallies.per_second([minute.total for minute in minutes[-2:]], now),
        succeeded=sum(minute.succeeded for minute in minutes),
        failed=sum(minute.failed for minute in minutes),
        top=top,
    )


def _rounded_up(most: int) -> int:
    """A round number, so that the chart does not jump with each request."""
    power = 1
    while True:
        for step in _ROUND:
            if step * power >= most:
                return step * power
        power *= 10
