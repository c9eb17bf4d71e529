"""Trying the first rows of a feed, through the real pipeline, on the suite's database."""

import pytest
from django.db import transaction

from feeds import commands, handlers
from feeds.errors import WrongState
from feeds.events import FeedCancelled
from feeds.models import Feed, Row
from outbox.models import OutboxEvent
from tests.feeds.conftest import rows_of

pytestmark = pytest.mark.django_db(transaction=True)


def told(name: str) -> int:
    return OutboxEvent.objects.filter(type=name).count()


@pytest.fixture
def tried(pipeline, third_party, checked):
    """A feed of 25 rows whose first ten were sent."""
    feed = checked(rows_of(25))
    commands.try_first(feed.id)
    return pipeline.settle(feed)


def test_a_trial_sends_ten_rows_and_waits(third_party, tried):
    feed = tried
    assert third_party.rows() == list(range(1, 11))
    assert (feed.status, feed.trial, feed.import_done) == ("delivering", True, False)
    assert (feed.total, feed.succeeded, feed.pending) == (25, 10, 15)
    assert feed.trial_is_full
    assert not told("FeedTried")
    assert not told("FeedCompleted")


def test_the_rest_is_sent_once_and_completes_the_feed(pipeline, third_party, tried):
    commands.release_rest(tried.id)
    feed = pipeline.settle(tried)

    assert third_party.rows() == list(range(1, 26))
    assert (feed.status, feed.trial, feed.succeeded) == ("completed", False, 25)
    assert (told("FeedTried"), told("FeedCompleted")) == (1, 1)
    assert Row.objects.filter(feed_id=feed.id).count() == 25


def test_the_rest_may_be_sent_before_the_trial_has_begun(pipeline, third_party, checked):
    feed = checked(rows_of(25))
    commands.try_first(feed.id)
    commands.release_rest(feed.id)
    feed = pipeline.settle(feed)

    assert third_party.rows() == list(range(1, 26))
    assert feed.status == "completed"


def test_the_rest_may_be_sent_while_the_ten_fail_and_are_tried_again(pipeline, third_party, checked):
    third_party.fail(2, 5, 7)
    feed = checked(rows_of(25))
    commands.try_first(feed.id)
    feed = pipeline.settle(feed)
    assert (feed.succeeded, feed.pending, feed.tried) == (7, 18, 10)

    third_party.fail()
    commands.release_rest(feed.id)
    pipeline.settle(feed)
    feed = pipeline.settle(feed, due=True)
    assert (feed.status, feed.succeeded) == ("completed", 25)


def test_ten_rows_or_fewer_are_simply_the_whole(pipeline, third_party, checked):
    feed = checked(rows_of(10))
    commands.try_first(feed.id)
    assert not Feed.objects.get().trial
    feed = pipeline.settle(feed)
    assert (feed.status, feed.trial, feed.succeeded) == ("completed", False, 10)


def test_invalid_rows_are_not_among_the_ten(pipeline, third_party, checked):
    lines = [f"A{n},1\n" if n % 3 else f"A{n}\n" for n in range(1, 31)]
    feed = checked("sku,price\n" + "".join(lines))
    assert (feed.total, feed.invalid) == (30, 10)
    commands.try_first(feed.id)
    feed = pipeline.settle(feed)

    assert third_party.rows() == [n for n in range(1, 31) if n % 3][:10]
    assert (feed.succeeded, feed.failed, feed.invalid, feed.pending) == (10, 10, 10, 10)
    commands.release_rest(feed.id)
    feed = pipeline.settle(feed)
    assert (feed.status, feed.succeeded, feed.failed) == ("completed", 20, 10)


def test_a_feed_that_turns_out_to_hold_no_other_good_row_ends_with_its_trial(pipeline, checked):
    # Given twelve rows of which only nine can be rendered, checked before checks looked at that
    mapping = commands.add_mapping(name="numbers", document={"fields": {"n": {"type": "number"}}})
    feed = checked("n\n" + "".join(f"{n if n <= 9 else 'x'}\n" for n in range(1, 13)), mapping=mapping)
    Feed.objects.filter(id=feed.id).update(invalid=0, failed=0, pending=12, invalid_by_code=None)
    # When it is tried
    commands.try_first(feed.id)
    feed = pipeline.settle(feed)
    # Then nothing is left to be asked for
    assert (feed.status, feed.trial) == ("completed", False)
    assert (feed.succeeded, feed.failed, feed.invalid) == (9, 3, 3)


def test_a_trial_that_is_cancelled_sends_nothing_more_and_adds_up(pipeline, third_party, tried):
    commands.cancel(tried.id)
    feed = pipeline.settle(tried)

    assert third_party.rows() == list(range(1, 11))
    assert (feed.status, feed.succeeded, feed.cancelled, feed.pending) == ("cancelled", 10, 15, 0)
    with pytest.raises(WrongState):
        commands.release_rest(feed.id)


def test_of_a_cancelled_feed_no_row_is_gone_through_that_was_never_imported(pipeline, checked, monkeypatch):
    monkeypatch.setattr(handlers, "CANCEL_CHUNK", 5)
    feed = checked(rows_of(25))
    commands.cancel(feed.id)
    step = handlers.cancel_deliveries(FeedCancelled(correlation_id=feed.id))
    with transaction.atomic():
        assert step() is None


def test_a_trial_is_paused_and_goes_on(pipeline, third_party, checked):
    feed = checked(rows_of(25))
    commands.try_first(feed.id)
    commands.pause(feed.id)
    feed = pipeline.settle(feed)
    assert (third_party.rows(), feed.status, feed.trial) == ([], "paused", True)
    with pytest.raises(WrongState, match="paused"):
        commands.release_rest(feed.id)

    commands.resume(feed.id)
    feed = pipeline.settle(feed)
    assert (feed.status, feed.trial, feed.succeeded) == ("delivering", True, 10)


def test_a_second_click_is_told_and_does_nothing(pipeline, third_party, checked):
    feed = checked(rows_of(25))
    commands.try_first(feed.id)
    with pytest.raises(WrongState):
        commands.try_first(feed.id)
    with pytest.raises(WrongState):
        commands.release(feed.id)
    pipeline.settle(feed)
    commands.release_rest(feed.id)
    with pytest.raises(WrongState, match="on their way already"):
        commands.release_rest(feed.id)
    assert pipeline.settle(feed).succeeded == 25
    assert third_party.rows() == list(range(1, 26))
