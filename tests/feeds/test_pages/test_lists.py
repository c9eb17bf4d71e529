"""Every list of the pages is walked to its end and back, by its links, while new things come."""

import re
from collections.abc import Callable
from html import unescape
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import Group
from django.urls import reverse
from django.utils import timezone

from deliveries.commands import add_destination
from deliveries.ids import delivery_id
from deliveries.models import Attempt
from feeds.commands import add_mapping
from feeds.deeds import note_deed
from feeds.models import Alias, Feed, Mail, Row
from outbox.models import Handling, OutboxEvent, Subscription
from tests import walking

pytestmark = pytest.mark.django_db


class List(NamedTuple):
    """One list of a page: how long its pages are, what tells its items apart, and what makes one more."""

    url: str
    name: str  # in the address
    size: str  # the constant
    item: str  # a pattern
    make: Callable[[int], object]


NO = r"no\d{3}\."  # how most of what is made here is called
ROW = r'(?<=/rows/)\d+(?=/">)'
NAMED = r"(?<=>)\d{3}-no(?=<)"
QUERIES = "feeds.queries"


@pytest.fixture
def lists(owner, destination, delivering, make_feed):
    """By a name. `make` is given a number; even ones are made before the list is read, odd ones meanwhile."""
    add_mapping(name="products", document={})
    group = Group.objects.create(name="Team")
    second = delivery_id(delivering.id, 2)

    def feed(n):
        make_feed(name=f"no{n:03}.csv")

    def row(n):
        common: dict[str, Any] = {"line": 9, "cells": '["a 422"]', "outcome": "failed", "code": "http_422"}
        Row.objects.create(feed_id=delivering.id, number=10 + n, **common)
        Feed.objects.filter(id=delivering.id).update(total=90, failed=90, succeeded=0)

    def deed(**where):
        return lambda n: note_deed(user_id=owner.pk, what="did", detail=f"no{n:03}.", **where)

    def entry(n):
        """A deed or an entry of the admin."""
        if n % 4 < 2:
            return deed(feed_id=delivering.id)(n)
        return LogEntry.objects.log_actions(owner.pk, Group.objects.filter(id=group.id), CHANGE, f"no{n:03}.")

    def event(n):
        OutboxEvent.objects.create(
            type="DeliveryScheduled", correlation_id=second, conversation_id=delivering.id, occurrence=n,
            payload={}, occurred_at=timezone.now(),
        )  # fmt: skip

    def version(n):
        add_mapping(name="products", document={"path": f"/{n}"})

    def alias(n):
        Alias.objects.create(mapping_name="products", column=f"c{n % 3}", found=f"no{n:03}.")

    def attempt(n):
        Attempt.objects.create(delivery_id=second, number=n + 1, message=f"no{n:03}.")

    def mail(n):
        Mail.objects.create(feed=delivering, event_id=n, subject=f"no{n:03}.")

    def named(add, **more):
        return lambda n: add(name=f"{n:03}-no", **more)

    of_feed, of_row = (
        reverse("feeds:feed", args=[delivering.id]),
        reverse("feeds:row", args=[delivering.id, 2]),
    )
    of_rows, of_mapping = reverse("feeds:rows", args=[delivering.id]), "/mappings/of/products/"
    of_destination = reverse("feeds:destination", args=[destination.id])
    feeds, rows = f"{QUERIES}.feeds.FEEDS_A_PAGE", f"{QUERIES}.rows.ROWS_A_PAGE"
    deeds, mappings = f"{QUERIES}.deeds.DEEDS_A_PAGE", f"{QUERIES}.mappings."
    to = {"url": "https://shop.example"}
    return {
        "feeds": List("/feeds/", "page", feeds, NO, feed),
        "feeds that match": List("/feeds/?q=no", "page", feeds, NO, feed),
        "rows": List(of_rows, "page", rows, ROW, row),
        "failed rows": List(f"{of_rows}?show=failed", "page", rows, ROW, row),
        "rows with a text": List(f"{of_rows}?q=422", "page", rows, ROW, row),
        "destinations": List(
            "/destinations/", "page", f"{QUERIES}.destinations.DESTINATIONS_A_PAGE", NAMED,
            named(add_destination, **to),
        ),
        "mappings": List(
            "/mappings/", "page", f"{mappings}MAPPINGS_A_PAGE", NAMED, named(add_mapping, document={})
        ),
        "versions": List(of_mapping, "versions", f"{mappings}VERSIONS_A_PAGE", r"version=\d+(?=\")", version),
        "aliases": List(of_mapping, "aliases", f"{mappings}ALIASES_A_PAGE", f"(?<=<code>){NO}", alias),
        "deeds of a feed": List(of_feed, "deeds", deeds, NO, deed(feed_id=delivering.id)),
        "deeds of a mapping": List(of_mapping, "deeds", deeds, NO, deed(mapping_name="products")),
        "deeds of a destination": List(
            of_destination, "deeds", deeds, NO, deed(destination_id=destination.id)
        ),
        "all deeds": List("/overview/", "deeds", deeds, r"no\d{3}", entry),
        "mails": List(of_feed, "mails", f"{QUERIES}.mails.MAILS_A_PAGE", NO, mail),
        "attempts": List(of_row, "attempts", f"{QUERIES}.story.ATTEMPTS_A_PAGE", NO, attempt),
        "steps": List(
            of_row, "steps", f"{QUERIES}.timeline.STEPS_A_PAGE", r"Attempt \d+ was planned", event
        ),
    }  # fmt: skip


NAMES = [
    "feeds", "feeds that match", "rows", "failed rows", "rows with a text", "destinations", "mappings",
    "versions", "aliases", "deeds of a feed", "deeds of a mapping", "deeds of a destination", "all deeds",
    "mails", "attempts", "steps",
]  # fmt: skip


def look(browser, list_):
    path = list_.url.partition("?")[0]

    def link(text, rel):
        links = [unescape(each) for each in re.findall(rf'rel="{rel}" href="([^"]+)"', text)]
        ending = "" if list_.name == "page" else f"#{list_.name}-head"
        return next((each for each in links if each.partition("#")[2] == ending[1:]), "")

    def page(place):
        answer = browser.get(path + place.partition("#")[0] if place else list_.url)
        assert answer.status_code == 200
        shown = list(dict.fromkeys(re.findall(list_.item, answer.text)))
        return SimpleNamespace(
            items=shown, next=link(answer.text, "next"), previous=link(answer.text, "prev"), text=answer.text
        )

    return page


@pytest.mark.parametrize("name", NAMES)
def test_a_list_is_walked_there_and_back(as_, admin, lists, name, monkeypatch):
    list_ = lists[name]
    monkeypatch.setattr(list_.size, 3)
    for number in range(0, 22, 2):
        list_.make(number)
    page = look(as_(admin), list_)
    before = walking.items(walking.forward(page))
    assert len(before) == len(set(before)) >= 11

    odd = iter(range(1, 1000, 2))
    there = walking.forward(page, between=lambda: list_.make(next(odd)))
    shown = walking.items(there)
    assert len(shown) == len(set(shown))
    assert set(before) <= set(shown)
    back = [there[-1], *walking.backward(page, there[-1], between=lambda: list_.make(next(odd)))]
    shown = walking.items(back)
    assert len(shown) == len(set(shown))
    assert set(before) <= set(shown)


def test_all_of_them_were_walked(lists):
    assert sorted(lists) == sorted(NAMES)


def test_two_lists_of_a_page_are_turned_each_by_itself(as_, admin, lists, monkeypatch):
    for name in ("deeds of a feed", "mails"):
        monkeypatch.setattr(lists[name].size, 3)
        for number in range(8):
            lists[name].make(number)
    browser = as_(admin)
    second = look(browser, lists["mails"])(look(browser, lists["mails"])("").next)
    both = look(browser, lists["deeds of a feed"])(look(browser, lists["deeds of a feed"])(second.next).next)
    assert "mails=after" in both.next
    assert "deeds=after" in both.next
    assert both.next.endswith("#deeds-head")


def test_that_a_feed_was_uploaded_is_told_after_its_oldest_deed(as_, admin, lists, monkeypatch):
    list_ = lists["deeds of a feed"]
    monkeypatch.setattr(list_.size, 3)
    for number in range(5):
        list_.make(number)
    pages = walking.forward(look(as_(admin), list_))
    assert ["</strong> uploaded it" in page.text for page in pages] == [False, True]


def test_an_old_version_of_a_mapping_is_shown_by_its_number(as_, owner):
    for number in range(25):
        add_mapping(name="products", document={"path": f"/p{number}"})
    page = as_(owner).get(reverse("feeds:mapping", args=["products"]), {"version": "2"}).text
    assert "/p1" in page
    assert 'name="seen" value="products, version 25"' in page
    for nonsense in ("0", "99", "x", "9" * 30):
        page = as_(owner).get(reverse("feeds:mapping", args=["products"]), {"version": nonsense}).text
        assert "/p24" in page


def test_a_step_whose_cause_is_on_an_earlier_page_names_it_and_a_link_leads_nowhere_else(
    as_, admin, delivering, monkeypatch
):
    monkeypatch.setattr("feeds.queries.timeline.STEPS_A_PAGE", 2)
    told = {
        "correlation_id": delivery_id(delivering.id, 2), "conversation_id": delivering.id, "payload": {},
        "occurred_at": timezone.now(),
    }  # fmt: skip
    OutboxEvent.objects.filter(correlation_id=told["correlation_id"]).delete()
    planned = OutboxEvent.objects.create(type="DeliveryScheduled", occurrence=1, **told)
    subscription, _ = Subscription.objects.get_or_create(
        event_type="DeliveryScheduled", handler="deliveries.execute_delivery"
    )
    lane = delivering.lane_id
    Handling.objects.create(event=planned, subscription=subscription, lane_id=lane, state="done")
    OutboxEvent.objects.create(type="DeliveryReopened", **told)
    caused = {"causation_id": planned.id, "occurrence": 1}
    OutboxEvent.objects.create(type="DeliveryAttemptFailed", **caused, **told)
    url = reverse("feeds:row", args=[delivering.id, 2])
    newest = as_(admin).get(url)
    assert "Attempt 1 was planned" in newest.text
    assert f"step-{planned.id}" not in newest.text
    oldest = as_(admin).get(url + look(as_(admin), List(url, "steps", "", "", print))("").next)
    assert f'id="step-{planned.id}"' in oldest.text
    assert "sends the request" not in oldest.text  # the story goes on with it, on the next page


def test_a_feed_that_is_not_among_the_newest_can_be_what_a_mapping_is_shown_on(
    as_, owner, make_feed, monkeypatch
):
    monkeypatch.setattr("feeds.queries.samples.FEEDS_OFFERED", 1)
    old, _ = make_feed(name="old.csv"), make_feed(name="new.csv")
    add_mapping(name="products", document={})
    page = as_(owner).get(reverse("feeds:mapping", args=["products"]), {"feed": str(old.id)}).text
    assert f'<option value="{old.id}" selected>old.csv' in page
    assert "new.csv" in page
