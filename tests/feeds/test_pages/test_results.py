"""Result files, and the groups of failures that are downloaded and retried."""

import csv
import io

import openpyxl
import pytest
from django.db import transaction
from django.urls import reverse

from deliveries.models import Delivery, Destination
from feeds import errands, queries
from feeds.grouping import recount
from feeds.models import Errand, FailureGroup, Feed, FeedStatus, Row
from feeds.queries.groups import Groups
from feeds.reasons import reason

pytestmark = pytest.mark.django_db


def download(browser, feed, kind, **query):
    answer = browser.get(reverse("feeds:results", args=[feed.id, kind]), query)
    assert answer.status_code == 200
    text = b"".join(answer.streaming_content).decode()
    return list(csv.DictReader(io.StringIO(text)))


def test_failed_rows_are_grouped_by_what_they_have_in_common(as_, owner, delivering):
    Row.objects.create(
        feed_id=delivering.id, number=7, line=8, cells="[]", outcome="failed", http_status=422,
        code="http_422", error='SKU "007" is <b>unknown</b>.',
    )  # fmt: skip
    recount(delivering.id)
    groups = queries.failed_groups(delivering).items
    assert [(group.count, group.reason, group.invalid) for group in groups] == [
        (2, "SKU … is <b>unknown</b>.", 0),
        (1, "The row has 2 cells instead of 3.", 1),
    ]
    page = as_(owner).get(reverse("feeds:feed", args=[delivering.id])).text
    assert "SKU … is &lt;b&gt;unknown" in page


def test_only_groups_with_a_row_that_was_sent_are_retried_and_the_small_ones_are_told_by_their_number(
    delivering,
):
    groups = queries.failed_groups(delivering)
    assert [(group.count, group.can_retry) for group in groups.items] == [(1, True), (1, False)]
    assert groups.ungrouped == 0
    FailureGroup.objects.bulk_create(
        FailureGroup(feed=delivering, key=f"more-{number}", count=3) for number in range(12)
    )
    groups = queries.failed_groups(delivering)
    assert ([group.count for group in groups.items], groups.more) == ([3] * 12, 2)
    assert queries.failed_groups(delivering, whole=True).more == 0


def run_errand(errand):
    while step := errands.retry_chunk(errand.id):
        with transaction.atomic():
            if step() is None:
                return


def test_a_group_is_retried_and_downloaded_alone(as_, owner, delivering):
    Delivery.objects.filter(group_id=delivering.id).update(status="failed")
    group = queries.failed_groups(delivering).items[0]
    browser, url = as_(owner), reverse("feeds:retry", args=[delivering.id])
    assert "failed rows are sent again" in browser.post(url, {"group": group.key}, follow=True).text
    page = browser.post(url, {"group": group.key}, follow=True).text
    assert "are being sent again already" in page
    assert '<span class="soft">being sent again</span>' in page
    assert f"retry-{group.key}" not in page
    assert Errand.objects.get().group == group.key
    run_errand(Errand.objects.get())
    assert Delivery.objects.get(number=2).status == "scheduled"
    assert Delivery.objects.get(number=1).status == "failed"
    assert delivering.deeds.get().what == "retried"

    rows = download(browser, delivering, "failed", group=group.key)
    assert [row["sku"] for row in rows] == ["002"]


@pytest.mark.parametrize(
    ("error", "common"),
    [
        ("SKU 4711 unknown", "SKU … unknown"),
        (
            'The column "price" holds "1,5"; it must be a number.',
            "The column … holds …; it must be a number.",
        ),
        ("No order 01a1fcb1-9334-7b7a-b820-a44f53a321dc there", "No order … there"),
        ("Timeout after 10.0 s", "Timeout after … s"),
        ("price must not be negative, as -5.20 is", "price must not be negative, as … is"),
        (
            "The third party answered 422 Unprocessable Entity: SKU 4711 unknown.",
            "The third party answered 422 Unprocessable Entity: SKU … unknown.",
        ),
        ("refused", "refused"),
    ],
)
def test_a_reason_leaves_out_numbers_quoted_values_and_ids(error, common):
    assert reason(error) == common


def test_each_row_is_in_exactly_one_result_file(as_, owner, delivering):
    browser = as_(owner)
    assert [row["sku"] for row in download(browser, delivering, "succeeded")] == ["001"]
    failed = download(browser, delivering, "failed")
    assert [(row["sku"], row["_error_code"]) for row in failed] == [
        ("002", "http_422"),
        ("003", "too_few_cells"),
    ]
    assert download(browser, delivering, "not-processed") == []


def test_rows_that_were_never_reached_are_read_from_the_file(as_, owner, make_feed):
    feed = make_feed(FeedStatus.CANCELLED, pending=0, cancelled=3)
    rows = download(as_(owner), feed, "not-processed")
    assert [(row["sku"], row["_status"]) for row in rows] == [
        ("001", "cancelled"),
        ("002", "cancelled"),
        ("003", "cancelled"),
    ]


def test_rows_that_a_changed_destination_cannot_be_sent_are_told_all_the_same(as_, owner, make_feed):
    feed = make_feed(
        FeedStatus.CANCELLED, mapping={"fields": {"sku": "id"}}, invalid_by_code={}, pending=0, cancelled=3
    )
    Destination.objects.update(method="GET")  # with which no request has a body
    assert [row["sku"] for row in download(as_(owner), feed, "not-processed")] == ["001", "002", "003"]
    assert download(as_(owner), feed, "failed") == []


def test_imported_rows_that_have_not_ended_or_were_cancelled_were_not_processed(as_, owner, delivering):
    Row.objects.filter(feed_id=delivering.id, number=1).update(outcome="")
    Row.objects.filter(feed_id=delivering.id, number=2).update(outcome="cancelled")
    rows = download(as_(owner), delivering, "not-processed")
    assert [(row["sku"], row["_status"]) for row in rows] == [("001", "pending"), ("002", "cancelled")]


@pytest.mark.parametrize("judged", [None, {"too_many_cells": 1, "stray_quote": 1}])
def test_what_the_import_has_not_come_to_stands_in_one_file_each(as_, owner, make_feed, judged):
    """Also in a feed of before the check counted what it found."""
    counts = {"invalid": 2, "failed": 2, "pending": 1, "invalid_by_code": judged}
    feed = make_feed(FeedStatus.DELIVERING, columns=["sku"], width=1, kept=[0], **counts)
    feed.source_path.write_text('sku\n001\n002,Chair\n"0"03\n')
    browser = as_(owner)
    assert download(browser, feed, "succeeded") == []
    assert [row["sku"] for row in download(browser, feed, "not-processed")] == ["001"]
    failed = download(browser, feed, "failed")
    assert [(row["sku"], row["_error_code"]) for row in failed] == [
        ("[[mend: 1 too many]] 002,Chair", "too_many_cells"),
        ('[[mend: check this row]] "0"03', "stray_quote"),
    ]
    assert download(browser, feed, "failed", group="0123456789abcdef") == []


@pytest.mark.parametrize("code", ["stray_quote", "unclosed_quote"])
def test_an_imported_row_whose_cells_are_not_certain_is_marked_too(as_, owner, delivering, code):
    Row.objects.filter(feed_id=delivering.id, number=3).update(cells='["003","Table","30"]', code=code)
    first, second = download(as_(owner), delivering, "failed")
    assert first["sku"] == "002"
    assert second["sku"] == "[[mend: check this row]] 003"


def test_failed_rows_that_are_in_no_group_yet_are_counted_as_such(delivering):
    FailureGroup.objects.all().delete()
    assert queries.failed_groups(delivering) == Groups([], 0, 2)


def test_a_feed_whose_file_is_gone_still_gives_what_the_database_has(as_, owner, delivering):
    Feed.objects.filter(id=delivering.id).update(import_done=False)
    delivering.source_path.unlink()
    assert [row["sku"] for row in download(as_(owner), delivering, "failed")] == ["002", "003"]


def test_there_is_no_fourth_result_file(as_, owner, delivering):
    for name in ("feeds:results", "feeds:results_xlsx"):
        assert as_(owner).get(reverse(name, args=[delivering.id, "all"])).status_code == 404


def spreadsheet(browser, feed, kind):
    answer = browser.get(reverse("feeds:results_xlsx", args=[feed.id, kind]))
    assert answer.status_code == 200
    return openpyxl.load_workbook(io.BytesIO(b"".join(answer.streaming_content))).active


def test_a_spreadsheet_is_offered_while_there_is_no_row_for_it_yet(as_, owner, delivering):
    browser = as_(owner)
    there = reverse("feeds:results_xlsx", args=[delivering.id, "not-processed"])
    assert there in browser.get(reverse("feeds:feed", args=[delivering.id])).text
    assert [row[:2] for row in spreadsheet(browser, delivering, "not-processed").values] == [("sku", "name")]


@pytest.mark.parametrize("kind", ["succeeded", "failed", "not-processed"])
def test_each_result_file_is_a_spreadsheet_too_with_the_same_columns(as_, owner, delivering, kind):
    Row.objects.create(feed_id=delivering.id, number=4, line=5, cells='["=1+1","x","y"]', outcome="cancelled")
    Feed.objects.filter(id=delivering.id).update(total=4, cancelled=1)
    browser = as_(owner)
    assert reverse("feeds:results_xlsx", args=[delivering.id, kind]) in (
        browser.get(reverse("feeds:feed", args=[delivering.id])).text
    )
    header, *rows = spreadsheet(browser, delivering, kind).values
    plain = download(browser, delivering, kind)
    assert list(header) == list(plain[0])
    assert [[value or "" for value in row] for row in rows] == [list(row.values()) for row in plain]


def test_more_failed_rows_than_a_spreadsheet_takes_are_told_with_the_way_out(as_, owner, delivering):
    Feed.objects.filter(id=delivering.id).update(total=1_200_001, failed=1_200_000)
    page = as_(owner).get(reverse("feeds:results_xlsx", args=[delivering.id, "failed"]), follow=True).text
    assert "A spreadsheet takes 1,048,575 rows, and these are 1,200,000." in page
    assert "Download the CSV file instead" in page
