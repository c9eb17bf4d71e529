"""How fast a feed moves, and the chart of it: told from some of its attempts."""

from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from deliveries.commands import add_destination, pause_destination
from deliveries.ids import delivery_id
from deliveries.models import Attempt
from feeds.models import Feed, FeedStatus
from feeds.queries.bars import bar
from feeds.queries.live import Live
from feeds.queries.pace import chart, pace
from outbox import heartbeats

pytestmark = pytest.mark.django_db

EVERY = timedelta(seconds=0.5)


@pytest.fixture
def make():
    """A feed under way of which so many rows were tried, one each half second until just now."""
    destination = add_destination(name="shop", url="https://shop.example")

    def feed(tried: int, *, total: int, failed: range = range(0), ended: datetime | None = None) -> Feed:
        made = Feed.objects.create(
            name="f.csv", destination=destination, lane_id=destination.lane_id, status=FeedStatus.DELIVERING,
            total=total, pending=total, created=total, tried=tried, released_at=timezone.now(),
        )  # fmt: skip
        last = ended or timezone.now()
        Attempt.objects.bulk_create(
            Attempt(
                delivery_id=delivery_id(made.id, number),
                number=1,
                finished_at=last - (tried - number) * EVERY,
                outcome="failed" if number in failed else "succeeded",
            )
            for number in range(1, tried + 1)
        )
        return made

    return feed


def test_the_rate_and_the_time_left_are_those_of_the_last_rows(make):
    found = pace(make(100, total=1000))
    assert found
    assert found.rate == pytest.approx(2.0, rel=0.05)
    assert found.left == pytest.approx(450, rel=0.05)


def test_of_many_rows_some_tell_the_rate_by_one_statement(make, django_assert_num_queries):
    feed = make(600, total=1000)
    with django_assert_num_queries(1):
        found = pace(feed)
    assert found
    assert found.rate == pytest.approx(2.0, rel=0.05)


def test_a_feed_that_stands_still_has_no_rate(make):
    assert pace(make(100, total=1000, ended=timezone.now() - timedelta(minutes=1))) is None


def test_a_feed_that_waits_is_not_told_when_it_will_be_done(make):
    heartbeats.beat("worker", kind="worker")
    feed = make(100, total=1000)
    assert Live(feed).pace
    pause_destination(feed.destination_id, reason="It refused three rows.", by_person=False)
    assert Live(feed).pace is None


def test_less_than_a_second_is_not_promised(make):
    found = pace(make(100, total=101))
    assert found
    assert found.left == 1.0


def test_the_limit_of_the_destination_is_the_most_that_is_promised(make):
    feed = make(100, total=1000)
    feed.destination.rate = 0.5
    found = pace(feed)
    assert found
    assert found.left == pytest.approx(1800, rel=0.01)


def test_the_chart_draws_attempts_by_outcome_over_time(make):
    # Given a feed of which the last quarter failed
    found = chart(make(200, total=200, failed=range(151, 201)))
    assert found
    assert (found.good, found.bad, found.estimated) == (150, 50, False)
    assert found.peak == pytest.approx(2.0, rel=0.2)
    assert found.ends - found.begins == 199 * EVERY
    assert [bool(each.bad) for each in found.bars] == sorted(bool(each.bad) for each in found.bars)
    assert not found.bars[0].bad
    assert not found.bars[-1].good


def test_the_chart_of_many_rows_is_told_from_some_of_them(make):
    found = chart(make(960, total=960, failed=range(1, 481)))
    assert found
    assert found.estimated
    assert (found.good, found.bad) == (480, 480)


def test_a_feed_that_was_hardly_tried_has_no_chart(make):
    assert chart(make(2, total=10)) is None


@pytest.mark.parametrize(("good", "bad"), [(1, 0), (0, 1), (9_999, 1), (1, 9_999), (5_000, 5_000)])
def test_what_is_rare_is_seen_and_no_bar_leaves_the_chart(good, bad):
    drawn = bar(3, 48, good, bad, top=10_000, height=96)
    for count, height, upper in ((good, drawn.good, drawn.good_y), (bad, drawn.bad, drawn.bad_y)):
        assert bool(count) == bool(height)
        assert 0 <= upper <= upper + height <= 96.1
