"""How fast a feed moves, and the chart of it: told from some of its attempts."""

from datetime import datetime, timedelta

import pytest
from django.db.models import F
from django.utils import timezone

from deliveries.commands import add_destination, pause_destination
from deliveries.ids import delivery_id, number_range
from deliveries.models import Attempt
from feeds.models import Deed, Feed, FeedStatus
from feeds.queries.bars import bar
from feeds.queries.live import Live
from feeds.queries.pace import FARTHEST, chart, pace
from outbox import heartbeats
from outbox.models import Heartbeat

pytestmark = pytest.mark.django_db

EVERY = timedelta(seconds=0.5)


@pytest.fixture
def make():
    """A feed under way of which so many rows were tried, after the invalid ones, one each half second until
    just now."""
    destination = add_destination(name="shop", url="https://shop.example")

    def feed(
        tried: int, *, total: int, failed: range = range(0), ended: datetime | None = None, invalid: int = 0
    ) -> Feed:
        made = Feed.objects.create(
            name="f.csv", destination=destination, lane_id=destination.lane_id, status=FeedStatus.DELIVERING,
            total=total, pending=total - invalid, failed=invalid, invalid=invalid, created=total - invalid,
            tried=tried, released_at=timezone.now(),
        )  # fmt: skip
        last = ended or timezone.now()
        Attempt.objects.bulk_create(
            Attempt(
                delivery_id=delivery_id(made.id, invalid + number),
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


def test_what_would_take_longer_than_any_calendar_knows_is_told_too(make):
    feed = make(100, total=1000)
    feed.destination.rate = 1e-14  # of an earlier release
    found = pace(feed)
    assert found
    assert found.left == FARTHEST


def test_of_many_rows_some_tell_the_rate_by_two_statements(make, django_assert_num_queries):
    feed = make(600, total=1000)
    with django_assert_num_queries(2):
        found = pace(feed)
    assert found
    assert found.rate == pytest.approx(2.0, rel=0.05)


def test_rows_that_died_with_their_worker_do_not_hide_those_that_went_since(make):
    # Given 40 rows in the middle that wait for their lease to expire, and those before them half a minute ago
    feed = make(200, total=1000)
    Feed.objects.filter(id=feed.id).update(tried=160)
    feed.refresh_from_db()
    Attempt.objects.filter(delivery_id__range=number_range(feed.id, 101, 140)).update(finished_at=None)
    before = Attempt.objects.filter(delivery_id__lte=delivery_id(feed.id, 100))
    before.update(finished_at=F("finished_at") - timedelta(seconds=30))
    # Then the pace is that of the last 60
    found = pace(feed)
    assert found
    assert found.rate == pytest.approx(2.0, rel=0.1)


@pytest.fixture
def interrupted(make):
    """A feed of which nothing was tried for fifteen seconds, half a minute ago."""
    feed = make(100, total=1000)
    first = [delivery_id(feed.id, number) for number in range(1, 41)]
    Attempt.objects.filter(delivery_id__in=first).update(finished_at=F("finished_at") - timedelta(seconds=15))
    return feed


def test_what_we_stood_still_ourselves_is_no_part_of_the_pace(interrupted, admin_user):
    # Given a gap for which nobody but the third party can be the reason
    alone = pace(interrupted)
    assert alone
    assert alone.rate < 1.6
    began = timezone.now() - timedelta(seconds=31)
    # When our processes were started at its end, or somebody resumed the feed or its destination then, or
    # sent the rest after a trial
    feed, destination = {"feed": interrupted}, {"destination": interrupted.destination}
    resumed = {"what": "resumed"}
    for deed in (None, feed | resumed, destination | resumed, feed | {"what": "sent"}):
        Heartbeat.objects.all().delete()
        Deed.objects.all().delete()
        if deed is None:
            heartbeats.beat("worker", kind="worker")
            Heartbeat.objects.update(started_at=began)
        else:
            note = Deed.objects.create(user=admin_user, **deed)
            Deed.objects.filter(id=note.id).update(at=began)
        # Then it does not count
        found = pace(interrupted)
        assert found
        assert found.rate == pytest.approx(2.0, rel=0.05)
        assert found.left == pytest.approx(450, rel=0.05)


def test_a_feed_that_stands_still_has_no_rate(make):
    assert pace(make(100, total=1000, ended=timezone.now() - timedelta(minutes=1))) is None


def test_a_feed_that_stood_still_goes_at_the_pace_of_what_followed(make):
    """Paused for an hour, and resumed: 100 rows since."""
    feed = make(300, total=1000)
    before = [delivery_id(feed.id, number) for number in range(1, 201)]
    Attempt.objects.filter(delivery_id__in=before).update(finished_at=F("finished_at") - timedelta(hours=1))
    found = pace(feed)
    assert found
    assert found.rate == pytest.approx(2.0, rel=0.1)


def test_rests_that_a_third_party_asks_for_again_and_again_belong_to_the_pace(make):
    feed, burst = make(100, total=1000), 25
    for number in range(burst, 100, burst):
        earlier = Attempt.objects.filter(delivery_id__lte=delivery_id(feed.id, number))
        earlier.update(finished_at=F("finished_at") - timedelta(minutes=1))
    found = pace(feed)
    assert found
    assert found.rate == pytest.approx(100 / (100 * 0.5 + 3 * 60), rel=0.1)


def test_a_feed_of_which_a_row_goes_each_minute_is_told_when_it_will_be_done(make):
    feed = make(10, total=100)
    now = timezone.now()
    for number in range(1, 11):
        goes = now - timedelta(seconds=40) - (10 - number) * timedelta(minutes=1)
        Attempt.objects.filter(delivery_id=delivery_id(feed.id, number)).update(finished_at=goes)
    found = pace(feed)
    assert found
    assert found.left == pytest.approx(90 * 60, rel=0.01)


def test_a_feed_whose_destination_keeps_failing_says_so_and_not_when_it_will_be_done(make):
    heartbeats.beat("worker", kind="worker")
    feed = make(100, total=1000)
    feed.destination.breaker_opened = 1
    live = Live(feed)
    assert live.pace is None
    assert [wait.sentence.split(".")[0] for wait in live.waits] == ["The destination shop keeps failing"]


def test_a_feed_that_waits_is_not_told_when_it_will_be_done(make):
    heartbeats.beat("worker", kind="worker")
    feed = make(100, total=1000)
    assert Live(feed).pace
    pause_destination(feed.destination_id, reason="It refused three rows.", by_person=False)
    assert Live(feed).pace is None


def test_a_feed_of_which_only_probes_go_is_not_told_when_it_will_be_done(make):
    heartbeats.beat("worker", kind="worker")
    feed = make(100, total=1000)
    feed.destination.breaker_opened = 1
    assert Live(feed).pace is None


@pytest.mark.parametrize(
    "changes", [{"status": FeedStatus.PAUSED}, {"trial": True}, {"total": 100}, {"tried": 1}]
)
def test_a_feed_that_a_person_stopped_or_has_nothing_left_to_be_tried_has_no_rate(make, changes):
    feed = make(100, total=1000)
    for name, value in changes.items():
        setattr(feed, name, value)
    assert pace(feed) is None


def test_invalid_rows_take_no_time_and_hide_no_others(make):
    feed = make(100, total=1000, invalid=500)
    found = pace(feed)
    assert found
    assert found.rate == pytest.approx(2.0, rel=0.1)
    assert found.left == pytest.approx(200, rel=0.1)
    drawn = chart(feed)
    assert drawn
    assert drawn.good == pytest.approx(100, abs=4)
    assert drawn.bad == 0


def test_the_rate_is_that_of_first_attempts_and_of_the_last_rows(make):
    feed = make(600, total=1000)
    rows = [delivery_id(feed.id, number) for number in range(1, 601)]
    Attempt.objects.filter(delivery_id__in=rows[:150]).update(finished_at=timezone.now() - timedelta(days=1))
    Attempt.objects.bulk_create(
        Attempt(delivery_id=row, number=2, finished_at=timezone.now(), outcome="succeeded") for row in rows
    )
    found = pace(feed)
    assert found
    assert found.rate == pytest.approx(2.0, rel=0.05)


def test_some_rows_that_were_recorded_at_once_tell_of_no_pace(make, monkeypatch):
    monkeypatch.setattr(f"{__name__}.EVERY", timedelta(milliseconds=1))
    assert pace(make(100, total=1000)) is None
    found = pace(make(500, total=1000))
    assert found
    assert found.rate == pytest.approx(1000, rel=0.05)


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
    assert found.peak == pytest.approx(2.0, rel=0.3)


def test_a_file_in_which_each_fourth_row_fails_is_not_drawn_as_all_failed(make):
    found = chart(make(960, total=960, failed=range(1, 961, 4)))
    assert found
    assert found.bad / (found.good + found.bad) == pytest.approx(0.25, abs=0.03)


def test_a_feed_that_was_hardly_tried_has_no_chart(make):
    assert chart(make(2, total=10)) is None


@pytest.mark.parametrize(("good", "bad"), [(1, 0), (0, 1), (9_999, 1), (1, 9_999), (5_000, 5_000)])
def test_what_is_rare_is_seen_and_no_bar_leaves_the_chart(good, bad):
    drawn = bar(3, 48, good, bad, top=10_000, height=96)
    for count, height, upper in ((good, drawn.good, drawn.good_y), (bad, drawn.bad, drawn.bad_y)):
        assert bool(count) == bool(height)
        assert 0 <= upper <= upper + height <= 96.1


def test_a_few_bars_are_no_blocks():
    drawn = bar(1, 6, 5, 0, top=5, height=96)
    assert (drawn.x, drawn.width) == (160.0, 40.0)
