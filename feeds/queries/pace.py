"""How fast a feed moves: told from the attempts of some of its rows, so it is true after a restart and
costs the same for ten rows as for a million."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from deliveries.ids import delivery_id
from deliveries.models import Attempt
from feeds.models import Feed, FeedStatus
from feeds.queries.bars import WIDTH, Bar, bar

SAMPLES = 240  # rows looked at for the chart
BARS = 48  # at most
SHORTEST = 3.0  # seconds below which a chart says nothing
PER_BAR = 5  # attempts on average, so that chance does not draw the picture
RECENT = 400  # rows over which the rate is measured
RECENT_SAMPLES = 50
STALE = 20.0  # seconds without an attempt after which a rate says nothing any more
SOONEST = 1.0  # seconds; less cannot be told
HEIGHT = 96  # of the chart


@dataclass(frozen=True, slots=True)
class Pace:
    """Rows a second, and when every row will have been tried once."""

    rate: float
    left: float  # seconds
    done_at: datetime


def pace(feed: Feed) -> Pace | None:
    """None while there is nothing to tell it from, or nothing left to be tried."""
    untried = feed.total - feed.invalid - feed.tried
    if feed.status != FeedStatus.DELIVERING or feed.trial or untried <= 0 or feed.tried < 2:
        return None
    last = feed.tried + feed.invalid
    first = max(1, last - RECENT)
    step = max(1, (last - first) // RECENT_SAMPLES)
    times = Attempt.objects.filter(
        delivery_id__in=[delivery_id(feed.id, number) for number in range(first, last + 1, step)],
        number=1,
        finished_at__isnull=False,
    ).values_list("finished_at", flat=True)
    now = timezone.now()
    known = sorted(time for time in times if time is not None)
    if len(known) < 2 or (now - known[-1]).total_seconds() > STALE:
        return None
    seconds = max((known[-1] - known[0]).total_seconds(), 0.01)
    rate = step * (len(known) - 1) / seconds
    if feed.destination.rate:
        rate = min(rate, feed.destination.rate)
    left = max(SOONEST, untried / rate)
    return Pace(rate, left, now + timedelta(seconds=left))


@dataclass(frozen=True, slots=True)
class Chart:
    """Attempts over time."""

    bars: Sequence[Bar]
    begins: datetime
    ends: datetime
    peak: float  # attempts a second in the highest bar
    good: int
    bad: int
    estimated: bool
    width: int = WIDTH
    height: int = HEIGHT


def chart(feed: Feed) -> Chart | None:
    """Attempts by outcome from the first to the last one; None while there are hardly any, or
    where they took only moments."""
    reached = min(feed.total, feed.tried + feed.invalid)
    if not reached or feed.released_at is None:
        return None
    step = max(1, reached // SAMPLES)
    numbers = range(1, reached + 1, step)
    done = list(
        Attempt.objects.filter(
            delivery_id__in=[delivery_id(feed.id, number) for number in numbers], finished_at__isnull=False
        ).values_list("finished_at", "outcome")
    )
    times = [(time, outcome == "succeeded") for time, outcome in done if time is not None]
    if len(times) < 3:
        return None
    begins, ends = min(times)[0], max(times)[0]
    span = (ends - begins).total_seconds()
    if span < SHORTEST:
        return None
    slots = min(BARS, int(span), max(6, len(times) // PER_BAR))  # none shorter than a second
    counts = [[0, 0] for _ in range(slots)]
    for time, good in times:
        index = min(slots - 1, int((time - begins).total_seconds() / span * slots))
        counts[index][0 if good else 1] += 1
    highest = max(good + bad for good, bad in counts)
    good_total = sum(good for good, _ in counts)
    return Chart(
        bars=[
            bar(index, slots, good, bad, top=highest, height=HEIGHT)
            for index, (good, bad) in enumerate(counts)
        ],
        begins=begins,
        ends=ends,
        peak=highest * step / (span / slots),
        good=good_total * step,
        bad=(len(times) - good_total) * step,
        estimated=step > 1,
    )
