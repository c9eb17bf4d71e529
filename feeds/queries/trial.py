"""What became of the rows that a trial sent."""

from collections.abc import Sequence
from dataclasses import dataclass

from feeds.models import TRIAL_ROWS, Feed, FeedStatus, Row, RowOutcome


@dataclass(frozen=True, slots=True)
class Trial:
    """The first rows of a feed, and how many wait for a person's yes."""

    rows: Sequence[Row]
    waiting: int

    @property
    def mostly_fails(self) -> bool:
        """The rest would fare no better."""
        failed = sum(row.outcome == RowOutcome.FAILED for row in self.rows)
        return bool(failed) and 2 * failed >= len(self.rows)


def trial(feed: Feed) -> Trial | None:
    """None unless the feed is being tried."""
    if not feed.trial or feed.status not in (FeedStatus.DELIVERING, FeedStatus.PAUSED):
        return None
    rows = Row.objects.filter(feed_id=feed.id, invalid=False).order_by("number")[:TRIAL_ROWS]
    return Trial(list(rows), feed.unreached)
