"""A row that a person changes on its page and sends again."""

import json

import orjson
import pytest
from django.contrib.sessions.models import Session
from django.urls import reverse

from deliveries.ids import delivery_id
from deliveries.models import Delivery, Payload
from feeds.models import Feed, Row
from feeds.queries import as_entered, editing
from feeds.queries.row_cells import compared

pytestmark = pytest.mark.django_db


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
    assert '<details id="change" open>' in answer.text
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
    # Once it is mended, that one is not said to have been sent as it was
    Row.objects.filter(feed_id=delivering.id, number=3).update(mended='["003","Table","30"]')
    page = as_(owner).get(reverse("feeds:row", args=[delivering.id, 3])).text
    assert page.count('<span class="soft">the same</span>') == 1
    assert page.count('<span class="soft">not sent</span>') == 1


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


@pytest.mark.parametrize(
    ("typed", "before", "kept"),
    [
        ("a\r\nb", "a\nb", "a\nb"),
        ("a\r\nb", "a\rb", "a\rb"),
        ("a\r\nb", "a\r\nb", "a\r\nb"),
        ("a\r\nc", "a\r\nb", "a\r\nc"),
        ("a\r\nc", "a\nb", "a\nc"),
        ("a\r\nc", "", "a\nc"),
    ],
)
def test_line_breaks_are_those_of_the_file_and_not_of_the_browser(typed, before, kept):
    assert as_entered(typed, before) == kept


@pytest.mark.parametrize(("code", "certain"), [("stray_quote", 0), ("unclosed_quote", 0), ("bad_value", 1)])
def test_a_row_that_was_misread_is_sent_only_once_its_cells_were_looked_at(
    as_, owner, delivering, code, certain
):
    Row.objects.filter(feed_id=delivering.id, number=3).update(cells='["003","Table","30"]', code=code)
    values = {"cell-0": "003", "cell-1": "Table", "cell-2": "31", "revision": "0"}
    answer = as_(owner).post(reverse("feeds:edit_row", args=[delivering.id, 3]), values)
    assert answer.status_code == (302 if certain else 422)
    assert Payload.objects.filter(delivery_id=delivery_id(delivering.id, 3)).count() == certain


def test_each_cell_stands_beside_its_column_with_what_a_person_made_of_it(delivering):
    row = Row.objects.get(feed_id=delivering.id, number=3)
    row.cells, row.mended = '["003"," ","30","x"]', '["003","Table","30"]'
    found = compared(delivering, row)
    assert [(cell.column, cell.had, cell.now) for cell in found] == [
        ("sku", "003", "003"),
        ("name", " ", "Table"),
        ("price", "30", "30"),
        ("", "x", None),
    ]
    assert [cell.changed for cell in found] == [False, True, False, False]
    assert [cell.is_blank for cell in found] == [False, True, False, False]


@pytest.mark.parametrize(
    ("value", "is_long"), [("x" * 60, False), ("x" * 61, True), ("a\nb", True), ("a\rb", True)]
)
def test_a_failed_row_is_changed_in_the_revision_that_failed_and_long_cells_in_an_area(
    delivering, value, is_long
):
    Delivery.objects.filter(number=2).update(status="failed", revision=7)
    Row.objects.filter(number=2).update(cells=orjson.dumps(["002", value]).decode())
    found = editing(delivering, Row.objects.get(feed_id=delivering.id, number=2))
    assert found
    assert (found.revision, found.never_sent, found.certain) == (7, False, False)
    assert [(entry.column, entry.value, entry.had) for entry in found.entries] == [
        ("sku", "002", "002"),
        ("name", value, value),
        ("price", "", None),
    ]
    assert [entry.is_long for entry in found.entries] == [False, is_long, False]


def test_only_the_cells_that_a_person_changed_are_told_twice(as_, owner, delivering):
    Row.objects.filter(feed_id=delivering.id, number=2).update(mended='["002","Better chair","20"]')
    page = as_(owner).get(reverse("feeds:row", args=[delivering.id, 2])).text
    assert "<strong>Better chair</strong>" in page
    assert page.count("the same") == 2


def test_what_was_typed_in_a_row_is_there_again_after_a_sign_in_and_not_sent(as_, owner, delivering):
    # Given
    Delivery.objects.filter(number=2).update(status="failed")
    browser = as_(owner)
    url = reverse("feeds:edit_row", args=[delivering.id, 2])
    Session.objects.all().delete()

    # When
    values = {"cell-0": "002", "cell-1": "Armchair", "cell-2": "20", "revision": "1"}
    values["whose"] = str(owner.pk)
    answer = browser.post(url, values, headers={"Origin": "http://testserver"})
    assert answer.url.startswith(reverse("login"))
    browser.force_login(owner)
    page = browser.get(url)

    # Then
    assert 'value="Armchair"' in page.text
    assert "Nothing of it is stored yet." in page.text
    assert Delivery.objects.get(number=2).revision == 1
    assert browser.get(url).status_code == 405
