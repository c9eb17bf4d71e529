"""What every page asks the database for: nothing that grows with the rows of a feed, or with all feeds."""

import re
from html import unescape

import pytest
from django.contrib import admin as django_admin
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from deliveries.commands import add_destination
from feeds.commands import add_mapping
from feeds.models import Feed, FeedStatus
from outbox.paging import STRETCH
from tests.feeds.test_pages.test_access import every_page

pytestmark = pytest.mark.django_db

LARGE = (
    "feeds_row", "feeds_feed", "deliveries_delivery", "deliveries_attempt", "deliveries_payload",
    "outbox_outboxevent", "outbox_handling",
)  # fmt: skip
ONE_BY_ONE = r'"(id|number|event_id|delivery_id|correlation_id|name)" (=|IN) '
STATUSES = [status for status in FeedStatus.values if status != FeedStatus.CHECKING]


@pytest.fixture
def large(delivering):
    """As if the feed had a million rows."""
    Feed.objects.filter(id=delivering.id).update(
        total=10**6, created=10**6 - 1, tried=999_000, pending=10**6 - 3, released_at=timezone.now(),
        invalid_by_code={"too_few_cells": 1}, missing=[],
    )  # fmt: skip
    delivering.refresh_from_db()
    return delivering


def asked(browser, url):
    with CaptureQueriesContext(connection) as queries:
        answer = browser.get(url)
        if answer.streaming:
            b"".join(answer.streaming_content)
    return [query["sql"] for query in queries.captured_queries]


def walks(sql):
    """Why this statement reads more than a page of a large table, or ""."""
    # Whatever the table: a list that is paged so is not read by key. The end of a stretch is found so.
    if re.search(rf"\bOFFSET (?!{STRETCH - 1}\b)", sql):
        return "it skips rows"
    if not sql.startswith(("SELECT", "WITH")) or not re.search(rf'FROM "?({"|".join(LARGE)})\b', sql):
        return ""
    outside = re.sub(r"\(SELECT .*? LIMIT \d+[^)]*\)", "(…)", sql)
    if re.search(rf'FROM "?({"|".join(LARGE)})\b', outside):
        if re.search(r"\b(COUNT|SUM|MIN|MAX|AVG)\(|GROUP BY", outside):
            return "it counts"
        if "LIMIT" not in outside and not re.search(ONE_BY_ONE, outside.partition(" WHERE ")[2]):
            return "it has no bound"
    return ""


def test_what_walks_is_known():
    """The guard itself."""
    for sql in (
        'SELECT COUNT(*) AS "__count" FROM "feeds_row" WHERE "feeds_row"."feed_id" = 1',
        'SELECT "feeds_row"."line" FROM "feeds_row" WHERE "feeds_row"."feed_id" = 1 ORDER BY 1',
        'SELECT "feeds_feed"."id" FROM "feeds_feed" LIMIT 25 OFFSET 25',
        'SELECT "auth_user"."id" FROM "auth_user" LIMIT 25 OFFSET 25',
        f'SELECT "id" FROM "outbox_handling" LIMIT 1 OFFSET {STRETCH}',
        'SELECT * FROM "outbox_handling" JOIN "outbox_outboxevent" ON ("event_id" = "outbox_event"."id")',
    ):
        assert walks(sql)
    for sql in (
        'SELECT COUNT(*) FROM (SELECT "id" AS "col1" FROM "outbox_handling" LIMIT 10000) subquery',
        'SELECT "feeds_row"."line" FROM "feeds_row" WHERE "feeds_row"."feed_id" = 1 LIMIT 21',
        f'SELECT "id" FROM "outbox_handling" LIMIT 1 OFFSET {STRETCH - 1}',
        'SELECT "x" FROM "deliveries_attempt" WHERE "deliveries_attempt"."delivery_id" IN (1, 2)',
    ):
        assert not walks(sql)


def walking(browser, urls):
    return {url: [(why, sql) for sql in asked(browser, url) if (why := walks(sql))] for url in urls}


@pytest.mark.parametrize("status", STATUSES)
def test_no_page_of_a_feed_counts_or_walks_its_rows(as_, owner, large, address, status):
    Feed.objects.filter(id=large.id).update(status=status)
    large.refresh_from_db()
    urls = [address(name, arguments) for name, arguments in every_page() if "feed_id" in arguments]
    urls += [f"{reverse('feeds:live', args=[large.id])}?stage={large.stage}"]
    rows = reverse("feeds:rows", args=[large.id])
    urls += [f"{rows}?{q}" for q in ("show=failed", "show=pending", "q=unknown", "page=after:900000")]
    urls += [f"{rows}?{q}" for q in ("page=before:900000", "q=unknown&page=before:900000")]
    urls.append(f"{reverse('feeds:row', args=[large.id, 2])}?attempts=after:9&steps=before:9")
    urls.append(f"{reverse('feeds:feed', args=[large.id])}?deeds=after:9&mails=before:9")
    found = walking(as_(owner), urls)
    assert not {url: why for url, why in found.items() if why}


def test_no_other_page_counts_or_walks(as_, owner, admin, large, address):
    urls = [address(n, args) for n, args in every_page() if "feed_id" not in args and n != "logout"]
    urls += ["/feeds/?q=x", "/feeds/?status=delivering", f"/feeds/?page=after:{large.id}"]
    urls += [f"/overview/?deeds={way}:9:9" for way in ("after", "before")]
    for browser in (as_(owner), as_(admin)):
        found = walking(browser, urls)
        assert not {url: why for url, why in found.items() if why}


@pytest.mark.parametrize("model", [model._meta.label_lower for model in django_admin.site._registry])
def test_no_list_of_the_admin_counts_or_walks(as_, admin, large, model):
    url = reverse(f"admin:{model.replace('.', '_')}_changelist")
    questions = [
        "",
        f"?q={large.id}",
        "?q=x",
        "?p=2",
        "?p=after:9",
        f"?p=before:{large.id}",
        "?o=-0",
        "?all=",
        "?_facets=True",
    ]
    if model in ("feeds.feed", "deliveries.delivery"):
        questions += ["?status__exact=failed", "?status__exact=failed&p=before:9"]
    if model == "outbox.handling":
        questions += ["?state__exact=parked", "?event__id__exact=1", "?error__id__exact=1"]
    found = walking(as_(admin), [url + asked_for for asked_for in questions])
    assert not {url: why for url, why in found.items() if why}


@pytest.mark.parametrize("page", ["feeds:mappings", "feeds:destinations"])
def test_lists_of_what_is_named_are_paged_by_name(as_, owner, page, monkeypatch):
    monkeypatch.setattr("feeds.queries.mappings.MAPPINGS_A_PAGE", 3)
    monkeypatch.setattr("feeds.queries.destinations.DESTINATIONS_A_PAGE", 3)
    names = [f"n-{number:03}" for number in range(7)]
    for name in names:
        add_destination(name=name, url="https://shop.example")
        add_mapping(name=name, document={})
        add_mapping(name=name, document={"method": "PUT"})
    browser, url, found = as_(owner), reverse(page), []
    while url:
        answer = browser.get(url)
        found += re.findall(r"n-\d{3}(?=</)", answer.text)
        following = re.search(r'rel="next" href="([^"]+)"', answer.text)
        url = reverse(page) + unescape(following[1]) if following else ""
        assert len(found) <= len(names)
    assert found == names
    assert "There are no more" in browser.get(f"{reverse(page)}?page=after:z").text
