"""Result files as spreadsheets, read back by a library that had no part in writing it."""

import io
import tracemalloc
import zipfile
from operator import length_hint

import openpyxl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from feeds import spreadsheet
from feeds.errors import TooLarge
from feeds.results import RESULT_COLUMNS, ResultRow, is_unmended
from feeds.spreadsheet import LONGEST_CELL, MOST_ROWS, problem_with_size, write_xlsx


def failed(*cells, **more):
    return ResultRow(cells, "failed", None, 0, **more)


def cells_of(rows, columns):
    content = io.BytesIO(b"".join(write_xlsx(rows, columns)))
    assert zipfile.ZipFile(content).testzip() is None
    return list(openpyxl.load_workbook(content).active.iter_rows())


def read(rows, columns):
    return [
        ["" if cell.value is None else unescaped(cell.value) for cell in row]
        for row in cells_of(rows, columns)
    ]


def unescaped(text):
    return openpyxl.utils.escape.unescape(text)


@pytest.mark.parametrize(
    "cell", ["007", "12345678901234567890", "=1+1", "+49 30 1", "-1", "@x", "1e5", "2026-12-24", "TRUE"]
)
def test_a_cell_is_text_whatever_it_looks_like(cell):
    [_, row] = cells_of([failed(cell)], ["a"])
    assert (row[0].value, row[0].data_type, row[0].number_format) == (cell, "s", "@")


def test_what_is_written_into_an_empty_cell_is_text_too():
    book = openpyxl.load_workbook(io.BytesIO(b"".join(write_xlsx([failed("", "x")], ["a", "b"]))))
    columns = book.active.column_dimensions
    assert columns["A"].number_format == "@"
    assert (columns["A"].min, columns["A"].max) == (1, 2 + len(RESULT_COLUMNS))


def test_the_header_is_bold_and_stays_in_sight_and_no_number_has_a_warning_beside_it():
    content = b"".join(write_xlsx([failed("007")], ["a"]))
    sheet = openpyxl.load_workbook(io.BytesIO(content)).active
    assert (sheet.sheet_view.pane.topLeftCell, sheet.sheet_view.pane.state) == ("A2", "frozen")
    assert [row[0].font.b for row in sheet.iter_rows()] == [True, False]
    written = zipfile.ZipFile(io.BytesIO(content)).read("xl/worksheets/sheet1.xml").decode()
    assert '<ignoredError sqref="A1:F1048576" numberStoredAsText="1"/>' in written


def test_a_cell_that_utf_8_cannot_hold_does_not_stop_it():
    assert read([failed("\ud800")], ["a"])[1][0] == "?"


CELL = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.text(
    st.sampled_from("_x0041&<>\"' \r\n\t\x00\x1f\ufffe="), max_size=12
)


@given(st.lists(st.lists(CELL, min_size=2, max_size=2), max_size=4), CELL)
@example([["_x000D_", "\r\n"], [" a ", "a\n"], ["<b>&amp;", "\x00"]], "]]>")
def test_every_cell_comes_back_as_it_was(rows, error):
    back = read((ResultRow(row, "failed", 422, 3, "http_422", error) for row in rows), ["sku", "name"])
    assert back == [
        ["sku", "name", *RESULT_COLUMNS],
        *[[*row, "failed", "422", "3", "http_422", error] for row in rows],
    ]


def test_damaged_rows_are_marked_as_in_the_csv_file():
    rows = read([failed("A1"), failed("A2", "x", "9.99")], ["sku", "name"])
    assert rows[1][:3] == ["A1", "[[mend: no cell]]", "failed"]
    assert rows[2][:3] == ["A2", "[[mend: 1 too many]] x,9.99", "failed"]


def test_a_cell_that_no_spreadsheet_takes_is_marked_and_so_never_sent_cut():
    fits, too_long, in_pairs = "x" * LONGEST_CELL, "x" * (LONGEST_CELL + 1), "\U0001f600" * 16_384
    rows = read([failed(fits), failed(too_long), failed(in_pairs)], ["text"])
    assert rows[1][0] == fits
    for row in rows[2:]:
        assert row[0].startswith("[[mend: 32,768 characters, too many for a spreadsheet; take them from")
        assert len(row[0].encode("utf-16-le")) // 2 <= LONGEST_CELL
        assert is_unmended(row)


def test_more_rows_than_a_sheet_takes_are_refused_with_a_sentence():
    assert not problem_with_size(rows=MOST_ROWS, columns=5, text=10**8)
    assert problem_with_size(rows=1_200_000, columns=5, text=10**8) == (
        "A spreadsheet takes 1,048,575 rows, and these are 1,200,000."
    )
    assert "too large" in problem_with_size(rows=1_000_000, columns=50, text=10**8)


def test_rows_that_come_in_excess_meanwhile_break_the_file_instead_of_being_left_out(monkeypatch):
    monkeypatch.setattr(spreadsheet, "MOST_ROWS", 2)
    assert len(read([failed("1"), failed("2")], ["a"])) == 3
    with pytest.raises(TooLarge):
        b"".join(write_xlsx([failed("1"), failed("2"), failed("3")], ["a"]))


def test_a_sheet_may_have_more_columns_than_letters():
    columns = [f"c{index}" for index in range(800)]
    rows = read([failed(*columns)], columns)
    assert rows[0][:800] == rows[1][:800] == columns


def test_a_large_one_is_handed_out_while_it_is_written_in_constant_memory():
    # Given
    row = failed("x" * 100, "é" * 100)
    given = iter([row] * 30_000)
    write = write_xlsx(given, ["a", "b"])
    # When
    tracemalloc.start()
    next(write)
    left = length_hint(given)
    size = sum(len(piece) for piece in write)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # Then
    assert left > 0
    assert size > 100_000
    assert peak < 3_000_000
