"""Failed rows, a row's own page, and the result files."""

import csv
import io
import json

import openpyxl
import orjson
import pytest
from django.contrib.sessions.models import Session
from django.db import transaction
from django.urls import reverse

from deliveries.ids import delivery_id
from deliveries.models import Attempt, Delivery, Payload
from feeds import errands, queries
from feeds.grouping import recount
from feeds.models import Errand, Feed, FeedStatus, Row
from feeds.reasons import reason

pytestmark = pytest.mark.django_db


def download(browser, feed, kind, **query):
    answer = browser.get(reverse("feeds:results", args=[feed.id, kind]), query)
    assert answer.status_code == 200
    text = b"".join(answer.streaming_content).decode()
    return list(csv.DictReader(io.StringIO(text)))


def test_failed_rows_stand_with_line_code_and_reason(as_, owner, delivering):
    page = as_(owner).get(reverse("feeds:rows", args=[delivering.id]), {"show": "failed"}).text
    assert "http_422" in page
    assert "too_few_cells" in page
    assert "Lamp" not in page
    assert "&lt;b&gt;unknown" in page, "what a third party says is never taken for HTML"


def test_rows_are_paged_by_key(as_, owner, delivering, monkeypatch):
    monkeypatch.setattr("feeds.queries.rows.ROWS_A_PAGE", 1)
    url = reverse("feeds:rows", args=[delivering.id])
    assert "page=after:2" in as_(owner).get(url, {"show": "failed"}).text
    assert "too_few_cells" in as_(owner).get(url, {"show": "failed", "page": "after:2"}).text
    assert as_(owner).get(url, {"page": "nonsense", "show": "nonsense"}).status_code == 200


def test_a_row_is_found_by_its_number_and_failed_ones_by_their_text(as_, owner, delivering):
    url = reverse("feeds:rows", args=[delivering.id])
    assert as_(owner).get(url, {"number": "2"}).url == reverse("feeds:row", args=[delivering.id, 2])
    page = as_(owner).get(url, {"q": "chair"}).text
    assert "http_422" in page
    assert "too_few_cells" not in page


def test_a_row_that_is_searched_for_and_not_there_is_told_in_a_sentence(as_, owner, delivering):
    Feed.objects.filter(id=delivering.id).update(total=50, pending=47)
    browser, url = as_(owner), reverse("feeds:rows", args=[delivering.id])
    for number, told in (
        ("51", "There is no row 51: the file has 50."),
        ("50", "Row 50 was not taken up for"),
    ):
        assert told in browser.get(url, {"number": number}, follow=True).text
    Feed.objects.filter(id=delivering.id).update(rows_deleted=True)
    assert "Its rows were deleted" in browser.get(url, {"number": "50"}, follow=True).text


@pytest.mark.parametrize("cell", ['5" pipe', "C:\\tools", "Grüße\taus", "two\nlines"])
def test_failed_rows_are_found_by_what_their_cells_say_whatever_it_is(as_, owner, delivering, cell):
    cells = orjson.dumps(["002", cell, "20"]).decode()
    Row.objects.filter(feed_id=delivering.id, number=2).update(cells=cells)
    url = reverse("feeds:rows", args=[delivering.id])
    assert "http_422" in as_(owner).get(url, {"q": cell}).text
    assert "http_422" not in as_(owner).get(url, {"q": '","'}).text


@pytest.mark.parametrize("text", ["STRASSE", "straße", "Straße", "äöü", "ÄÖÜ", "señor", "SEÑOR", "100%"])
def test_failed_rows_are_found_whatever_the_case_of_any_letter(as_, owner, delivering, text):
    cells = orjson.dumps(["002", "Straße ÄÖÜ Señor 100%", "20"]).decode()
    rows, browser = Row.objects.filter(feed_id=delivering.id, number=2), as_(owner)
    url = reverse("feeds:rows", args=[delivering.id])
    for changed in ({"cells": cells}, {"cells": "[]", "mended": cells}, {"mended": None, "error": cells}):
        rows.update(**changed)
        page = browser.get(url, {"q": text}).text
        assert "http_422" in page
        assert "too_few_cells" not in page
    assert "http_422" not in browser.get(url, {"q": f"{text}_"}).text


def test_a_search_that_takes_long_stops_after_a_stretch_and_offers_to_go_on(
    as_, owner, delivering, monkeypatch
):
    monkeypatch.setattr("feeds.queries.rows.STRETCH", 1)
    monkeypatch.setattr("outbox.paging.PATIENCE", -1.0)
    url = reverse("feeds:rows", args=[delivering.id])
    page = as_(owner).get(url, {"show": "invalid"}).text
    assert "No such rows up to row 1" in page
    assert "Search on" in page
    for after in (1, 2):
        assert f"page=after:{after}" in page
        page = as_(owner).get(url, {"show": "invalid", "page": f"after:{after}"}).text
    assert "too_few_cells" in page
    assert "Search on" not in page
    monkeypatch.setattr("outbox.paging.PATIENCE", 60.0)
    assert "too_few_cells" in as_(owner).get(url, {"show": "invalid"}).text


def test_what_a_feed_has_none_of_is_not_searched_for(as_, owner, delivering, django_assert_max_num_queries):
    browser, url = as_(owner), reverse("feeds:rows", args=[delivering.id])
    for show in ("pending", "cancelled"):
        with django_assert_max_num_queries(3):  # session, person, feed
            assert "No such rows" in browser.get(url, {"show": show}).text


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


def test_a_row_shows_its_cells_and_its_request_and_its_story(as_, owner, delivering):
    page = as_(owner).get(reverse("feeds:row", args=[delivering.id, 2])).text
    assert "Chair" in page
    assert "https://shop.example/products" in page
    assert "&quot;sku&quot;: &quot;002&quot;" in page
    assert "The row was taken up" in page


def test_every_attempt_shows_its_request_as_it_was_without_secrets(as_, owner, delivering):
    id_ = delivery_id(delivering.id, 2)
    Payload.objects.create(delivery_id=id_, revision=2, method="PUT", body='{"sku":"2b"}')
    Delivery.objects.filter(id=id_).update(revision=2)
    Attempt.objects.create(delivery_id=id_, number=1, revision=1, outcome="failed", http_status=422)
    Attempt.objects.create(delivery_id=id_, number=2, revision=2, outcome="succeeded", http_status=200)
    page = as_(owner).get(reverse("feeds:row", args=[delivering.id, 2])).text
    second, first = page.split("<h3>Attempt ")[1:]
    assert "2b" in second
    assert f"<td>{id_}-r2</td>" in second
    assert "&quot;002&quot;" in first
    assert f"<td>{id_}</td>" in first
    assert "X-Key" in first
    assert "very-secret" not in page


def test_an_invalid_row_shows_its_cells_by_number(as_, owner, delivering):
    page = as_(owner).get(reverse("feeds:row", args=[delivering.id, 3])).text
    assert "Table" in page
    assert "The row has 2 cells instead of 3." in page


def test_a_row_that_is_not_there_is_not_found(as_, owner, delivering):
    assert as_(owner).get(reverse("feeds:row", args=[delivering.id, 99])).status_code == 404


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


def test_there_is_no_fourth_result_file(as_, owner, delivering):
    for name in ("feeds:results", "feeds:results_xlsx"):
        assert as_(owner).get(reverse(name, args=[delivering.id, "all"])).status_code == 404


def spreadsheet(browser, feed, kind):
    answer = browser.get(reverse("feeds:results_xlsx", args=[feed.id, kind]))
    assert answer.status_code == 200
    return openpyxl.load_workbook(io.BytesIO(b"".join(answer.streaming_content))).active


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


def test_a_failed_row_is_changed_and_sent_again_and_the_old_request_is_kept(as_, owner, delivering):
    Delivery.objects.filter(number=2).update(status="failed", maybe_arrived=True)
    browser, url = as_(owner), reverse("feeds:edit_row", args=[delivering.id, 2])
    values = {"cell-0": "002", "cell-1": "Better chair", "cell-2": "21", "revision": "1"}
    assert "under a new key" in browser.post(url, values, follow=True).text

    delivery = Delivery.objects.get(number=2)
    assert (delivery.status, delivery.revision, delivery.maybe_arrived) == ("scheduled", 2, False)
    payloads = Payload.objects.filter(delivery_id=delivery.id).order_by("revision")
    assert list(payloads.values_list("body", flat=True)) == [
        '{"sku":"002"}',
        '{"sku":"002","name":"Better chair","price":"21"}',
    ]
    assert '"Chair"' in Row.objects.get(feed_id=delivering.id, number=2).cells
    assert "neither failed nor invalid" in browser.post(url, values, follow=True).text, "clicked twice"
    assert payloads.count() == 2


def test_an_old_page_of_a_row_that_has_failed_again_since_sends_nothing(as_, owner, delivering):
    Delivery.objects.filter(number=2).update(status="failed", revision=2)
    url = reverse("feeds:edit_row", args=[delivering.id, 2])
    values = {"cell-0": "002", "cell-1": "Chair", "cell-2": "21", "revision": "1"}
    assert "was changed meanwhile" in as_(owner).post(url, values, follow=True).text
    assert Delivery.objects.get(number=2).status == "failed"
    assert Row.objects.get(feed_id=delivering.id, number=2).mended is None


def test_a_change_that_the_mapping_cannot_render_is_told_and_nothing_is_sent(as_, owner, delivering):
    Delivery.objects.filter(number=2).update(status="failed")
    Feed.objects.filter(id=delivering.id).update(mapping={"fields": {"price": {"type": "number"}}})
    url = reverse("feeds:edit_row", args=[delivering.id, 2])
    answer = as_(owner).post(url, {"cell-1": "Better chair", "cell-2": "dear", "revision": "1"})
    assert answer.status_code == 422
    assert "not a number" in answer.text
    assert 'value="Better chair"' in answer.text, "what was entered is not lost"
    assert Delivery.objects.get(number=2).status == "failed"


def test_an_invalid_row_is_mended_beside_what_the_line_had_and_sent_once(as_, owner, delivering):
    browser, url = as_(owner), reverse("feeds:edit_row", args=[delivering.id, 3])
    page = browser.get(reverse("feeds:row", args=[delivering.id, 3])).text
    assert "The line had: Table" in page
    assert "The line had no cell here." in page

    values = {"cell-0": "003", "cell-1": "Table", "cell-2": "30", "revision": "0"}
    refused = browser.post(url, values)
    assert refused.status_code == 422
    assert "tick that each value stands beside its column" in refused.text
    assert 'value="30"' in refused.text

    values["checked"] = "yes"
    assert "The row is sent as you changed it." in browser.post(url, values, follow=True).text
    assert Payload.objects.get(delivery_id=delivery_id(delivering.id, 3)).body == (
        '{"sku":"003","name":"Table","price":"30"}'
    )
    assert "neither failed nor invalid" in browser.post(url, values, follow=True).text, "clicked twice"
    assert Payload.objects.filter(delivery_id=delivery_id(delivering.id, 3)).count() == 1
    page = browser.get(reverse("feeds:row", args=[delivering.id, 3])).text
    assert "no cell" in page, "the original stays"
    assert "As a person changed it" in page
    deed = delivering.deeds.get()
    assert (deed.user, deed.what, deed.detail) == (owner, "edited", "row 3 (too_few_cells) and sent it")


def test_a_line_with_too_many_cells_shows_those_without_a_column(as_, owner, delivering):
    Row.objects.filter(feed_id=delivering.id, number=3).update(cells='["003","Ta","ble","30"]')
    page = as_(owner).get(reverse("feeds:row", args=[delivering.id, 3])).text
    assert "cell 4, no column" in page
    assert "The line went on, where there is no column: <code>30</code>" in page


def test_line_breaks_that_nobody_touched_stay_as_they_were(as_, owner, delivering):
    Row.objects.filter(feed_id=delivering.id, number=3).update(
        cells='["003","\\nTa\\nble","30"]', code="value"
    )
    browser, url = as_(owner), reverse("feeds:edit_row", args=[delivering.id, 3])
    assert "<textarea" in browser.get(reverse("feeds:row", args=[delivering.id, 3])).text
    values = {"cell-0": "003", "cell-1": "\r\nTa\r\nble", "cell-2": "a\r\nb", "revision": "0"}
    browser.post(url, values)
    body = Payload.objects.get(delivery_id=delivery_id(delivering.id, 3)).body
    assert json.loads(body) == {"sku": "003", "name": "\nTa\nble", "price": "a\nb"}


def test_a_failed_row_says_what_to_do_now(as_, owner, delivering):
    browser, url = as_(owner), reverse("feeds:row", args=[delivering.id, 2])
    Delivery.objects.filter(number=2).update(status="failed")
    page = browser.get(url).text
    assert "It is not tried again by itself" in page
    assert 'href="#mend"' in page
    assert "Mend it below, and it is sent" in browser.get(reverse("feeds:row", args=[delivering.id, 3])).text
    Feed.objects.filter(id=delivering.id).update(status="cancelled")
    assert "Nothing more is sent of this feed" in browser.get(url).text


@pytest.mark.parametrize(
    ("delivery", "outcome", "word", "moves"),
    [
        ({"status": "scheduled", "attempt": 1}, "", "waiting", True),
        ({"status": "scheduled", "attempt": 2}, "", "retrying", True),
        ({"status": "scheduled", "attempt": 2}, "failed", "retrying", True),  # a person had it sent again
        ({"status": "succeeded", "attempt": 1}, "", "waiting", True),  # it is counted in a moment
        ({"status": "succeeded", "attempt": 1}, "succeeded", "arrived", False),
        ({"status": "failed", "attempt": 1}, "failed", "failed", False),
    ],
)
def test_a_rows_page_asks_for_news_until_it_has_ended(as_, owner, delivering, delivery, outcome, word, moves):
    Delivery.objects.filter(number=1).update(**delivery)
    Row.objects.filter(feed_id=delivering.id, number=1).update(outcome=outcome)
    page = as_(owner).get(reverse("feeds:row", args=[delivering.id, 1])).text
    assert f'<span class="badge {word}">{word}</span>' in page
    assert ("hx-trigger" in page) is moves


def test_only_the_cells_that_a_person_changed_are_told_twice(as_, owner, delivering):
    Row.objects.filter(feed_id=delivering.id, number=2).update(mended='["002","Better chair","20"]')
    page = as_(owner).get(reverse("feeds:row", args=[delivering.id, 2])).text
    assert "<strong>Better chair</strong>" in page
    assert page.count("the same") == 2


def test_a_row_leads_to_its_neighbours_as_far_as_there_are_any(as_, owner, delivering):
    def neighbours(number):
        page = as_(owner).get(reverse("feeds:row", args=[delivering.id, number])).text
        return ["Previous row" in page, "Next row" in page]

    assert [neighbours(number) for number in (1, 2, 3)] == [[False, True], [True, True], [True, False]]


def test_what_was_typed_in_a_row_is_there_again_after_a_sign_in_and_not_sent(as_, owner, delivering):
    # Given
    Delivery.objects.filter(number=2).update(status="failed")
    browser = as_(owner)
    url = reverse("feeds:edit_row", args=[delivering.id, 2])
    Session.objects.all().delete()

    # When
    values = {"cell-0": "002", "cell-1": "Armchair", "cell-2": "20", "revision": "1"}
    answer = browser.post(url, values, headers={"Origin": "http://testserver"})
    assert answer.url.startswith(reverse("login"))
    browser.force_login(owner)
    page = browser.get(url)

    # Then
    assert 'value="Armchair"' in page.text
    assert "Nothing of it is stored yet." in page.text
    assert Delivery.objects.get(number=2).revision == 1
    assert browser.get(url).status_code == 405
