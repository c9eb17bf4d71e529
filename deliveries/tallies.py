"""Attempts by minute and destination, succeeded and failed: what the overview shows, without looking at any
attempt.

Counted with the completion of `register_attempt`, so each outcome once. A replay would count it again.
"""

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection
from django.db.models import Sum

from deliveries.events import DeliveryAttemptFailed, DeliveryScheduled, DeliverySucceeded
from deliveries.models import Tally
from outbox import sql

SHARES = 8  # rows of a destination in a minute; two batches that write the same one wait for each other
KEPT = timedelta(hours=3)  # pages show one; a hundred busy destinations write 800 rows a minute
MINUTE = timedelta(minutes=1)
_COLUMNS = {
    "minute": "timestamptz",
    "destination_id": "bigint",
    "share": "smallint",
    "succeeded": "integer",
    "failed": "integer",
}


@dataclass(frozen=True, slots=True)
class Minute:
    begins: datetime
    succeeded: int = 0
    failed: int = 0

    @property
    def total(self) -> int:
        return self.succeeded + self.failed


def add(events: Iterable[DeliveryScheduled | DeliverySucceeded | DeliveryAttemptFailed]) -> None:
    """Counts the outcomes among these events."""
    counts: dict[tuple[datetime, int], list[int]] = defaultdict(lambda: [0, 0])
    for event in events:
        if not isinstance(event, DeliveryScheduled) and event.occurred_at is not None:
            key = _minute(event.occurred_at), event.destination_id
            counts[key][isinstance(event, DeliveryAttemptFailed)] += 1
    if not counts:
        return
    share = random.randrange(SHARES)
    # In the order of the key: two batches with the same share lock its rows one after the other.
    rows = [(*key, share, *counts[key]) for key in sorted(counts)]
    table, params = sql.values_table("v", _COLUMNS, rows)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""INSERT INTO deliveries_tally (minute, destination_id, share, succeeded, failed)
                SELECT minute, destination_id, share, succeeded, failed FROM {table}
                WHERE true ORDER BY minute, destination_id
                ON CONFLICT (minute, destination_id, share) DO UPDATE SET
                  succeeded = deliveries_tally.succeeded + excluded.succeeded,
                  failed = deliveries_tally.failed + excluded.failed""",
            params,
        )


def last_minutes(count: int, now: datetime) -> list[Minute]:
    """The last minutes, the one that runs included, oldest first; also those in which nothing ended."""
    first = _minute(now) - (count - 1) * MINUTE
    found = (
        Tally.objects.filter(minute__gte=first)
        .values("minute")
        .annotate(good=Sum("succeeded"), bad=Sum("failed"))
        .order_by()
    )
    known = {row["minute"]: Minute(row["minute"], row["good"], row["bad"]) for row in found}
    return [known.get(first + n * MINUTE) or Minute(first + n * MINUTE) for n in range(count)]


def last_two(now: datetime) -> dict[int, list[Minute]]:
    """By destination: the minute before, and the one that runs. Those where nothing ended are not in it."""
    first = _minute(now) - MINUTE
    found: dict[int, list[Minute]] = {}
    sums = (
        Tally.objects.filter(minute__gte=first, minute__lte=now)
        .values("destination_id", "minute")
        .annotate(good=Sum("succeeded"), bad=Sum("failed"))
        .order_by()
    )
    for row in sums:
        minutes = found.setdefault(row["destination_id"], [Minute(first), Minute(first + MINUTE)])
        minutes[row["minute"] > first] = Minute(row["minute"], row["good"], row["bad"])
    return found


def per_second(counts: Sequence[int], now: datetime) -> float:
    """Of the minute that runs, and as much of the one before as is missing to sixty seconds."""
    before, running = counts
    passed = (now - _minute(now)).total_seconds()
    return (running + before * (1 - passed / 60)) / 60


def forget_old() -> None:
    """Deletes what no page shows any more."""
    Tally.objects.filter(minute__lt=sql.database_now() - KEPT).delete()


def _minute(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)
