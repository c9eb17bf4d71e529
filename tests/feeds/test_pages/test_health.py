"""How destinations are told: state in words, rate against limit, requests under way, the last errors."""

import uuid
from datetime import timedelta

import pytest
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from deliveries.commands import add_destination, pause_destination, resume_destination
from deliveries.last_errors import LastError, remembered
from deliveries.models import Destination
from feeds import queries
from feeds.models import Feed, FeedStatus
from feeds.views import overview
from outbox import sql
from outbox.models import Lane, Lease
from tests.feeds.test_pages.test_overview import tally

pytestmark = pytest.mark.django_db


@pytest.fixture(params=["overview", "destination"])
def page(request, as_, admin, destination):
    """Both pages that tell it, as they are now."""
    arguments = [destination.id] if request.param == "destination" else []
    return lambda: " ".join(as_(admin).get(reverse(f"feeds:{request.param}", args=arguments)).text.split())


def lane(destination, **fields):
    Lane.objects.filter(id=destination.lane_id).update(**fields)


def error(feed, code="http_422", *, number=2, message="It is out of stock."):
    return LastError(code=code, message=message, at=timezone.now(), group_id=feed.id, number=number)


def keep(destination, *errors):
    Destination.objects.filter(id=destination.id).update(last_errors=remembered([], errors))


def test_a_pause_is_told_with_its_time_and_whoever_made_it_until_it_is_resumed(page, destination):
    with transaction.atomic():
        pause_destination(destination.id, reason="anna paused it.", by_person=True)
    destination.refresh_from_db()
    assert destination.paused_at
    told = page()
    assert f'Paused since <time datetime="{destination.paused_at.isoformat()}"' in told
    assert ": anna paused it." in told

    with transaction.atomic():
        resume_destination(destination.id)
    assert "Paused since" not in page()
    destination.refresh_from_db()
    assert destination.paused_at is None


def test_a_hold_is_told_with_its_end_and_its_reason(page, destination):
    until = sql.database_now() + timedelta(minutes=5)
    lane(destination, held_until=until, held_for="The third party answered 429.")
    assert f'Held until <time datetime="{until.isoformat()}"' in page()
    assert ". The third party answered 429." in page()
    lane(destination, held_until=sql.database_now() - timedelta(seconds=1))
    assert "Held until" not in page()


def test_an_open_breaker_between_two_probes_says_that_it_is_tried(page, destination):
    Destination.objects.filter(id=destination.id).update(breaker_opened=2)
    assert "Open for one request at a time" in page()


def test_what_succeeds_and_fails_now_stands_against_the_limit(page, destination):
    other = add_destination(name="other", url="https://other.example")
    Destination.objects.filter(id=destination.id).update(rate=10.0)
    tally(0, 420, 12, destination_id=destination.id)
    tally(0, 66_000, 0, destination_id=other.id)
    told = page()
    assert "7.0/s" in told
    assert "of 10/s" in told
    assert "12/min" in told


def test_requests_under_way_are_those_of_running_batches(page, destination):
    common = {"handler": "deliveries.execute_delivery", "lane_id": destination.lane_id, "ids": [1]}
    common |= {"until": sql.database_now(), "token": uuid.uuid4(), "parent_id": destination.lane_id}
    Lease.objects.create(state=Lease.State.RUNNING, slots=8, **common)
    Lease.objects.create(state=Lease.State.RUNNING, slots=3, **common)
    Lease.objects.create(state=Lease.State.HANDED_OVER, slots=32, **common)
    told = page().replace('<small class="soft">up to</small>', "up to")
    assert "up to 11<" in told


def test_the_last_error_leads_to_its_row(page, delivering):
    keep(delivering.destination, error(delivering))
    told = page()
    assert "It is out of stock." in told
    assert f'href="{reverse("feeds:row", args=[delivering.id, 2])}"' in told
    assert "row 2 of products.csv" in told


@pytest.mark.parametrize("gone", ["rows", "feed"])
def test_an_error_whose_row_is_gone_is_told_without_a_link(page, delivering, gone):
    keep(delivering.destination, error(delivering))
    if gone == "rows":
        Feed.objects.update(rows_deleted=True)
    else:
        Feed.objects.all().delete()
    told = page()
    assert "It is out of stock." in told
    assert "row 2 of" not in told


def test_a_destinations_page_has_the_newest_error_of_each_kind(as_, admin, delivering):
    old, new = error(delivering, message="The first."), error(delivering, message="The second.")
    keep(delivering.destination, old, error(delivering, "timeout_read", message="No answer."), new)
    page = as_(admin).get(reverse("feeds:destination", args=[delivering.destination_id])).text
    assert page.index("The second.") < page.index("No answer.")
    assert "The first." not in page


def test_the_overview_shows_what_is_in_trouble_however_many_others_there_are(
    as_, admin, destination, monkeypatch
):
    monkeypatch.setattr(overview, "DESTINATIONS_SHOWN", 2)
    for name in ("a", "b", "c"):
        add_destination(name=name, url="https://a.example")
    lane(destination, paused=True, held_for="anna paused it.")
    text = as_(admin).get(reverse("feeds:overview")).text
    assert text.index(">shop<") < text.index(">a<")
    assert ">b<" not in text
    in_any_case = "There are 2 more; what is held or paused stands here in any case."
    assert in_any_case in text

    for each in Destination.objects.all():
        lane(each, paused=True)
    text = as_(admin).get(reverse("feeds:overview")).text
    assert in_any_case not in text
    assert "There are 2 more, of which some may be held or paused too." in text


def test_many_destinations_are_read_in_as_many_queries_as_few_and_without_their_secrets(
    make_feed, django_assert_max_num_queries
):
    feed = make_feed(FeedStatus.DELIVERING)
    for number in range(30):
        made = add_destination(name=f"d{number}", url="https://a.example", headers={"X-Key": "very-secret"})
        keep(made, error(feed))
        tally(0, number, 1, destination_id=made.id)
    with django_assert_max_num_queries(9) as asked:
        found = queries.health(queries.troubled_first(100))
        assert {seen.feed for each in found for seen in each.errors} == {feed}
    assert len(found) == 31
    assert not [query for query in asked.captured_queries if "headers" in query["sql"]]


@pytest.mark.parametrize(
    "closed", [{"paused": True}, {"held_until": timezone.now() + timedelta(hours=1)}, {}]
)
def test_the_list_tells_which_feeds_wait_for_their_destination(as_, owner, delivering, destination, closed):
    lane(destination, **closed)
    waits = f"waits for {destination.name}"
    assert (waits in as_(owner).get(reverse("feeds:list")).text) == bool(closed)

    Feed.objects.filter(id=delivering.id).update(status=FeedStatus.COMPLETED)
    assert waits not in as_(owner).get(reverse("feeds:list")).text
