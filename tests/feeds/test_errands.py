"""Retrying what failed and giving up what still retries, chunk by chunk, through the real pipeline."""

import pytest
from django.db import transaction
from django.utils import timezone

from deliveries.commands import add_destination, give_up_deliveries
from deliveries.models import Delivery
from deliveries.sending import Sending
from feeds import commands, errands, handlers, queries
from feeds.errors import WrongState
from feeds.events import RetryRequested
from feeds.models import Errand, ErrandKind, FailureGroup, Feed, FeedStatus, Row
from outbox.models import OutboxEvent, uuid7

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(errands, "CHUNK", 2)


def outcomes(feed: Feed) -> dict[int, str]:
    return dict(Row.objects.filter(feed_id=feed.id).values_list("number", "outcome"))


def test_a_click_answers_at_once_and_the_handler_sends_what_failed_again(
    pipeline, third_party, sent, small_chunks
):
    third_party.fail(1, 3, 4, 6, 7, status=422)
    feed = sent(8)
    assert (feed.status, feed.failed, feed.round) == ("completed", 5, 1)
    third_party.fail()
    Row.objects.bulk_create(  # of another feed
        Row(feed_id=uuid7(), number=number, line=number, cells="[]", outcome="failed")
        for number in range(1, 9)
    )

    errands.retry_failed(feed.id)
    assert Delivery.objects.filter(status="failed").count() == 5
    feed = pipeline.settle(feed)

    assert third_party.rows() == sorted([*range(1, 9), 1, 3, 4, 6, 7])
    assert (feed.status, feed.succeeded, feed.failed, feed.round) == ("completed", 8, 0, 2)
    errand = Errand.objects.get()
    assert (errand.moved, errand.reached) == (5, 7)
    assert errand.ended_at


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"status": FeedStatus.CANCELLED}, "cannot be retried"),
        ({"status": FeedStatus.COMPLETED, "rows_deleted": True}, "were deleted"),
        ({"status": FeedStatus.COMPLETED, "invalid": 2}, "No failed row"),
    ],
)
def test_a_retry_that_can_send_nothing_is_told(fields, words):
    shop = add_destination(name="shop", url="https://shop.example")
    feed = Feed.objects.create(
        name="f.csv", destination=shop, lane_id=shop.lane_id, total=2, failed=2, **fields
    )
    with pytest.raises(WrongState, match=words):
        errands.retry_failed(feed.id)
    with pytest.raises(WrongState, match="cannot be given up"):
        errands.give_up(feed.id, by="olga")
    assert not Errand.objects.exists()


def test_a_second_click_is_told_and_sends_nothing_twice(pipeline, third_party, sent):
    third_party.fail(2, status=422)
    feed = sent(3)
    errands.retry_failed(feed.id)
    with pytest.raises(WrongState, match="already"):
        errands.retry_failed(feed.id)
    with pytest.raises(WrongState, match="already"):
        errands.retry_failed(feed.id, group="0123")
    third_party.fail()
    pipeline.settle(feed)
    assert third_party.rows() == [1, 2, 2, 3]
    with pytest.raises(WrongState, match="No failed row"):
        errands.retry_failed(feed.id)


def test_what_is_asked_for_beside_another_errand_is_done_and_the_same_twice_is_not():
    shop = add_destination(name="shop", url="https://shop.example")
    neighbour, feed = (
        Feed.objects.create(
            name="f.csv", destination=shop, lane_id=shop.lane_id, status=FeedStatus.DELIVERING, total=4,
            failed=3, invalid=1, pending=1,
        )
        for _ in range(2)
    )  # fmt: skip
    Errand.objects.bulk_create(Errand(feed=neighbour, kind=kind) for kind in ErrandKind)
    for key, invalid in (("one", 0), ("two", 0), ("invalid", 1)):
        FailureGroup.objects.create(feed=feed, key=key, code=key, count=1, invalid=invalid)
    for group in ("one", "two", ""):
        errands.retry_failed(feed.id, group=group)
        with pytest.raises(WrongState, match="already"):
            errands.retry_failed(feed.id, group=group)
    errands.give_up(feed.id, by="olga")
    Errand.objects.filter(kind="retry", group="").delete()
    errands.retry_failed(feed.id)
    assert feed.errands.count() == 4
    # And once they have ended, all may be asked for again
    feed.errands.update(ended_at=timezone.now())
    for ended in feed.errands.all():
        assert errands.retry_chunk(ended.id) is errands.give_up_chunk(ended.id, by="olga") is None
    errands.retry_failed(feed.id)
    errands.give_up(feed.id, by="olga")
    feed.errands.all().delete()
    for group in ("invalid", "none"):
        with pytest.raises(WrongState, match="No row that failed for this reason"):
            errands.retry_failed(feed.id, group=group)


def test_a_retry_goes_on_where_a_dead_worker_left_it(pipeline, third_party, sent, small_chunks):
    # Given a retry of which one chunk was committed when its worker died
    third_party.fail(1, 2, 3, 4, 5, status=422)
    feed = sent(5)
    errands.retry_failed(feed.id)
    errand = Errand.objects.get()
    request = RetryRequested(correlation_id=feed.id, errand_id=errand.id)
    step, lost = handlers.retry_failed(request), handlers.retry_failed(request)
    assert step
    assert lost
    with transaction.atomic():
        step()
    # And of which another was never committed
    with transaction.atomic():
        lost()
        transaction.set_rollback(True)
    errand.refresh_from_db()
    assert (errand.reached, errand.moved) == (2, 2)
    assert Delivery.objects.filter(status="failed").count() == 3
    # When it is handled again
    third_party.fail()
    feed = pipeline.settle(feed)
    # Then each row went again once
    assert third_party.rows() == sorted([1, 2, 3, 4, 5] * 2)
    assert (feed.succeeded, feed.failed) == (5, 0)
    assert Errand.objects.get().moved == 5


def test_rows_of_one_reason_are_retried_alone(pipeline, third_party, sent):
    third_party.fail(2, status=422)
    third_party.server.behave("shop", rows={"2": {"status": 422}, "3": {"status": 404}})
    feed = sent(4)
    group = next(group for group in queries.failed_groups(feed).items if group.http_status == 404)
    third_party.fail()

    errands.retry_failed(feed.id, group=group.key)
    feed = pipeline.settle(feed)
    assert third_party.rows() == [1, 2, 3, 3, 4]
    assert outcomes(feed) == {1: "succeeded", 2: "failed", 3: "succeeded", 4: "succeeded"}


@pytest.mark.parametrize("kind", ErrandKind)
def test_an_errand_ends_when_the_feed_is_cancelled(pipeline, third_party, sent, kind):
    third_party.server.behave("shop", rows={"1": {"status": 503}, "2": {"status": 422}})
    feed = sent(3)
    assert feed.status == "delivering"
    if kind == ErrandKind.RETRY:
        errands.retry_failed(feed.id)
    else:
        errands.give_up(feed.id, by="olga")
    commands.cancel(feed.id)
    feed = pipeline.settle(feed)

    assert outcomes(feed) == {1: "cancelled", 2: "failed", 3: "succeeded"}
    assert (feed.cancelled, feed.failed, feed.pending) == (1, 1, 0)
    assert Errand.objects.get().ended_at


def test_what_still_retries_is_given_up_by_name_and_the_feed_ends(pipeline, third_party, sent, small_chunks):
    third_party.fail(2, 4, 5)
    feed = sent(6)
    assert (feed.status, feed.pending) == ("delivering", 3)

    errands.give_up(feed.id, by="olga")
    with pytest.raises(WrongState, match="already"):
        errands.give_up(feed.id, by="otto")
    feed = pipeline.settle(feed)

    assert (feed.status, feed.succeeded, feed.failed, feed.pending) == ("completed", 3, 3, 0)
    given_up = Row.objects.filter(feed_id=feed.id, outcome="failed")
    assert set(given_up.values_list("number", "code", "error")) == {
        (number, "given_up", "Given up by olga.") for number in (2, 4, 5)
    }
    assert Errand.objects.get().moved == 3
    # And what was to be tried later is not, but a person may have it sent again
    third_party.fail()
    pipeline.settle(feed, due=True)
    assert third_party.rows() == [1, 2, 3, 4, 5, 6]
    errands.retry_failed(feed.id)
    feed = pipeline.settle(feed)
    assert (feed.status, feed.succeeded, feed.round) == ("completed", 6, 2)


def test_what_a_paused_feed_would_try_again_is_given_up_too(pipeline, third_party, sent):
    third_party.fail(2)
    feed = sent(3)
    commands.pause(feed.id)
    errands.give_up(feed.id, by="olga")
    feed = pipeline.settle(feed)
    assert (feed.status, feed.failed, feed.pending) == ("paused", 1, 0)
    commands.resume(feed.id)
    assert pipeline.settle(feed).status == "completed"


def test_what_failed_in_a_paused_feed_is_retried_when_it_is_resumed(pipeline, third_party, sent):
    third_party.server.behave("shop", rows={"1": {"status": 503}, "2": {"status": 422}})
    feed = sent(3)
    commands.pause(feed.id)
    third_party.fail()
    errands.retry_failed(feed.id)
    feed = pipeline.settle(feed)
    assert (feed.status, feed.failed, feed.pending) == ("paused", 0, 2)
    assert third_party.rows() == [1, 2, 3]
    commands.resume(feed.id)
    assert pipeline.settle(feed, due=True).status == "completed"
    assert third_party.rows() == [1, 1, 2, 2, 3]


@pytest.fixture
def given_up_under_way(monkeypatch):
    """A person gives up while the requests are under way: before what came of them is recorded."""
    record = Sending.record

    def too_late(self, acts):
        group_id = acts[0][0].conversation_id
        give_up_deliveries(group_id=group_id, first=1, last=9, why="Given up by olga.")
        record(self, acts)

    return lambda: monkeypatch.setattr(Sending, "record", too_late)


@pytest.mark.parametrize(("answer", "outcome"), [(200, "succeeded"), (503, "failed"), (422, "failed")])
def test_of_a_request_under_way_only_the_success_wins_over_giving_up(
    pipeline, third_party, sent, given_up_under_way, answer, outcome
):
    third_party.fail(2)
    feed = sent(3)
    third_party.fail(*[2] * (answer != 200), status=answer)
    given_up_under_way()
    feed = pipeline.settle(feed, due=True)

    assert third_party.rows() == [1, 2, 2, 3]
    assert outcomes(feed) == {1: "succeeded", 2: outcome, 3: "succeeded"}
    assert (feed.status, feed.pending, feed.succeeded + feed.failed) == ("completed", 0, 3)
    assert not OutboxEvent.objects.filter(type="DeliveryScheduled", occurrence__gt=2).exists()


def test_what_ends_a_feed_names_the_event_that_closed_its_count(sent):
    feed = sent(3)
    ends = OutboxEvent.objects.filter(correlation_id=feed.id, type__in=["FeedTried", "FeedCompleted"])
    causes = OutboxEvent.objects.filter(id__in=ends.values("causation_id"))
    assert ends.count() == 2
    assert set(causes.values_list("type", flat=True)) <= {"DeliverySucceeded", "FeedImported"}
    assert causes.exists()
    assert not ends.filter(causation_id=None).exists()
