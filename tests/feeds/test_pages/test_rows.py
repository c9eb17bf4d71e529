"""The list of rows, and a row's own page."""

import orjson
import pytest
from django.urls import reverse

from deliveries.ids import delivery_id
from deliveries.models import Attempt, Delivery, Payload
from feeds.models import Feed, Row
from feeds.queries import row_story, rows_page

pytestmark = pytest.mark.django_db


def test_failed_rows_stand_with_line_code_and_reason(as_, owner, delivering):
    page = as_(owner).get(reverse("feeds:rows", args=[delivering.id]), {"show": "failed"}).text
    assert "http_422" in page
    assert "too_few_cells" in page
    assert "Lamp" not in page
    assert "&lt;b&gt;unknown" in page, "what a third party says is never taken for HTML"
    page = as_(owner).get(reverse("feeds:rows", args=[delivering.id]), {"show": "invalid"}).text
    assert "too_few_cells" in page
    assert "http_422" not in page


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
    assert "No such rows" in as_(owner).get(url, {"q": "lamp"}).text, "it has arrived"


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
    url = reverse("feeds:rows", args=[delivering.id])
    for changed in ({"cells": cells}, {"cells": "[]", "mended": cells}):
        Row.objects.filter(feed_id=delivering.id, number=2).update(**changed)
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


@pytest.mark.parametrize("show", ["succeeded", "pending", "cancelled"])
def test_who_looks_for_text_among_rows_that_are_not_searched_is_told_so(as_, owner, delivering, show):
    Feed.objects.filter(id=delivering.id).update(pending=1, cancelled=1, total=5)  # there are such rows
    url = reverse("feeds:rows", args=[delivering.id])
    page = as_(owner).get(url, {"show": show, "q": "Lamp"})
    assert "Text is looked for within failed rows alone<" in page.text
    assert "No such rows" not in page.text
    assert not page.context["page"].searched_to
    assert "Text is looked for" not in as_(owner).get(url, {"show": show}).text
    assert "Text is looked for" not in as_(owner).get(url, {"show": "invalid", "q": "Lamp"}).text


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


def test_a_search_goes_back_stretch_by_stretch_too(delivering, monkeypatch):
    monkeypatch.setattr("feeds.queries.rows.STRETCH", 1)
    monkeypatch.setattr("outbox.paging.PATIENCE", -1.0)
    page, places = rows_page(delivering, show="succeeded", place="before:4"), []
    while page.previous and not page.items:
        places.append(page.previous)
        page = rows_page(delivering, show="succeeded", place=page.previous)
    assert places == ["before:3", "before:2"]
    assert [row.number for row in page.items] == [1]


def test_what_a_feed_has_none_of_is_not_searched_for(as_, owner, delivering, django_assert_max_num_queries):
    browser, url = as_(owner), reverse("feeds:rows", args=[delivering.id])
    for show in ("pending", "cancelled"):
        with django_assert_max_num_queries(3):  # session, person, feed
            assert "No such rows" in browser.get(url, {"show": show}).text


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


@pytest.mark.parametrize(("revision", "shown"), [(None, True), (1, True), (9, False)])
def test_an_attempt_whose_payload_is_gone_is_shown_without_its_request(
    as_, owner, delivering, revision, shown
):
    """An attempt of which no revision is known sent the one that there was."""
    id_ = delivery_id(delivering.id, 2)
    Attempt.objects.create(delivery_id=id_, number=1, revision=revision, outcome="failed", http_status=422)
    assert as_(owner).get(reverse("feeds:row", args=[delivering.id, 2])).status_code == 200
    [exchange] = row_story(delivering, 2).exchanges
    assert (exchange.request is not None) is shown


def test_an_invalid_row_shows_its_cells_by_number(as_, owner, delivering):
    page = as_(owner).get(reverse("feeds:row", args=[delivering.id, 3])).text
    assert "Table" in page
    assert "The row has 2 cells instead of 3." in page


def test_a_row_that_is_not_there_is_not_found(as_, owner, delivering):
    assert as_(owner).get(reverse("feeds:row", args=[delivering.id, 99])).status_code == 404


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


def test_a_row_leads_to_its_neighbours_as_far_as_there_are_any(as_, owner, delivering):
    def neighbours(number):
        page = as_(owner).get(reverse("feeds:row", args=[delivering.id, number])).text
        return ["Previous row" in page, "Next row" in page]

    assert [neighbours(number) for number in (1, 2, 3)] == [[False, True], [True, True], [True, False]]
    stories = [row_story(delivering, number) for number in (1, 2, 3)]
    assert [(story.before, story.after) for story in stories] == [(0, 2), (1, 3), (2, 0)]
    delivering.import_done = False  # the third may not be there yet
    assert [row_story(delivering, number).after for number in (1, 2)] == [2, 0]
