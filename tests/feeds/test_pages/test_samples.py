"""Rows on which it is shown what a mapping does: pasted ones, or the first of a feed."""

import pytest

from deliveries.models import Destination
from feeds.models import Feed, FeedStatus
from feeds.queries.samples import LONGEST, Choice, pasted_sample, sample_of, sample_request

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        (" sku ; name \n1;Lamp\n", [("1", "Lamp")]),
        ("sku\tname\n1\tLamp, white\n", [("1", "Lamp, white")]),
        ("sku|name\n1|Lamp", [("1", "Lamp")]),
        ("\nsku,name\nshort\n1,too,many\n\n1,Lamp\n", [("1", "Lamp")]),
        ("sku,name", []),
    ],
)
def test_what_is_pasted_is_read_by_its_header(text, rows):
    sample = pasted_sample(text, None)
    assert sample
    assert (sample.columns, [record.cells for record in sample.records]) == (["sku", "name"], rows)


def test_of_a_very_long_text_the_beginning_is_read():
    sample = pasted_sample("a\n" + "x\n" * LONGEST, None)
    assert sample
    assert len(sample.records) == LONGEST // 2 - 1


def test_a_column_that_occurs_twice_is_offered_once(owner):
    assert Choice(owner, pasted="a,b,a\n").columns == ["a", "b"]


def test_the_newest_feed_with_rows_is_shown_unless_another_is_chosen(owner, other, make_feed):
    older, newer = make_feed(name="older.csv"), make_feed(name="newer.csv")
    make_feed(FeedStatus.CHECKING)
    assert Choice(owner).feeds == [newer, older]
    assert Choice(owner, feed=str(older.id)).feeds == [older, newer]
    assert Choice(owner, feed="nonsense").feed == newer
    assert Choice(other, feed=str(older.id)).feed is None, "it is another's"


def test_a_row_that_cannot_be_read_is_no_sample(make_feed):
    feed = make_feed()
    feed.source_path.write_text("sku,name,price\n001,Lamp\n002,Chair,20\n")
    assert [record.cells[0] for record in sample_of(feed).records] == ["002"]


def test_a_test_send_begins_with_what_the_newest_feed_sent_there(make_feed, destination):
    Destination.objects.update(method="PUT")
    make_feed(name="older.csv")
    make_feed(mapping={"fields": {"cost": "c"}}, aliases={"cost": "price"})
    make_feed(FeedStatus.CHECKING)
    request = sample_request(Destination.objects.get())
    assert request
    assert (request.method, request.body) == ("PUT", '{"c":"10.50"}')
    Feed.objects.update(total=0, pending=0)
    assert sample_request(Destination.objects.get()) is None
