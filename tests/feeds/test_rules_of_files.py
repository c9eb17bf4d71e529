"""Rules from the check to the import: what is invalid is known before anything is sent."""

import io
import json
import tracemalloc
from importlib import import_module

import pytest
from django.contrib.auth.models import AnonymousUser

from deliveries.commands import add_destination
from deliveries.models import Delivery, Payload
from feeds import commands, handlers, importing, judging
from feeds.editing import edit_row
from feeds.events import FeedReleased
from feeds.mapping import RowError
from feeds.models import Feed, Row
from feeds.queries import preview
from feeds.reading import Record
from feeds.repeats import RepeatFinder, read_repeats
from tests.feeds.conftest import after_check, import_step

pytestmark = pytest.mark.django_db(transaction=True)

RULES = {
    "fields": {"sku": "id", "price": {"type": "number"}},
    "rules": {
        "sku": {"required": True, "unique": True, "pattern": "[A-Z][0-9]+"},
        "state": {"one_of": ["new", "used"]},
    },
}
FILE = """sku,price,state
A1,1,new
A2,2,used
A1,3,new
,4,new
A3,five,new
A4,6,old
A5,7
A3,8,new
a6,9,new
A1,10,new
"""
INVALID = {
    3: ("not_unique", 'The column "sku" has "A1", which row 1 has already.'),
    4: ("missing_value", 'The column "sku" is empty, but a value is required.'),
    5: ("not_a_number", 'The column "price" has "five", which is not a number.'),
    6: ("not_one_of", 'The column "state" has "old"; allowed are "new", "used".'),
    7: ("too_few_cells", ""),
    8: ("not_unique", 'The column "sku" has "A3", which row 5 has already.'),
    9: ("pattern_mismatch", 'The column "sku" has "a6", which does not match "[A-Z][0-9]+".'),
    10: ("not_unique", 'The column "sku" has "A1", which row 1 has already.'),
}


@pytest.fixture
def checked(settings, tmp_path):
    """Uploads a file and checks it."""
    settings.MEDIA_ROOT = tmp_path
    destination = add_destination(name="shop", url="https://shop.example/products")

    def run(
        text: str, document: object = RULES, *, encoding: str = "utf-8", send_at_once: bool = False
    ) -> Feed:
        mapping = commands.add_mapping(name="products", document=document)
        feed = commands.create_feed(
            content=io.BytesIO(text.encode(encoding)),
            name="f.csv",
            destination=destination,
            mapping=mapping,
            send_at_once=send_at_once,
        )
        return after_check(feed)

    return run


def found(feed):
    rows = Row.objects.filter(feed_id=feed.id, invalid=True).order_by("number")
    return {row.number: (row.code, row.error) for row in rows}


def test_the_check_counts_every_row_that_cannot_be_sent_by_its_reason(checked):
    feed = checked(FILE)

    assert (feed.status, feed.total, feed.invalid, feed.failed, feed.pending) == ("ready", 10, 8, 8, 2)
    assert feed.invalid_by_code == {
        "not_unique": 3,
        "missing_value": 1,
        "not_a_number": 1,
        "not_one_of": 1,
        "too_few_cells": 1,
        "pattern_mismatch": 1,
    }


def test_the_preview_names_the_encoding_as_the_note_beside_it_does(checked):
    feed = checked(FILE.replace("A1", "Ä1"), encoding="cp1252")
    assert "windows-1252" in feed.encoding_note
    assert ("Encoding", "windows-1252") in preview(feed, AnonymousUser()).facts


def test_the_preview_names_line_column_value_and_reason(checked):
    shown = preview(checked(FILE), AnonymousUser())

    assert [record.number for record in shown.rows] == [1, 2]
    assert shown.reasons[0] == ("not_unique", 3)
    assert shown.all_seen
    odd = {row.line: (row.code, row.column, row.value) for row in shown.odd}
    assert odd[4] == ("not_unique", "sku", "A1")
    assert odd[7] == ("not_one_of", "state", "old")
    assert odd[8] == ("too_few_cells", "", "A5 · 7")


@pytest.fixture
def rows_read(monkeypatch):
    """How many rows a preview has asked for, step by step."""
    steps = []
    module = import_module("feeds.queries.preview")
    read = module.read_rows

    def reading(feed, start, limit):
        steps.append(limit)
        return read(feed, start, limit)

    monkeypatch.setattr(module, "read_rows", reading)
    return steps


@pytest.mark.parametrize(
    ("prices", "steps"), [("1" * 2000, 1), ("x" * 2000, 1), ("1" * 600 + "x1x" + "1" * 2000, 3)]
)
def test_the_preview_reads_no_further_than_it_shows(checked, rows_read, prices, steps):
    file = "sku,price\n" + "".join(f"A{number},{price}\n" for number, price in enumerate(prices, start=1))
    feed = checked(file, {"fields": {"price": {"type": "number"}}})
    shown = preview(feed, AnonymousUser())
    bad = [line for line, price in enumerate(prices, start=2) if price == "x"]
    assert [row.line for row in shown.odd] == bad[:10]
    assert [record.number for record in shown.rows] == ([] if "1" not in prices else list(range(1, 9)))
    assert shown.all_seen
    assert len(rows_read) == steps


@pytest.mark.parametrize("size", [1, 3, 500])
def test_the_import_says_what_the_check_said_however_it_is_cut(checked, monkeypatch, size):
    monkeypatch.setattr(importing, "chunk_size", lambda: size)
    feed = checked(FILE, send_at_once=True)
    while import_step(feed):
        pass

    feed.refresh_from_db()
    assert (feed.total, feed.invalid, feed.failed, feed.pending, feed.created) == (10, 8, 8, 2, 2)
    for number, (code, error) in found(feed).items():
        assert code == INVALID[number][0]
        assert error == INVALID[number][1] or code == "too_few_cells"
    assert set(found(feed)) == set(INVALID)
    assert [json.loads(body)["id"] for body in Payload.objects.values_list("body", flat=True)] == ["A1", "A2"]


def test_a_crash_in_the_middle_changes_nothing_of_what_repeats(checked, monkeypatch):
    # Given an import whose worker died with a chunk that was not committed
    monkeypatch.setattr(importing, "chunk_size", lambda: 2)
    feed = checked(FILE, send_at_once=True)
    assert import_step(feed)
    handlers.import_rows(FeedReleased(correlation_id=feed.id))
    judging._bound.cache_clear()
    # When another one goes on
    while import_step(feed):
        pass
    # Then the answers are those of an undisturbed run
    assert {number: code for number, (code, _) in found(feed).items()} == {n: INVALID[n][0] for n in INVALID}


def test_a_check_that_is_repeated_finds_the_same(checked):
    feed = checked(FILE)
    first = feed.repeats_path.read_bytes()
    commands.correct(feed.id, said={})
    after_check(feed)

    assert feed.repeats_path.read_bytes() == first
    assert (feed.total, feed.invalid) == (10, 8)
    assert sorted(path.name for path in feed.folder.iterdir()) == ["repeats", "source"]


def test_a_feed_that_was_checked_before_an_upgrade_counts_at_the_import_what_the_check_did_not(checked):
    feed = checked("sku,price\nA1,1\nA2,x\n", {"fields": {"price": {"type": "number"}}}, send_at_once=True)
    Feed.objects.filter(id=feed.id).update(invalid_by_code=None, invalid=0, failed=0, pending=2)
    while import_step(feed):
        pass

    feed.refresh_from_db()
    assert (feed.invalid, feed.failed, feed.pending) == (1, 1, 1)


def test_an_edited_row_must_keep_the_rules_too(checked):
    feed = checked("sku,price,state\nA1,1,new\n", send_at_once=True)
    while import_step(feed):
        pass
    with pytest.raises(RowError, match="allowed are"):
        edit_row(feed.id, 1, cells=["A1", "1", "lost"], revision=1)


def test_a_repeated_value_is_mended_only_by_another_value(checked):
    feed = checked(FILE, send_at_once=True)
    while import_step(feed):
        pass
    with pytest.raises(RowError, match='"A1", which row 1 has already'):
        edit_row(feed.id, 3, cells=["A1", "4", "new"], revision=0)
    edit_row(feed.id, 3, cells=["A7", "4", "new"], revision=0)
    assert Row.objects.get(feed_id=feed.id, number=3).mended == '["A7","4","new"]'
    # Nor does it get the old value back where the new one was refused
    Delivery.objects.filter(number=3).update(status="failed")
    with pytest.raises(RowError, match='"A1", which row 1 has already'):
        edit_row(feed.id, 3, cells=["A1", "4", "new"], revision=1)
    edit_row(feed.id, 3, cells=["A8", "4", "new"], revision=1)


def test_two_unique_columns_make_a_row_invalid_once_and_do_not_mix(tmp_path):
    with RepeatFinder(tmp_path, [0, 1]) as finder:
        for number, cells in enumerate([("a", "b"), ("b", "a"), ("a", "b"), ("c", "b"), ("", "")], start=1):
            finder.note(Record(number, number, cells, "", ""), invalid=False)
        finder.note(Record(6, 6, ("", ""), "", ""), invalid=False)
        assert finder.write(tmp_path / "repeats") == 2

    repeats = read_repeats(tmp_path / "repeats", 1, 6)
    assert {number: (repeat.first, repeat.which) for number, repeat in repeats.items()} == {
        3: (1, 0),
        4: (1, 1),
    }


def test_repeats_are_read_by_the_row_wherever_they_stand(tmp_path):
    with RepeatFinder(tmp_path, [0]) as finder:
        for number in range(1, 5001):
            finder.note(Record(number, number, (str(number % 1000),), "", ""), invalid=False)
        assert finder.write(tmp_path / "repeats") == 4000

    assert read_repeats(tmp_path / "repeats", 1, 999) == {}
    assert set(read_repeats(tmp_path / "repeats", 990, 1010)) == set(range(1001, 1011))
    assert read_repeats(tmp_path / "repeats", 4000, 4000)[4000].first == 1000
    assert read_repeats(tmp_path / "repeats", 5001, 9000) == {}


def test_finding_repeats_takes_memory_for_a_part_of_the_rows_only(tmp_path):
    with RepeatFinder(tmp_path, [0]) as finder:
        tracemalloc.start()
        for number in range(1, 200_001):
            finder.note(Record(number, number, (f"sku {number}",), "", ""), invalid=False)
        assert finder.write(tmp_path / "repeats") == 0
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()

    assert peak < 5_000_000  # a set of them all takes more than 20


def test_white_space_is_no_value_that_repeats(checked):
    feed = checked('sku,price\n" ",1\n" ",2\n,3\n,4\nA1,5\n', {"rules": {"sku": {"unique": True}}})
    assert (feed.status, feed.total, feed.invalid) == ("ready", 5, 0)
