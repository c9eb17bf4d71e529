"""A failed file that comes back, mended or not, through the real import on the suite's database."""

import csv
import io

import openpyxl
import pytest
from django.db import transaction

from deliveries.models import Payload
from feeds import handlers
from feeds.events import FeedReleased
from feeds.models import Feed, Row
from feeds.queries import result_rows
from feeds.spreadsheet import write_xlsx

pytestmark = pytest.mark.django_db(transaction=True)

HEADER = "sku,price,_status,_http_status,_attempts,_error_code,_error\n"


def test_the_result_columns_of_a_mended_file_are_not_sent(send):
    feed = send(HEADER + "A1,9.50,failed,422,1,http_422,No price\n")
    assert feed.columns == ["sku", "price"]
    assert Payload.objects.get().body == '{"sku":"A1","price":"9.50"}'
    assert Row.objects.get(feed_id=feed.id).cells == '["A1","9.50"]'


def test_a_row_with_a_mark_in_it_is_refused_and_the_ledger_adds_up(send):
    feed = send(HEADER + 'A1,9.50,failed,,0,,\nA2,"[[mend: no cell]]",failed,,0,too_few_cells,short\n')
    assert (feed.total, feed.failed, feed.invalid, feed.pending) == (2, 1, 1, 1)
    refused = Row.objects.get(feed_id=feed.id, number=2)
    assert (refused.code, refused.outcome, refused.invalid) == ("not_mended", "failed", True)
    assert Payload.objects.count() == 1


def test_a_short_row_of_such_a_file_is_invalid_once(send):
    feed = send(HEADER + "A1,9.50,failed,,0,,\nA2,failed,,0,,\n")
    assert (feed.total, feed.failed, feed.invalid, feed.pending) == (2, 1, 1, 1)
    assert Row.objects.get(feed_id=feed.id, number=2).code == "too_few_cells"


@pytest.mark.parametrize("name", ["\udcff.csv", "a\0b.csv", "ü" * 300 + ".csv"])
def test_a_file_is_taken_whatever_it_is_called(send, name):
    assert len(send("sku\nA1\n", name=name).name) <= 255


def test_an_import_that_is_repeated_writes_nothing_twice(send, monkeypatch):
    # Given two workers that read the same chunk
    feed = send("sku,price\nA1,9.50\nA2,3.00\n")
    Feed.objects.filter(id=feed.id).update(import_done=False, position=None)
    write = handlers.import_rows(FeedReleased(correlation_id=feed.id))
    assert callable(write)
    Feed.objects.filter(id=feed.id).update(position=feed.position, import_done=True)
    # When the second of them writes
    with transaction.atomic():
        write()
    # Then the feed and its rows are as the first left them
    feed.refresh_from_db()
    assert (feed.total, feed.pending, feed.created) == (2, 2, 2)
    assert Row.objects.filter(feed_id=feed.id).count() == 2


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "cp1252", "utf-16"])
def test_what_excel_saves_of_the_failed_rows_is_uploaded_as_it_is(send, delimiter, encoding):
    # Given a feed whose rows were refused, one of them for want of a cell
    cells = ["007", "=1+1", '5" Größe, groß; <b>', "12345678901234567890"]
    feed = send(csv_of([["sku", "f", "name", "ean"], cells, ["008", "", "a\nb", " x "], ["9", "x", "y"]]))
    Row.objects.filter(feed_id=feed.id, invalid=False).update(
        outcome="failed", code="http_422", error="No, not\nthis one.", http_status=422, attempts=1
    )
    # When the spreadsheet is saved as CSV, as Excel does it, and uploaded
    book = openpyxl.load_workbook(io.BytesIO(b"".join(write_xlsx(result_rows(feed, "failed"), feed.columns))))
    saved = csv_of([["" if v is None else v for v in row] for row in book.active.values], delimiter)
    again = send(saved.encode(encoding))
    # Then every cell is as it was, and the row that nobody mended is not sent
    assert again.columns == feed.columns
    assert (again.total, again.invalid, again.pending) == (3, 1, 2)
    before, after = (
        list(Row.objects.filter(feed_id=each.id).order_by("number").values_list("cells", flat=True))
        for each in (feed, again)
    )
    assert after[:2] == before[:2]
    assert "[[mend: no cell]]" in after[2]


def csv_of(rows: list[list[str]], delimiter: str = ",") -> str:
    """As Excel writes it: quotes only where it must, and CRLF."""
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter).writerows(rows)
    return text.getvalue()
