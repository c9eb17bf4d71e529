"""What is deleted a month after a feed's end, and what stays."""

import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from deliveries.commands import Parcel, add_destination, create_deliveries
from deliveries.models import Attempt, Delivery, Payload
from feeds import retention
from feeds.models import Feed, FeedStatus, Row

pytestmark = pytest.mark.django_db(transaction=True)

MONTH = timedelta(days=30)


@pytest.fixture
def ended(settings, tmp_path):
    """Makes a feed of five rows, all arrived, that ended so many days ago."""
    from django.db import transaction

    settings.MEDIA_ROOT = tmp_path
    destination = add_destination(name="shop", url="https://shop.example")

    def make(days: float | None) -> Feed:
        feed = Feed.objects.create(
            name="f.csv",
            destination=destination,
            lane_id=destination.lane_id,
            status=FeedStatus.COMPLETED if days is not None else FeedStatus.DELIVERING,
            ended_at=None if days is None else timezone.now() - timedelta(days=days),
            total=5,
            succeeded=5,
        )
        feed.folder.mkdir()
        feed.source_path.write_text("sku\n1\n2\n3\n4\n5\n")
        for number in range(1, 6):
            Row.objects.create(feed_id=feed.id, number=number, line=number + 1, cells="[]")
        with transaction.atomic():
            parcels = [Parcel(number, "POST", "", "application/json", "{}") for number in range(1, 6)]
            create_deliveries(
                group_id=feed.id, destination_id=destination.id, lane_id=feed.lane_id, parcels=parcels
            )
        for delivery in Delivery.objects.filter(group_id=feed.id):
            Attempt.objects.create(delivery_id=delivery.id, number=1)
        return feed

    return make


def left(feed_id: uuid.UUID) -> tuple[int, int, int, int]:
    ids = list(Delivery.objects.filter(group_id=feed_id).values_list("id", flat=True))
    return (
        Row.objects.filter(feed_id=feed_id).count(),
        len(ids),
        Payload.objects.filter(delivery_id__in=ids).count(),
        Attempt.objects.filter(delivery_id__in=ids).count(),
    )


def test_rows_go_a_month_after_the_end_and_counts_stay(ended):
    old, young, open_ = ended(31), ended(29), ended(None)
    assert retention.prune(older_than=MONTH)
    assert left(old.id) == (0, 0, 0, 0)
    assert Payload.objects.count() == Attempt.objects.count() == 10
    assert left(young.id) == left(open_.id) == (5, 5, 5, 5)
    assert not old.folder.exists()
    assert young.source_path.exists()
    old.refresh_from_db()
    assert (old.rows_deleted, old.total, old.succeeded) == (True, 5, 5)


def test_it_stops_when_its_time_is_up_and_goes_on_where_it_was(ended, monkeypatch):
    monkeypatch.setattr(retention, "CHUNK", 2)
    feed = ended(31)
    assert not retention.prune(older_than=MONTH, budget=0)
    assert left(feed.id)[0] == 3
    assert feed.source_path.exists()
    assert retention.prune(older_than=MONTH)
    assert left(feed.id) == (0, 0, 0, 0)
    assert retention.prune(older_than=MONTH)


def test_its_time_is_over_for_many_small_feeds_too(ended):
    feeds = [ended(days) for days in (33, 32, 31)]
    assert not retention.prune(older_than=MONTH, budget=0)
    assert [left(feed.id)[0] for feed in feeds] == [0, 5, 5]


def test_a_file_is_not_forgotten_by_whoever_dies_before_it_is_deleted(ended, monkeypatch):
    def die(*_, **__):
        raise SystemExit

    feed = ended(31)
    with monkeypatch.context() as patched:
        patched.setattr("feeds.retention.shutil.rmtree", die)
        with pytest.raises(SystemExit):
            retention.prune(older_than=MONTH)
    assert feed.source_path.exists()
    assert retention.prune(older_than=MONTH)
    assert not feed.folder.exists()
    feed.refresh_from_db()
    assert feed.rows_deleted


def test_a_feed_that_was_reopened_meanwhile_keeps_its_rows(ended):
    feed = ended(31)
    stale = Feed.objects.get(id=feed.id)
    Feed.objects.filter(id=feed.id).update(status=FeedStatus.DELIVERING, ended_at=None)
    assert retention._delete_chunk(stale)
    assert left(feed.id) == (5, 5, 5, 5)
