"""How long a feed that is ready will take: by what limits its destination, and what holds it."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from deliveries.commands import add_destination, change_destination, pause_destination
from deliveries.ids import delivery_id
from deliveries.models import Attempt, Destination
from feeds.models import Feed, FeedStatus
from outbox import lanes

pytestmark = pytest.mark.django_db


@pytest.fixture
def told(as_, owner, make_feed, destination):
    """What the page of a feed of 600 rows says of its time, and the hold that it tells of."""
    feed = make_feed(total=600, pending=600)

    def tell(**limits: Any) -> tuple[str, str]:
        change_destination(destination.id, **limits)
        page = as_(owner).get(reverse("feeds:feed", args=[feed.id])).text
        card = page[page.index("Ready to send") : page.index("Nothing has been sent yet")]
        plain = re.sub(r"<time[^>]*>[^<]*</time>", "(time)", card)
        return _within(plain, '<span class="soft">', "</span>"), _within(plain, 'note warning">', "</p>")

    return tell


def _within(text: str, begins: str, ends: str) -> str:
    """What stands between the two, without tags."""
    found = text.partition(begins)[2].partition(ends)[0]
    return re.sub(r"<[^>]+>", "", found)


@pytest.fixture
def lately(make_feed):
    """A feed that went there at 20 rows a second, each answered after half a second."""

    def go(*, ago: timedelta = timedelta(minutes=5), **fields: Any):
        feed = make_feed(
            FeedStatus.COMPLETED,
            total=100,
            tried=100,
            created=100,
            pending=0,
            succeeded=100,
            name="before.csv",
            sha256="another",
        )
        Feed.objects.filter(id=feed.id).update(**fields)
        last = timezone.now() - ago
        Attempt.objects.bulk_create(
            Attempt(
                delivery_id=delivery_id(feed.id, number), number=1, outcome="succeeded", seconds=0.5,
                finished_at=last - (100 - number) * timedelta(seconds=0.05),
            )
            for number in range(1, 101)
        )  # fmt: skip

    return go


def test_a_rate_tells_when_it_will_be_done(told):
    assert told(rate=10.0) == ("At 10/s this takes about 1 min: done around (time) if sent now.", "")


def test_what_takes_longer_than_any_calendar_knows_is_told_too(told, make_feed, destination):
    Destination.objects.filter(id=destination.id).update(rate=1e-14)  # of an earlier release
    assert told() == ("At 6e-13/min this takes about 365000 d: done around (time) if sent now.", "")


@pytest.mark.parametrize(
    ("limits", "sentence"),
    [
        (
            {"concurrency": 3},
            "At 3 requests at once, which took 500 ms each lately, this takes about 1 min 40 s: "
            "done around (time) if sent now.",
        ),
        ({"concurrency": 3, "rate": 5.0}, "At 5.0/s this takes about 2 min: done around (time) if sent now."),
        (
            {"concurrency": 1, "rate": 5.0},
            "At 1 request at once, which took 500 ms each lately, this takes about 5 min: "
            "done around (time) if sent now.",
        ),
        (
            {},
            "No limit is set for shop, so it goes as fast as it answers. At the pace of the last feed there, "
            "20/s, this takes about 30 s: done around (time) if sent now.",
        ),
    ],
)
def test_where_no_rate_tells_it_the_last_answers_do(told, lately, limits, sentence):
    lately(ago=timedelta(days=2))
    lately()
    assert told(**limits) == (sentence, "")


@pytest.mark.parametrize("known", ["nothing", "long ago", "elsewhere"])
def test_where_nothing_went_lately_no_time_is_told(told, lately, known):
    if known == "long ago":
        lately(ago=timedelta(days=2))
    elif known == "elsewhere":
        lately(destination=add_destination(name="elsewhere", url="https://shop.example"))
    assert told() == ("No limit is set for shop, so it goes as fast as it answers.", "")
    assert told(concurrency=2) == ("2 requests go at once, as fast as shop answers.", "")


def test_a_paused_destination_is_told_and_no_time_at_which_it_will_be_done(told, destination):
    pause_destination(destination.id, reason="It refused three rows.", by_person=False)
    paused = "The destination shop is paused: It refused three rows. Nothing goes there before it is resumed."
    assert told(rate=10.0) == ("At 10/s this takes about 1 min once it goes on.", paused)
    assert told(rate=None) == ("No limit is set for shop, so it goes as fast as it answers.", paused)


def test_a_destination_that_is_held_begins_when_it_is_not(told, destination):
    lanes.hold(destination.lane_id, until=timezone.now() + timedelta(hours=1), why="It asked for an hour.")
    sentence, hold = told(rate=10.0)
    assert sentence == "At 10/s this takes about 1 min: done around (time) if sent now."
    assert hold == "The destination shop is held. It asked for an hour. Next try: (time)."


def test_a_destination_that_keeps_failing_is_told(told, destination):
    Destination.objects.filter(id=destination.id).update(breaker_opened=2)
    sentence, hold = told(rate=10.0)
    assert sentence == "At 10/s this takes about 1 min once it goes on."
    assert hold.startswith("The destination shop keeps failing. One row at a time tries")


def test_other_feeds_there_are_told(told, lately, make_feed):
    make_feed(FeedStatus.DELIVERING, total=100_000, pending=100_000)
    turns = "in turns with 1 feed on its way there"
    assert told(rate=10.0)[0] == (
        f"At 10/s, {turns}, this takes about 2 min: done around (time) if sent now."
    )
    lately()
    assert f"about 30 s, or longer {turns}" in told(rate=None)[0]
