"""Attempts by minute, succeeded and failed: what the overview shows, without looking at any attempt.

Counted with the completion of `register_attempt`, so each outcome once. A replay would count it again.
"""

import random
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection
from django.db.models import Sum

from deliveries.events import DeliveryAttemptFailed, DeliveryScheduled, DeliverySucceeded
from deliveries.models import Tally
from outbox import sql

SHARES = 8  # rows of one minute; two batches that write the same one wait for each other
KEPT = timedelta(days=2)
MINUTE = timedelta(minutes=1)
_COLUMNS = {"minute": "timestamptz", "share": "smallint", "succeeded": "integer", "failed": "integer"}


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
    counts: dict[datetime, list[int]] = defaultdict(lambda: [0, 0])
    for event in events:
        if not isinstance(event, DeliveryScheduled) and event.occurred_at is not None:
            counts[_minute(event.occurred_at)][isinstance(event, DeliveryAttemptFailed)] += 1
    if not counts:
        return
    share = random.randrange(SHARES)
    # In the order of time: two batches with the same share lock its rows one after the other.
    rows = [(minute, share, *counts[minute]) for minute in sorted(counts)]
    table, params = sql.values_table("v", _COLUMNS, rows)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""INSERT INTO deliveries_tally (minute, share, succeeded, failed)
                SELECT minute, share, succeeded, failed FROM {table} WHERE true ORDER BY minute
                ON CONFLICT (minute, share) DO UPDATE SET
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


def forget_old() -> None:
    """Deletes what no page shows any more."""
    Tally.objects.filter(minute__lt=sql.database_now() - KEPT).delete()


def _minute(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)
