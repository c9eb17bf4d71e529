"""Celery tasks of feeds that no event starts."""

from datetime import timedelta

from celery import shared_task
from django.conf import settings

RETENTION_QUEUE = "feeds.retention"
BUDGET = 2.0  # seconds of one task; what is left is another's


@shared_task(name="feeds.retention", ignore_result=True)
def retention() -> None:
    """Deletes what has been kept long enough, and sends itself on with what is left."""
    from deliveries.tallies import forget_old
    from feeds.destinations import forget_old_tests
    from feeds.grouping import recount_what_differs
    from feeds.retention import prune

    forget_old()
    forget_old_tests()
    recount_what_differs()
    if not prune(older_than=timedelta(days=settings.RETENTION_DAYS), budget=BUDGET):
        retention.apply_async(queue=RETENTION_QUEUE, ignore_result=True)
