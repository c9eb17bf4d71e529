"""How fast a feed moves: told from the attempts of some of its rows, so it is true after a restart and
costs the same for ten rows as for a million."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median

from django.db.models import Q
from django.utils import timezone

from deliveries.ids import delivery_id, number_of, number_range
from deliveries.models import Attempt
from feeds.models import Deed, Feed, FeedStatus
from feeds.queries.bars import WIDTH, Bar, bar
from outbox.heartbeats import started_since

SAMPLES = 240  # rows looked at for the chart
BARS = 48  # at most
SHORTEST = 3.0  # seconds below which a chart says nothing
PER_BAR = 5  # attempts on average, so that chance does not draw the picture
RECENT = 400  # rows over which the rate is measured
AHEAD = 2000  # rows that may have been tried before as many others, whose worker died with them
RECENT_SAMPLES = 50
STALE = 20.0  # seconds without an attempt after which a rate says nothing any more; of a feed
SLOWER = 5  # whose rows go seldom, as many times what lies between two of them
LULL = 2.0  # seconds between attempts that may have another reason than the pace
SOONEST = 1.0  # seconds; less cannot be told
FARTHEST = 1000 * 365 * 86400.0  # seconds; what takes longer has no date that a calendar knows
HEIGHT = 96  # of the chart
GOLDEN = 0.6180339887  # its multiples, without what stands before the point, lie evenly and have no period


@dataclass(frozen=True, slots=True)
class Pace:
    """Rows a second, and when every row will have been tried once."""

    rate: float
    left: float  # seconds
    done_at: datetime


@dataclass(frozen=True, slots=True)
class Sample:
    """How the last rows of a feed went that were tried, since it last stood still."""

    rate: float  # rows a second; 0: so few in so short a time tell of none
    last: datetime
    answer: float  # seconds that a request took, on average; 0: not known
    interval: float  # seconds, of the sample's rows on average


def sample(feed: Feed) -> Sample | None:
    """None while hardly any row was tried."""
    last = _reached(feed)
    first = max(1, last - RECENT)
    step = max(1, (last - first) // RECENT_SAMPLES)
    found = Attempt.objects.filter(
        delivery_id__in=[delivery_id(feed.id, number) for number in range(first, last + 1, step)],
        number=1,
        finished_at__isnull=False,
    ).values_list("finished_at", "seconds")
    took = [seconds for _, seconds in found if seconds]
    known = _since_it_stood_still(sorted(time for time, _ in found if time is not None))
    gaps = _gaps(feed, known) if len(known) > 1 else []
    if not gaps:
        return None
    seconds = max(sum(gaps), 0.01)
    # Outcomes are recorded some dozens at once, as if they had all come in one moment.
    tells = seconds >= SOONEST or last - first >= RECENT
    return Sample(
        rate=step * len(gaps) / seconds if tells else 0.0,
        last=known[-1],
        answer=sum(took) / len(took) if took else 0.0,
        interval=seconds / len(gaps),
    )


def _reached(feed: Feed) -> int:
    """The last row that was tried: what a worker died with is tried some time after the rows behind it."""
    counted = feed.tried + feed.invalid
    ahead = Attempt.objects.filter(
        delivery_id__range=number_range(feed.id, counted + 1, counted + AHEAD),
        number=1,
        finished_at__isnull=False,
    )
    id_ = ahead.order_by("-delivery_id").values_list("delivery_id", flat=True).first()
    return counted if id_ is None else number_of(id_)


def _since_it_stood_still(times: Sequence[datetime]) -> Sequence[datetime]:
    """Those after its one long gap: an outage is no part of the pace. Gaps that come again are, as where a
    third party asks for a minute's rest after each hundred rows; and of a slow feed every gap is long."""
    gaps = [(after - before).total_seconds() for before, after in pairwise(times)]
    if not gaps:
        return times
    longest = max(STALE, SLOWER * median(gaps))
    ends = [index + 1 for index, gap in enumerate(gaps) if gap > longest]
    return times[ends[0] :] if len(ends) == 1 else times


def pace(feed: Feed) -> Pace | None:
    """None while there is nothing to tell it from, or nothing left to be tried."""
    untried = feed.total - feed.invalid - feed.tried
    if feed.status != FeedStatus.DELIVERING or feed.trial or untried <= 0 or feed.tried < 2:
        return None
    found, now = sample(feed), timezone.now()
    if (
        found is None
        or not found.rate
        or (now - found.last).total_seconds() > max(STALE, SLOWER * found.interval)
    ):
        return None
    rate = min(found.rate, feed.destination.rate or found.rate)
    left = min(max(SOONEST, untried / rate), FARTHEST)
    return Pace(rate, left, now + timedelta(seconds=left))


def _gaps(feed: Feed, times: Sequence[datetime]) -> list[float]:
    """Seconds from each attempt to the next, without those in which we stood still ourselves: a restart, a
    pause, a trial that waited for its yes. What a third party held up belongs to its pace."""
    gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(times)]
    if max(gaps) < max(LULL, SLOWER * median(gaps)):
        return gaps
    began = [*started_since(times[0]), *_resumed_since(feed, times[0])]
    return [
        gap
        for gap, (earlier, later) in zip(gaps, pairwise(times), strict=True)
        if not any(earlier < at <= later for at in began)
    ]


def _resumed_since(feed: Feed, since: datetime) -> list[datetime]:
    theirs = Deed.objects.filter(Q(feed=feed) | Q(destination=feed.destination_id))
    return list(theirs.filter(what__in=["resumed", "sent"], at__gt=since).values_list("at", flat=True))


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


def _spread(last: int, step: int) -> list[int]:
    """One row of each `step`, always the same ones; not at equal distances: in many a file each tenth row is
    of a kind, and a chart of these alone would be of that kind."""
    places = enumerate(range(1, last + 1, step))
    return [n for i, start in places if (n := start + int(i * GOLDEN % 1 * step)) <= last]


def chart(feed: Feed) -> Chart | None:
    """Attempts by outcome from the first to the last one; None while there are hardly any, or
    where they took only moments."""
    reached = min(feed.total, feed.tried + feed.invalid)
    if not reached or feed.released_at is None:
        return None
    step = max(1, reached // SAMPLES)
    numbers = _spread(reached, step)
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
