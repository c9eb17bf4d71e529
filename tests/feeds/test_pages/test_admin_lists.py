"""The admin's lists: each of them is read by key, also those of the libraries, with filters and a search."""

import re
from html import unescape
from types import SimpleNamespace

import pytest
from django.contrib import admin as django_admin
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from deliveries.commands import Parcel, create_deliveries
from deliveries.models import Attempt, Delivery
from feeds.commands import add_mapping
from feeds.models import Feed
from outbox import paging
from outbox.admin_lists import PagedByKey
from outbox.models import Error, Handling, Lane, OutboxEvent, State, Subscription, uuid7
from tests import walking

pytestmark = pytest.mark.django_db

REGISTERED = sorted(model._meta.label_lower for model in django_admin.site._registry)


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(PagedByKey, "list_per_page", 4)


@pytest.fixture
def browser(as_, admin):
    return as_(admin)


def link(answer, rel):
    found = re.search(rf'<a rel="{rel}" href="([^"]+)"', answer.text)
    return unescape(found[1]) if found else ""


def look(browser, label, query=""):
    """The pages of a list, by the links that they have."""
    url = reverse(f"admin:{label.replace('.', '_')}_changelist")

    def page(place):
        answer = browser.get(url + (place or query))
        assert answer.status_code == 200
        shown = [each.pk for each in answer.context["cl"].result_list]
        return SimpleNamespace(items=shown, next=link(answer, "next"), previous=link(answer, "prev"))

    return page


def event():
    return OutboxEvent.objects.create(
        type="T", correlation_id=uuid7(), payload={}, occurred_at=timezone.now()
    )


@pytest.fixture
def many(delivering, owner, destination):
    """Some more than two pages of each."""
    parcels = [Parcel(n, "POST", "", "application/json", "{}") for n in range(3, 12)]
    create_deliveries(
        group_id=delivering.id, destination_id=destination.id, lane_id=delivering.lane_id, parcels=parcels
    )
    subscription = Subscription.objects.create(event_type="T", handler="t.one", kind="effect", queue="q")
    error = Error.objects.create(handler="t.one", exception="E", place="p")
    for number in range(11):
        User.objects.create(username=f"user-{number * 7 % 11:02}", is_staff=bool(number % 2))
        add_mapping(name=f"map-{number % 3}", document={"path": f"/{number}"})
        Lane.objects.create(handler="t.one", key=str(number))
        Handling.objects.create(
            event=event(), subscription=subscription, lane_id=destination.lane_id,
            state=State.PARKED if number % 2 else State.DONE, error=error if number % 2 else None,
            finished_at=timezone.now(),
        )  # fmt: skip
        Feed.objects.create(name=f"feed-{number}.csv", owner=owner, destination=destination, lane_id=1)
    return delivering


def insert(browser, destination):
    """Newer ones, while somebody reads."""
    made = iter(range(1000))

    def step():
        number = next(made)
        Feed.objects.create(name=f"feed-new-{number}.csv", destination=destination, lane_id=1)
        Handling.objects.create(
            event=event(), subscription=Subscription.objects.get(handler="t.one"),
            lane_id=destination.lane_id, state=State.PARKED, error=Error.objects.get(handler="t.one"),
        )  # fmt: skip
        User.objects.create(username=f"user-{number:02}-new", is_staff=True)
        add_mapping(name="map-1", document={"path": f"/new{number}"})

    return step


@pytest.mark.parametrize(
    ("label", "query"),
    [
        ("feeds.feed", ""),
        ("feeds.feed", "?q=feed-"),
        ("feeds.feed", "?status__exact=checking"),
        ("feeds.feed", "?o=11"),  # the oldest first
        ("feeds.mapping", "?o=0"),
        ("feeds.mapping", "?o=-0&q=map"),
        ("deliveries.delivery", ""),
        ("outbox.handling", ""),
        ("outbox.handling", "?state__exact=parked"),
        ("outbox.lane", "?handler=t.one"),
        ("auth.user", ""),
        ("auth.user", "?is_staff__exact=1"),
    ],
)
def test_a_list_is_walked_there_and_back_while_rows_come(browser, many, destination, label, query):
    page = look(browser, label, query)
    before = set(walking.items(walking.forward(page)))
    assert len(before) > 4
    more = insert(browser, destination)
    there = walking.forward(page, between=more)
    shown = walking.items(there)
    assert before <= set(shown)
    assert len(shown) == len(set(shown))
    shown = walking.items([there[-1], *walking.backward(page, there[-1], between=more)])
    assert before <= set(shown)
    assert len(shown) == len(set(shown))


@pytest.mark.parametrize("label", REGISTERED)
def test_no_list_counts_or_skips_or_sorts_by_what_has_no_index(browser, many, label):
    url = reverse(f"admin:{label.replace('.', '_')}_changelist")
    queries = [
        "",
        "?q=x",
        "?p=2",
        "?p=after:x",
        "?all=",
        "?_facets=True",
        "?p=9999999",
        "?o=1.2.3.4.5",
        "?o=-2",
        "?o=x.99.-",
    ]
    for query in queries:
        with CaptureQueriesContext(connection) as asked:
            answer = browser.get(url + query)
        assert answer.status_code == 200, query
        for sql in (each["sql"] for each in asked.captured_queries):
            assert "COUNT(" not in sql, query
            assert "OFFSET" not in sql.replace(f"OFFSET {paging.STRETCH - 1}", ""), query


def test_only_columns_that_an_index_leads_with_are_sorted_by(browser, many):
    feeds = browser.get(reverse("admin:feeds_feed_changelist")).text
    assert re.findall(r"column-(\w+)[^>]*sortable|sortable[^>]*column-(\w+)", feeds) == [("", "uploaded")]
    by_total = browser.get(reverse("admin:feeds_feed_changelist"), {"o": "6"}).context["cl"]
    assert by_total.queryset.query.order_by == ("-pk",)
    mappings = browser.get(reverse("admin:feeds_mapping_changelist"), {"o": "0"}).context["cl"]
    assert mappings.queryset.query.order_by == ("name", "pk")


def test_a_search_that_no_index_helps_stops_and_goes_on(browser, many, monkeypatch):
    monkeypatch.setattr(paging, "STRETCH", 3)
    monkeypatch.setattr(paging, "PATIENCE", -1.0)
    page = look(browser, "feeds.feed", "?q=feed-1.")
    first = browser.get(reverse("admin:feeds_feed_changelist"), {"q": "feed-1."})
    assert "Search on" in first.text
    assert "not all is searched yet" in " ".join(first.text.split())
    found = walking.items(walking.forward(page))
    assert found == [Feed.objects.get(name="feed-1.csv").pk]


def test_a_feed_is_found_by_its_id_and_those_of_a_destination_from_its_list(browser, many, destination):
    feeds = look(browser, "feeds.feed", f"?q={many.id}")("")
    assert feeds.items == [many.id]
    destinations = browser.get(reverse("admin:deliveries_destination_changelist")).text
    query = f"?destination__id__exact={destination.id}"
    assert query in destinations
    assert len(walking.items(walking.forward(look(browser, "feeds.feed", query)))) == 12


@pytest.mark.parametrize("query", ["?q=" + "9" * 5000, "?o=" + "9" * 5000])
def test_numbers_of_thousands_of_digits_find_nothing(browser, query):
    for label in ("outbox.handling", "feeds.feed"):
        assert look(browser, label, query)("").items == []


def test_pages_say_what_they_are(browser, many):
    url = reverse("admin:feeds_feed_changelist")
    first = browser.get(url)
    assert "4 on this page." in " ".join(first.text.split())
    assert "First page" not in first.text
    second = browser.get(url + link(first, "next"))
    assert "First page" in second.text
    assert link(second, "prev")
    nothing = browser.get(url, {"q": "nowhere"})
    assert "0 found." in " ".join(nothing.text.split())
    assert "Show all feeds" in nothing.text


def test_an_action_on_a_later_page_comes_back_to_it(browser, many):
    url = reverse("admin:outbox_handling_changelist")
    second = url + link(browser.get(url), "next")
    shown = browser.get(second).context["cl"].result_list
    parked = [each.pk for each in shown if each.state == State.PARKED]
    chosen = {"action": "retry_parked", "_selected_action": parked, "index": "0"}
    answer = browser.post(second, chosen)
    assert (answer.status_code, answer.url) == (302, second)
    assert not Handling.objects.parked().filter(pk__in=parked).exists()


def test_a_history_is_read_by_key_too(browser, many, admin, monkeypatch):
    monkeypatch.setattr("outbox.admin_lists.HISTORY", 4)
    lane = Lane.objects.filter(handler="t.one")
    for number in range(10):
        LogEntry.objects.log_actions(admin.pk, lane[:1], CHANGE, f"Step {number}.")
    url = reverse("admin:outbox_lane_history", args=[lane[0].pk])
    with CaptureQueriesContext(connection) as asked:
        answer = browser.get(url)
        found = re.findall(r"Step \d", answer.text)
        while place := link(answer, "next"):
            answer = browser.get(url + place)
            found += re.findall(r"Step \d", answer.text)
    assert found == [f"Step {number}" for number in range(9, -1, -1)]
    assert link(answer, "prev")
    assert not [q["sql"] for q in asked.captured_queries if "OFFSET" in q["sql"] or "COUNT(" in q["sql"]]


def test_a_delivery_shows_its_newest_attempts_and_where_all_of_them_are(browser, delivering, monkeypatch):
    monkeypatch.setattr("feeds.admin.deliveries.SHOWN", 2)
    delivery = Delivery.objects.get(number=2)
    for number in range(1, 5):
        Attempt.objects.create(delivery_id=delivery.id, number=number, message=f"No. {number}")
    page = browser.get(reverse("admin:deliveries_delivery_change", args=[delivery.id])).text
    assert re.findall(r"No\. \d", page) == ["No. 4", "No. 3"]
    assert reverse("feeds:row", args=[delivering.id, 2]) in page
