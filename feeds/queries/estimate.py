"""How long a feed will take at its destination's limit, in turns with what is on its way there already."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from feeds.models import Feed, FeedStatus

LOOKED_AT = 100  # feeds that are on their way


@dataclass(frozen=True, slots=True)
class Estimate:
    """If it is sent now."""

    seconds: float
    done_at: datetime
    beside: int  # feeds with which it takes turns


def estimate(feed: Feed) -> Estimate | None:
    """None where the destination has no rate: then only its answers tell."""
    rate = feed.destination.rate
    if not rate or not feed.pending:
        return None
    on_their_way = Feed.objects.filter(
        destination=feed.destination, status=FeedStatus.DELIVERING, trial=False, pending__gt=0
    )
    others = on_their_way.exclude(id=feed.id).order_by("-id").values_list("pending", flat=True)[:LOOKED_AT]
    # Turn by turn: before our last row goes, another feed has sent as many as we, or all that it has.
    rows = feed.pending + sum(min(feed.pending, pending) for pending in others)
    seconds = rows / rate
    return Estimate(seconds, timezone.now() + timedelta(seconds=seconds), len(others))
