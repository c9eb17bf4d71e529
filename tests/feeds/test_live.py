"""Where a feed stands: its sentence, what it waits for, what a page offers, and whether it asks again."""

from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from deliveries.commands import Parcel, add_destination, create_deliveries, pause_destination
from deliveries.ids import delivery_id
from deliveries.models import Delivery
from feeds.deeds import UPLOADED
from feeds.models import Deed, Errand, Feed, Row
from feeds.queries.live import Live
from outbox import heartbeats
from outbox.models import Error, Handling, Lane, OutboxEvent, Subscription

pytestmark = pytest.mark.django_db

LONG_AGO = timedelta(minutes=1)


@pytest.fixture
def make():
    """A feed of a hundred rows, of which one was invalid and all others arrived, unless said otherwise."""
    destination = add_destination(name="shop", url="https://shop.example")

    def feed(status: str, **fields) -> Feed:
        values = {
            "total": 100, "succeeded": 99, "failed": 1, "invalid": 1, "created": 99, "tried": 99,
            "import_done": True,
        }  # fmt: skip
        return Feed.objects.create(
            name="f.csv", destination=destination, lane_id=destination.lane_id, status=status,
            **(values | fields),
        )  # fmt: skip

    return feed


UNSENT = {"created": 0, "tried": 0, "succeeded": 0, "pending": 99, "import_done": False}
ONE_OPEN = {"succeeded": 98, "pending": 1}
WAIT_FOR_YOU = "The other 89 wait for you: send the rest, or cancel."
TRIED = {"trial": True, "import_done": False, "created": 10, "tried": 10}


@pytest.mark.parametrize(
    ("status", "fields", "told"),
    [
        ("checking", {}, "The file is being read. Nothing is sent before that is done."),
        ("ready", UNSENT, "The file is read: 100 rows. Nothing is sent before you press Send."),
        ("delivering", ONE_OPEN, "98 of 100 rows have arrived."),
        (
            "paused",
            ONE_OPEN,
            "Paused. 98 of 100 rows have arrived; the others wait until the feed is resumed.",
        ),
        (
            "cancelled",
            ONE_OPEN,
            "Cancelled. 98 of 100 rows have arrived; the last ones are being stopped.",
        ),
        ("cancelled", {}, "Cancelled. 99 of 100 rows have arrived."),
        ("delivering", UNSENT | {"trial": True}, "Trial: 0 of the first 10 rows have arrived."),
        (
            "delivering",
            TRIED | {"succeeded": 10, "pending": 89},
            f"Trial: 10 of the first 10 rows have arrived. {WAIT_FOR_YOU}",
        ),
        (
            "delivering",
            TRIED | {"succeeded": 8, "failed": 3, "pending": 89},
            f"Trial: 8 of the first 10 rows have arrived, 2 failed. {WAIT_FOR_YOU}",
        ),
    ],
)
def test_where_a_feed_stands_is_one_sentence(make, status, fields, told):
    assert Live(make(status, **fields)).sentence == told


@pytest.mark.parametrize(
    ("status", "fields", "deed", "moves"),
    [
        ("checking", UNSENT, "", True),
        ("ready", UNSENT, "corrected", False),  # a person reads it, and fills in its forms
        ("rejected", UNSENT, "corrected", False),
        ("delivering", ONE_OPEN, "", True),
        ("paused", ONE_OPEN, "", True),
        ("cancelled", ONE_OPEN, "", True),
        ("cancelled", {}, "", False),
        ("completed", {}, "", False),
        ("completed", {}, UPLOADED, False),
        ("completed", {}, "retried", True),
    ],
)
def test_a_page_asks_again_while_something_moves(make, status, fields, deed, moves):
    feed = make(status, **fields)
    if deed:
        Deed.objects.create(feed=feed, what=deed)
    assert Live(feed).moves is moves


def test_what_a_person_did_some_time_ago_moves_nothing_any_more(make):
    feed = make("completed")
    Deed.objects.create(feed=feed, what="retried")
    Deed.objects.update(at=timezone.now() - LONG_AGO)
    assert not Live(feed).moves
    # But an errand does as long as it takes
    errand = Errand.objects.create(feed=feed, kind="retry")
    Errand.objects.update(began_at=timezone.now() - LONG_AGO)
    assert Live(feed).moves
    Errand.objects.filter(id=errand.id).update(ended_at=timezone.now() - LONG_AGO)
    assert not Live(feed).moves


@pytest.mark.parametrize(
    ("total", "status", "seconds"), [(9_999, "paused", 1), (10_000, "paused", 2), (10_000, "checking", 1)]
)
def test_a_large_feed_is_asked_for_less_often(make, total, status, seconds):
    assert Live(make(status, total=total, pending=total - 100)).poll == seconds


@pytest.mark.parametrize(
    ("status", "waits"), [("ready", 0), ("completed", 0), ("delivering", 1), ("paused", 1)]
)
def test_that_no_worker_runs_is_told_where_something_is_to_be_done(make, status, waits):
    found = Live(make(status, **(ONE_OPEN if waits else {}))).waits
    assert [wait.sentence[:20] for wait in found] == ["No worker is running"] * waits


def test_a_paused_feed_is_not_said_to_wait_for_its_destination(make):
    heartbeats.beat("worker", kind="worker")
    feed = make("delivering", **ONE_OPEN)
    pause_destination(feed.destination_id, reason="It refused three rows.", by_person=False)
    assert [wait.sentence for wait in Live(feed).waits] == [
        "The destination shop is paused: It refused three rows. Nothing goes there before it is resumed."
    ]
    feed.status = "paused"
    assert not Live(feed).waits


def test_a_hold_that_is_over_is_not_told(make):
    heartbeats.beat("worker", kind="worker")
    feed, now = make("delivering", **ONE_OPEN), timezone.now()
    lane = Lane.objects.filter(id=feed.destination.lane_id)
    lane.update(held_until=now + timedelta(hours=1), held_for="It asked for an hour.")
    [wait] = Live(feed).waits
    assert (wait.sentence, wait.until) == (
        "The destination shop is held. It asked for an hour.",
        now + timedelta(hours=1),
    )
    lane.update(held_until=now - timedelta(seconds=1))
    assert not Live(feed).waits


@pytest.mark.parametrize(
    ("status", "trial", "shown"),
    [
        ("delivering", True, True),
        ("paused", True, True),
        ("cancelled", True, False),
        ("paused", False, False),
    ],
)
def test_a_trial_shows_the_rows_that_were_sent_and_how_many_wait(make, status, trial, shown):
    feed = make(status, **TRIED | {"trial": trial, "succeeded": 10, "pending": 89})
    Row.objects.bulk_create(
        Row(feed_id=feed.id, number=number, line=number + 1, cells="[]", invalid=number == 2)
        for number in range(1, 15)
    )
    found = Live(feed).trial
    assert bool(found) is shown
    if found:
        assert [row.number for row in found.rows] == [1, *range(3, 12)]
        assert found.waiting == 89


def work(feed: Feed, state: str, *, row: int = 1, attempt: int = 1, lane_id: int = 0, **more) -> None:
    """A handling of an attempt that was planned for a row."""
    kind = "DeliveryScheduled"
    event = OutboxEvent.objects.create(
        type=kind, correlation_id=delivery_id(feed.id, row), conversation_id=feed.id, occurrence=attempt,
        payload={}, occurred_at=timezone.now(),
    )  # fmt: skip
    subscription, _ = Subscription.objects.get_or_create(event_type=kind, handler="t.one")
    Handling.objects.create(
        event=event, subscription=subscription, lane_id=lane_id or feed.lane_id, state=state, **more
    )


def test_what_is_parked_of_another_feed_holds_nobody_up(make):
    heartbeats.beat("worker", kind="worker")
    feed, other = make("delivering", **ONE_OPEN), make("delivering", **ONE_OPEN)
    work(feed, "done")
    work(other, "parked", error=Error.objects.create(handler="t.one", exception="ValueError", place="here"))
    assert not Live(feed).waits
    assert "by our fault" in Live(other).waits[0].sentence


@pytest.fixture
def retrying(make):
    """A feed whose first row is tried again in a minute. Of what comes before that nothing is its: a row that
    was given up, one that goes on by another attempt, and another feed's."""
    heartbeats.beat("worker", kind="worker")
    feed = make("delivering", succeeded=97, failed=1, invalid=0, pending=2)
    elsewhere = add_destination(name="elsewhere", url="https://shop.example").lane_id
    parcels = [Parcel(number, "POST", "", "", "") for number in (1, 2, 3, 4)]
    with transaction.atomic():
        create_deliveries(
            group_id=feed.id, destination_id=feed.destination_id, lane_id=feed.lane_id, parcels=parcels
        )
    Delivery.objects.update(status="scheduled", attempt=2)
    Delivery.objects.filter(number=2).update(status="failed")
    Delivery.objects.filter(number=3).update(attempt=3)
    now = timezone.now()
    for row, seconds, lane_id in ((3, 10, 0), (4, 20, elsewhere), (2, 30, 0), (1, 60, 0), (1, 90, 0)):
        due_at = now + timedelta(seconds=seconds)
        work(feed, "waiting", row=row, attempt=2, lane_id=lane_id, due_at=due_at)
    return feed, now + timedelta(minutes=1)


def test_the_next_try_is_the_soonest_that_is_still_wanted(retrying):
    feed, at = retrying
    assert Live(feed).next_try == at
    Delivery.objects.update(status="succeeded")
    assert Live(feed).next_try is None


@pytest.mark.parametrize(
    "changes",
    [{"tried": 98}, {"import_done": False}, {"status": "paused"}, {"pending": 0, "succeeded": 99}],
)
def test_no_next_try_is_told_while_rows_go_or_nothing_is_to_go(retrying, changes):
    feed, _ = retrying
    for name, value in changes.items():
        setattr(feed, name, value)
    assert Live(feed).next_try is None


def test_no_next_try_is_told_while_the_destination_is_paused(retrying):
    feed, _ = retrying
    pause_destination(feed.destination_id, reason="It refused three rows.", by_person=False)
    assert Live(feed).next_try is None


def test_what_retries_is_what_was_tried_and_is_open_while_the_feed_is_sent(make):
    # Given five rows of which two were never tried
    feed = make("delivering", succeeded=94, pending=5, tried=97)
    assert [Live(feed).retrying, Live(feed).to_give_up] == [3, 0]  # no delivery of them has failed
    for status, retrying in (("paused", 3), ("cancelled", 0), ("completed", 0)):
        feed.status = status
        assert Live(feed).retrying == retrying


@pytest.mark.parametrize(("total", "estimated", "to_give_up"), [(10_000, False, 0), (10_001, True, 2)])
def test_how_many_would_be_given_up_is_counted_only_in_a_small_feed(make, total, estimated, to_give_up):
    live = Live(make("delivering", total=total, pending=total - 100, created=total - 1, tried=101))
    assert (live.estimated, live.to_give_up) == (estimated, to_give_up)


def test_what_would_be_given_up_is_what_failed_and_will_be_tried_again_of_this_feed(make):
    # Given two feeds, and of each a row that failed, one that was only throttled, one that arrived since
    feed, other = (make("delivering", succeeded=96, pending=3) for _ in range(2))
    for each in (feed, other):
        parcels = [Parcel(number, "POST", "", "", "") for number in (1, 2, 100)]
        with transaction.atomic():
            create_deliveries(
                group_id=each.id, destination_id=each.destination_id, lane_id=each.lane_id, parcels=parcels
            )
    Delivery.objects.update(status="scheduled", fail_count=1)
    Delivery.objects.filter(number=2).update(fail_count=0)
    Delivery.objects.filter(number=100).update(status="succeeded")
    assert (Live(feed).retrying, Live(feed).to_give_up) == (3, 1)


@pytest.mark.parametrize(
    ("status", "fields", "can"),
    [
        ("completed", {"succeeded": 98, "failed": 2}, True),
        ("paused", {"succeeded": 98, "failed": 2}, True),
        ("completed", {"succeeded": 98, "failed": 2, "rows_deleted": True}, False),
        ("completed", {}, False),  # the invalid one alone
        ("cancelled", {"succeeded": 98, "failed": 2}, False),
    ],
)
def test_a_retry_is_offered_where_a_row_failed_that_can_be_sent(make, status, fields, can):
    assert Live(make(status, **fields)).can_retry is can


@pytest.mark.parametrize(
    ("kind", "group", "ended", "can", "groups"),
    [
        ("retry", "", False, False, {""}),
        ("retry", "abc", False, True, {"abc"}),
        ("retry", "abc", True, True, set()),
        ("retry", "", True, True, set()),
        ("give up", "", False, True, set()),
    ],
)
def test_what_is_being_sent_again_is_not_offered_twice(make, kind, group, ended, can, groups):
    feed = make("delivering", succeeded=97, failed=2, pending=1)
    Errand.objects.create(feed=feed, kind=kind, group=group, ended_at=timezone.now() if ended else None)
    live = Live(feed)
    assert len(live.errands) == 1
    assert (live.can_retry, live.retried_groups) == (can, groups)


def test_no_errand_is_shown_of_a_cancelled_feed(make):
    feed = make("cancelled", **ONE_OPEN)
    Errand.objects.create(feed=feed, kind="retry")
    assert not Live(feed).errands
