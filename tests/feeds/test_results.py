"""Result files: what they give back."""

import csv
import io
import tracemalloc

from hypothesis import example, given
from hypothesis import strategies as st

from feeds.results import (
    RESULT_COLUMNS,
    ResultRow,
    is_unmended,
    strip_result_columns,
    write_results,
)


def written(rows, columns):
    return b"".join(write_results(rows, columns))


def read(content):
    return list(csv.reader(io.StringIO(content.decode(), newline=""), strict=True))


def failed(*cells, **more):
    return ResultRow(cells, "failed", None, 0, **more)


CELL = st.text(st.characters(exclude_categories=["Cs"])) | st.text(
    st.sampled_from("\",;\r\n\t ='\x00"), max_size=8
)


@given(
    st.lists(CELL, min_size=1, max_size=4).flatmap(
        lambda columns: st.tuples(
            st.just(columns),
            st.lists(st.lists(CELL, min_size=len(columns), max_size=len(columns)), max_size=5),
        )
    ),
    CELL,
)
@example((["a"], [[""], ["\r"], [" x "], ['"'], ["=1+1"]]), "\r\n")
def test_the_plain_file_gives_back_every_cell(table, error):
    columns, rows = table

    back = read(written((ResultRow(row, "failed", 422, 3, "http_422", error) for row in rows), columns))

    assert back == [
        [*columns, *RESULT_COLUMNS],
        *[[*row, "failed", "422", "3", "http_422", error] for row in rows],
    ]


def test_a_row_never_sent_has_no_http_status():
    assert read(written([failed("1")], ["a"]))[1] == ["1", "failed", "", "0", "", ""]


def test_a_file_without_rows_has_its_header():
    assert read(written([], ["a"])) == [["a", *RESULT_COLUMNS]]


def test_a_cell_that_utf_8_cannot_hold_does_not_stop_the_file():
    assert read(written([failed("a\ud800b")], ["a"]))[1][0] == "a?b"


def test_a_row_with_too_few_cells_says_which_are_missing():
    row = read(written([failed("A1", "9.99")], ["sku", "name", "price"]))[1]

    assert row[:4] == ["A1", "9.99", "[[mend: no cell]]", "failed"]
    assert len(row) == 3 + len(RESULT_COLUMNS)


def test_a_row_with_too_many_cells_keeps_them_all_in_its_last_one():
    row = read(written([failed("A1", "x", "blue, long", "9.99")], ["sku", "name"]))[1]

    assert row[:3] == ["A1", '[[mend: 2 too many]] x,"blue, long",9.99', "failed"]
    assert len(row) == 2 + len(RESULT_COLUMNS)


def test_a_row_whose_cells_are_not_certain_is_marked_although_their_number_is_right():
    rows = read(written([failed("A1", "x", misread=True)], ["sku", "name"]))

    assert rows[1][:2] == ["[[mend: check this row]] A1", "x"]


@given(st.lists(CELL, max_size=6), st.integers(1, 4), st.booleans())
def test_the_result_columns_never_shift_and_a_damaged_row_is_refused_until_mended(cells, width, misread):
    # Given
    columns = [f"c{i}" for i in range(width)]
    # When
    header, row = read(written([failed(*cells, misread=misread)], columns))
    # Then
    assert len(row) == len(header)
    assert row[width] == "failed"
    kept = [row[index] for index in strip_result_columns(header)]
    assert is_unmended(kept) is (misread or len(cells) != width or is_unmended(cells))
    # And a second time it stays as it is
    assert read(written([failed(*kept, misread=misread)], columns))[1][:width] == kept


def test_the_result_columns_are_ignored_when_all_five_are_there():
    assert strip_result_columns(["a", "b", *RESULT_COLUMNS]) == [0, 1]
    assert strip_result_columns([*RESULT_COLUMNS[::-1], "a"]) == [5]
    assert strip_result_columns(["a", *RESULT_COLUMNS[:4]]) == [0, 1, 2, 3, 4]
    assert strip_result_columns(["a", *RESULT_COLUMNS[:4], "_Error"]) == [0, 1, 2, 3, 4, 5]
    assert strip_result_columns([]) == []


def test_an_original_column_of_the_same_name_is_kept():
    assert strip_result_columns(["_status", "a", *RESULT_COLUMNS]) == [0, 1]


def test_a_large_file_is_written_piece_by_piece_in_constant_memory():
    # Given
    row = failed("x" * 100, "é" * 100)
    write = write_results((row for _ in range(50_000)), ["a", "b"])
    # When
    tracemalloc.start()
    lines = sum(piece.count(b"\r\n") for piece in write)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # Then
    assert lines == 50_001
    assert peak < 2_000_000
