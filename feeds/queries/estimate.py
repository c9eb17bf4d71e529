"""How long a feed will take, by what limits its destination: its rate, its requests at once, its answers."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from django.utils import timezone

from deliveries.models import Destination
from feeds.models import Feed, FeedStatus
from feeds.queries.holds import Wait, hold
from feeds.queries.pace import FARTHEST, Sample, sample

LOOKED_AT = 100  # feeds that are on their way
FEW = 20  # rows; how a feed of less went says little
RECENT = timedelta(days=1)  # within which a feed went whose pace still tells something


class Basis(StrEnum):
    """What the pace is told from."""

    RATE = "rate"  # the destination's limit
    ANSWERS = "answers"  # how many at once, and how long its answers took
    LATELY = "lately"  # how fast the last feed went; there is no limit
    NOTHING = "nothing"  # there is no limit that tells it, and no feed went lately


@dataclass(frozen=True, slots=True)
class Estimate:
    """If it is sent now."""

    basis: Basis
    pace: float = 0.0  # rows a second; 0: nothing tells it
    answer: float = 0.0  # seconds that the destination took for an answer, on average
    seconds: float = 0.0
    beside: int = 0  # feeds with which it takes turns
    hold: Wait | None = None  # nothing goes as long as this holds
    done_at: datetime | None = None  # None where nobody can tell when it begins


def estimate(feed: Feed) -> Estimate | None:
    """None where there is nothing to send."""
    if not feed.pending:
        return None
    on_their_way = Feed.objects.filter(
        destination=feed.destination, status=FeedStatus.DELIVERING, trial=False, pending__gt=0
    )
    others = on_their_way.exclude(id=feed.id).order_by("-id").values_list("pending", flat=True)[:LOOKED_AT]
    basis, pace, answer = _pace(feed.destination)
    wait = hold(feed.destination)
    if not pace:
        return Estimate(basis, beside=len(others), hold=wait)
    # Turn by turn: before our last row goes, another feed has sent as many as we, or all that it has. How
    # fast the last feed went was its own pace, in whatever company.
    beside = 0 if basis == Basis.LATELY else sum(min(feed.pending, pending) for pending in others)
    seconds = min((feed.pending + beside) / pace, FARTHEST)
    begins = wait.until if wait else timezone.now()
    done_at = begins + timedelta(seconds=seconds) if begins else None
    return Estimate(basis, pace, answer, seconds, len(others), wait, done_at)


def _pace(destination: Destination) -> tuple[Basis, float, float]:
    """What it is told from, rows a second, and how long an answer took."""
    answers = 0.0
    lately = None if destination.rate and not destination.concurrency else _lately(destination)
    if destination.concurrency and lately and lately.answer:
        answers = destination.concurrency / lately.answer
    if destination.rate and (not answers or destination.rate <= answers):
        return Basis.RATE, destination.rate, 0.0
    if answers and lately:
        return Basis.ANSWERS, answers, lately.answer
    if lately and lately.rate and not destination.concurrency:
        return Basis.LATELY, lately.rate, 0.0
    return Basis.NOTHING, 0.0, 0.0


def _lately(destination: Destination) -> Sample | None:
    """How the last rows went there."""
    last = Feed.objects.filter(destination=destination, tried__gte=FEW).order_by("-id").first()
    found = sample(last) if last else None
    return found if found and found.last > timezone.now() - RECENT else None
