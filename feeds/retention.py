"""Retention: a month after a feed has ended its rows, deliveries and file go; its counts stay for ever."""

import shutil
import time
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from deliveries.commands import delete_deliveries
from feeds.commands import locked
from feeds.models import Feed, Row

CHUNK = 1000  # rows deleted in one transaction


def prune(*, older_than: timedelta, budget: float = float("inf")) -> bool:
    """Deletes for at most `budget` seconds, in short transactions; says whether all of it was done.

    A feed that was never sent, or has not ended, keeps its rows whatever their age.
    """
    ends = time.monotonic() + budget
    ended = Feed.objects.filter(ended_at__lt=timezone.now() - older_than, rows_deleted=False)
    for feed in ended.order_by("ended_at").iterator(chunk_size=100):
        while not _delete_chunk(feed):
            if time.monotonic() > ends:
                return False
        if Feed.objects.filter(id=feed.id, rows_deleted=True).exists():
            shutil.rmtree(feed.folder, ignore_errors=True)
    return True


def _delete_chunk(stale: Feed) -> bool:
    """Deletes the feed's next rows with all that was made of them; says whether they were the last."""
    with transaction.atomic():
        feed = locked(stale.id)
        if feed.ended_at is None:
            return True  # reopened since it was looked at
        first, last = feed.deleted_up_to + 1, min(feed.total, feed.deleted_up_to + CHUNK)
        delete_deliveries(group_id=feed.id, first=first, last=last)
        Row.objects.filter(feed_id=feed.id, number__range=(first, last)).delete()
        feed.deleted_up_to = last
        feed.rows_deleted = last == feed.total
        feed.save(update_fields=["deleted_up_to", "rows_deleted"])
        return feed.rows_deleted
