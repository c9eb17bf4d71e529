"""Rows that a person chose one by one: sent again, under the lock of their feed, or cancelled."""

import threading
import time

import pytest
from django.db import connection, transaction

from deliveries.models import Delivery
from feeds import commands, errands
from feeds.errors import WrongState
from feeds.models import Feed, Row
from tests.feeds.conftest import rows_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def half_failed(pipeline, third_party, checked):
    """Row 1 has arrived, row 2 failed for good, row 3 will be tried again."""
    third_party.server.behave("shop", rows={"2": {"status": 422}, "3": {"status": 503}})
    feed = checked(rows_of(3))
    commands.release(feed.id)
    return pipeline.settle(feed)


def outcomes(feed: Feed) -> dict[int, str]:
    return dict(Row.objects.filter(feed_id=feed.id).values_list("number", "outcome"))


def test_a_failed_row_is_sent_again_and_the_others_are_not(pipeline, third_party, half_failed):
    third_party.fail()
    assert errands.retry_rows(half_failed.id, [1, 2, 3]) == 1
    feed = pipeline.settle(half_failed, due=True)
    assert third_party.rows() == [1, 2, 2, 3, 3]
    assert (feed.status, feed.succeeded) == ("completed", 3)


def test_open_rows_are_cancelled_and_the_others_are_not(pipeline, half_failed):
    assert errands.cancel_rows(half_failed.id, [1, 2, 3]) == 1
    feed = pipeline.settle(half_failed)
    assert outcomes(feed) == {1: "succeeded", 2: "failed", 3: "cancelled"}
    assert feed.status == "completed"


@pytest.mark.parametrize("passed", [False, True], ids=["before", "after"])
def test_no_row_is_sent_again_once_its_feed_is_cancelled(pipeline, half_failed, passed):
    commands.cancel(half_failed.id)
    feed = pipeline.settle(half_failed) if passed else half_failed
    with pytest.raises(WrongState, match="cancelled, and cannot be retried"):
        errands.retry_rows(feed.id, [2])
    feed = pipeline.settle(feed)
    assert (feed.status, feed.pending, feed.failed, feed.cancelled) == ("cancelled", 0, 1, 1)
    assert not Delivery.objects.filter(status="scheduled").exists()


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer")
def test_a_retry_waits_for_a_cancellation_that_is_being_said_and_does_nothing_then(pipeline, half_failed):
    told: list[str] = []

    def retry() -> None:
        try:
            errands.retry_rows(half_failed.id, [2])
        except WrongState as exc:
            told.append(str(exc))
        finally:
            connection.close()

    person = threading.Thread(target=retry)
    with transaction.atomic():
        commands.cancel(half_failed.id)
        person.start()
        _wait_until_somebody_waits()
    person.join()
    assert told == ["The feed is cancelled, and cannot be retried."]
    assert pipeline.settle(half_failed).pending == 0


def _wait_until_somebody_waits() -> None:
    waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    until = time.monotonic() + 20
    with connection.cursor() as cursor:
        while time.monotonic() < until:
            cursor.execute("SELECT pg_stat_clear_snapshot()")
            cursor.execute(waiting)
            if cursor.fetchone():
                return
    raise AssertionError("Nobody waited for the lock.")
