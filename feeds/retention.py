"""Retention: a month after a feed has ended its rows, deliveries and file go; its counts stay for ever."""

import shutil
import time
from datetime import timedelta

from django.db import transaction
from django.db.models import F
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
        while not (gone := _delete_chunk(feed)) and time.monotonic() < ends:
            pass
        if gone:
            _delete_file(feed)
        if time.monotonic() >= ends:
            return False
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
        feed.failure_groups.all().delete()
        feed.deleted_up_to = last
        feed.save(update_fields=["deleted_up_to"])
        return last == feed.total


def _delete_file(stale: Feed) -> None:
    """Whoever dies before the feed is marked leaves it to be looked at again: no file is forgotten."""
    feed = Feed.objects.filter(id=stale.id, ended_at__isnull=False, deleted_up_to=F("total"))
    if feed.exists():
        shutil.rmtree(stale.folder, ignore_errors=True)
        feed.update(rows_deleted=True)
