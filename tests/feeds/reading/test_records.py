"""Rows: which are valid, what is said of the others, and where reading may stop and go on."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from feeds.reading import Dialect, Position, Record, Unreadable, read_chunk, read_header, read_records, survey
from feeds.reading import lines as lines_module
from feeds.reading import parsing as parsing_module
from feeds.reading import records as records_module

FEED = Dialect(columns=2)
# A unit of a hostile file: delimiters, quotes, line ends, long and wide characters in any order.
PIECES = [
    "a",
    "bc",
    ",",
    '"',
    '""',
    '","',
    "\n",
    "\r\n",
    "\r",
    "é",
    "😀",
    "\\",
    '\\"',
    "\0",
    " ",
    "x,y\n",
    '"x\ny",1\n',
]
FILES = st.lists(st.sampled_from(PIECES), max_size=60).map("".join)


def write(folder: Path, text: str) -> Path:
    path = folder / "feed.csv"
    path.write_bytes(text.encode())
    return path


def records(path: Path, dialect: Dialect = FEED, start: Position | None = None) -> list[Record]:
    return [record for record, _ in read_records(path, dialect, dialect.columns, start)]


def outcome(folder: Path, body: str, dialect: Dialect = FEED) -> list[tuple[int, int, tuple[str, ...], str]]:
    path = write(folder, "a,b\n" + body)
    return [(record.number, record.line, record.cells, record.code) for record in records(path, dialect)]


class TestValidRows:
    def test_values_are_text_exactly_as_they_stand(self, tmp_path):
        assert outcome(tmp_path, '007, 1e5 \n"12345678901234567890"," x"\n') == [
            (1, 2, ("007", " 1e5 "), ""),
            (2, 3, ("12345678901234567890", " x"), ""),
        ]

    def test_a_quote_within_an_unquoted_cell_is_text(self, tmp_path):
        assert outcome(tmp_path, '5" pipe,1\n') == [(1, 2, ('5" pipe', "1"), "")]

    def test_lines_without_text_are_no_rows(self, tmp_path):
        assert outcome(tmp_path, "\n1,2\n\r\n  \n3,4\n\n") == [(1, 3, ("1", "2"), ""), (2, 6, ("3", "4"), "")]

    def test_white_space_is_a_value_in_a_file_of_one_column(self, tmp_path):
        path = write(tmp_path, "a\n \nx\n\n")
        assert [record.cells for record in records(path, Dialect(columns=1))] == [(" ",), ("x",)]

    def test_a_row_of_empty_cells_is_a_row(self, tmp_path):
        assert outcome(tmp_path, ",\n") == [(1, 2, ("", ""), "")]

    def test_lines_count_and_not_rows_when_cells_have_line_breaks(self, tmp_path):
        assert [row[:2] for row in outcome(tmp_path, '"1\n2\r\n3",x\n4,y\n')] == [(1, 2), (2, 5)]

    def test_a_backslash_is_text_unless_the_dialect_says_so(self, tmp_path):
        assert outcome(tmp_path, '"C:\\dir\\",x\n')[0][2] == ("C:\\dir\\", "x")

    def test_an_escape_is_text_before_ordinary_characters(self, tmp_path):
        escaped = Dialect(columns=2, escape="\\")
        assert outcome(tmp_path, '"10\\" C:\\temp","a\\\\"\nx\\,y,1\n', escaped) == [
            (1, 2, ('10" C:\\temp', "a\\"), ""),
            (2, 3, ("x,y", "1"), ""),
        ]

    def test_line_and_paragraph_separators_do_not_end_a_line(self, tmp_path):
        assert outcome(tmp_path, "a\u2028b,c\x85d\n")[0][2] == ("a\u2028b", "c\x85d")

    def test_it_reads_what_a_writer_wrote(self, tmp_path):
        rows = [("", "x"), ('"', ","), ("a\nb", "\r\n"), ("é😀", " '")] * 3
        text = io.StringIO()
        csv.writer(text).writerows(rows)
        assert [row[2] for row in outcome(tmp_path, text.getvalue())] == rows


class TestInvalidRows:
    def test_a_row_with_too_few_or_too_many_cells_is_invalid_and_the_others_go_on(self, tmp_path):
        assert outcome(tmp_path, "1\n1,2\n1,2,3\n3,4\n") == [
            (1, 2, ("1",), "too_few_cells"),
            (2, 3, ("1", "2"), ""),
            (3, 4, ("1", "2", "3"), "too_many_cells"),
            (4, 5, ("3", "4"), ""),
        ]

    def test_people_are_told_how_many_cells_there_are_and_should_be(self, tmp_path):
        assert (
            records(write(tmp_path, "a,b\n1\n"))[0].error
            == "This row has 1 cell, but the file has 2 columns."
        )

    def test_a_nul_byte_makes_a_row_invalid(self, tmp_path):
        assert [row[3] for row in outcome(tmp_path, "1,2\n1,\0\n3,4\n")] == ["", "nul_byte", ""]

    def test_text_behind_a_closing_quote_is_not_repaired(self, tmp_path):
        assert outcome(tmp_path, '""x",1\n2,3\n') == [
            (1, 2, ('""x",1',), "stray_quote"),
            (2, 3, ("2", "3"), ""),
        ]

    def test_a_field_of_a_million_characters_is_valid_and_one_more_is_not(self, tmp_path):
        body = "x" * 1_000_000 + ",1\n" + "y" * 1_000_001 + ",2\n3,4\n"
        assert [row[3] for row in outcome(tmp_path, body)] == ["", "field_too_long", ""]

    def test_a_limit_that_other_code_has_set_does_not_matter(self, tmp_path):
        csv.field_size_limit(10)
        assert [row[3] for row in outcome(tmp_path, "a long value indeed,1\n")] == [""]

    def test_a_line_beyond_the_limit_is_cut_and_the_next_one_read(self, tmp_path):
        found = outcome(tmp_path, "1,2\n" + "x," * 3_000_000 + "\r\n3,4\n")
        assert [row[3] for row in found] == ["", "line_too_long", ""]
        assert (len(found[1][2][0]), found[2][:3]) == (1000, (3, 4, ("3", "4")))

    def test_the_header_in_the_middle_of_a_file_is_no_row(self, tmp_path):
        assert [row[3] for row in outcome(tmp_path, "1,2\na,b\n3,4\n")] == ["", "repeated_header", ""]

    def test_a_value_may_be_equal_to_the_only_name(self, tmp_path):
        path = write(tmp_path, "a\na\n")
        assert [record.code for record in records(path, Dialect(columns=1))] == [""]


class TestAnUnclosedQuote:
    def test_it_costs_its_line_and_not_the_rest_of_the_file(self, tmp_path):
        # Given a quote that is never closed, with many good rows behind it
        body = '1,"open\n' + "2,3\n" * 5000
        # When the file is read
        found = outcome(tmp_path, body)
        # Then one row is invalid, and every row behind it is there
        assert (len(found), found[0]) == (5001, (1, 2, ('1,"open',), "unclosed_quote"))
        assert {row[3] for row in found[1:]} == {""}

    def test_it_costs_its_line_when_a_later_row_closes_it_by_chance(self, tmp_path):
        # The quote runs to the next quoted cell, and makes a row of three cells of it.
        found = outcome(tmp_path, '1,"open\n2,3\nx,",4\n5,6\n')
        assert [(row[1], row[3]) for row in found] == [
            (2, "unclosed_quote"),
            (3, ""),
            (4, "unclosed_quote"),
            (5, ""),
        ]

    def test_it_costs_its_line_when_it_runs_past_the_field_limit(self, tmp_path):
        found = outcome(tmp_path, '1,"open\n' + "2,3\n" * 300_000 + '4,"closed"\n')
        assert sum(row[3] != "" for row in found) == 1
        assert len(found) == 300_002

    def test_it_costs_its_line_when_many_cells_hide_the_field_limit(self, tmp_path, monkeypatch):
        monkeypatch.setattr(parsing_module, "ROW_LIMIT", 50)
        found = outcome(tmp_path, '1,"open\n' + '2,""\n' * 30)
        assert [row[3] for row in found] == ["unclosed_quote"] + [""] * 30

    @pytest.mark.parametrize("block", [1, 65_536])
    def test_a_row_of_several_lines_beyond_the_limit_is_invalid_however_it_is_read(
        self, tmp_path, monkeypatch, block
    ):
        # Given a limit, and a row of several lines that is well closed, but only after the limit
        monkeypatch.setattr(parsing_module, "ROW_LIMIT", 50)
        monkeypatch.setattr(records_module, "BLOCK", block)
        # When it is read, in one block or in many
        found = outcome(tmp_path, '"' + "0123456789\n" * 6 + '",1\n2,3\n')
        # Then it is invalid, and reading goes on in its second line
        assert [(row[1], row[3]) for row in found] == [
            (2, "unclosed_quote"),
            *((line, "too_few_cells") for line in range(3, 8)),
            (8, "unclosed_quote"),
            (9, ""),
        ]

    def test_a_row_of_several_lines_with_too_many_cells_is_one_invalid_row(self, tmp_path):
        found = outcome(tmp_path, '"two\nlines",1,2\n3,4\n')
        assert [(row[1], row[3]) for row in found] == [(2, "too_many_cells"), (4, "")]


class TestPositions:
    @settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(body=FILES, escape=st.sampled_from(["", "\\"]), block=st.sampled_from([1, 3, 16, 65_536]))
    @example(body='1,"é\r\n2"\r3,4\n\r\n😀,5', escape="", block=1)
    def test_reading_from_any_position_gives_the_rest_of_an_undisturbed_reading(
        self, tmp_path, monkeypatch, body, escape, block
    ):
        # Given any file, read at once
        path, dialect = write(tmp_path, "a,b\n" + body), Dialect(columns=2, escape=escape)
        whole = list(read_records(path, dialect, 2))
        with monkeypatch.context() as patched:
            patched.setattr(records_module, "BLOCK", block)
            # When it is read in other blocks, and again from each position
            # Then the rows and positions are the same
            assert list(read_records(path, dialect, 2)) == whole
            for at, (_, position) in enumerate(whole, start=1):
                assert list(read_records(path, dialect, 2, position)) == whole[at:]

    @settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(body=FILES, limit=st.integers(1, 4), row_limit=st.sampled_from([12, 4 * 1024 * 1024]))
    def test_chunks_put_together_are_the_whole(self, tmp_path, monkeypatch, body, limit, row_limit):
        path = write(tmp_path, "a,b\n" + body)
        with monkeypatch.context() as patched:
            # Rows over the limit are cut off wherever a block ends
            for module in (lines_module, parsing_module):
                patched.setattr(module, "ROW_LIMIT", row_limit)
            patched.setattr(parsing_module, "KEPT_OF_LONG_ROW", 2)
            patched.setattr(records_module, "CHUNK_BLOCK", 5)
            whole = list(read_records(path, FEED, 2))
            found: list[Record] = []
            position = None
            while True:
                chunk, position = read_chunk(path, FEED, 2, position, limit)
                if not chunk:
                    break
                assert len(chunk) <= limit
                found += chunk
                assert position == whole[len(found) - 1][1]
        assert found == [record for record, _ in whole]

    def test_a_position_is_the_byte_where_the_next_record_begins(self, tmp_path):
        path = write(tmp_path, 'a,b\r\né,"x\ny"\r\n3,4')
        assert [position for _, position in read_records(path, FEED, 2)] == [
            Position(byte=15, row=1, line=3),
            Position(byte=18, row=2, line=4),
        ]

    def test_a_position_survives_json(self):
        position = Position(byte=5, row=2, line=3)
        assert Position.from_json(position.to_json()) == position

    def test_a_chunk_of_long_rows_ends_early_and_the_next_goes_on(self, tmp_path, monkeypatch):
        monkeypatch.setattr(records_module, "CHUNK_BYTES", 1000)
        path = write(tmp_path, "a,b\n" + ("x" * 400 + ",1\n") * 100)
        chunk, position = read_chunk(path, FEED, 2, None, 1000)
        assert 0 < len(chunk) < 100
        assert records(path, start=position)[0].number == len(chunk) + 1

    def test_the_end_is_an_empty_chunk_at_the_same_position(self, tmp_path):
        path = write(tmp_path, "a,b\n1,2\n\n")
        _, position = read_chunk(path, FEED, 2, None, 10)
        assert read_chunk(path, FEED, 2, position, 10) == ([], position)


class TestHeader:
    @pytest.mark.parametrize(
        ("header", "names"),
        [
            ("a,b", ("a", "b")),
            (" a , b  c ", ("a", "b c")),
            (",b", ("column_1", "b")),
            ("a,a", ("a", "a_2")),
            ("a,a_2,a", ("a", "a_2", "a_3")),
            ("column_2,", ("column_2", "column_2_2")),
            ('"two\nlines",b', ("two lines", "b")),
        ],
    )
    def test_names_are_made_unique_and_never_empty(self, tmp_path, header, names):
        assert read_header(write(tmp_path, header + "\n1,2\n"), Dialect()) == names

    def test_without_a_header_the_first_row_gives_the_number_of_columns(self, tmp_path):
        path = write(tmp_path, "1,2,3\n")
        assert read_header(path, Dialect(has_header=False)) == ("column_1", "column_2", "column_3")

    def test_a_header_with_a_broken_quote_is_told(self, tmp_path):
        with pytest.raises(Unreadable, match="line 1 cannot be read") as caught:
            read_header(write(tmp_path, '"a"x,b\n1,2\n'), Dialect())
        assert caught.value.code == "bad_header"


class TestSurvey:
    def test_it_counts_rows_and_invalid_ones_and_shows_each_to_whoever_looks(self, tmp_path):
        seen: list[Record] = []
        found = survey(write(tmp_path, "a,b\n" + "1,2\n1\n" * 150), FEED, look=seen.extend)
        assert found == (300, 150)
        assert [(record.number, record.code) for record in seen[:2]] == [(1, ""), (2, "too_few_cells")]
        assert len(seen) == 300

    def test_a_header_without_rows_is_rejected(self, tmp_path):
        with pytest.raises(Unreadable, match="has a header but no rows") as caught:
            survey(write(tmp_path, "a,b\n\n"), FEED)
        assert caught.value.code == "header_only"

    def test_progress_is_told_at_least_once_per_megabyte(self, tmp_path):
        calls: list[int] = []
        path = write(tmp_path, "a,b\n" + f"1,{'x' * 97}\n" * 100_000)
        survey(path, FEED, progress=lambda: calls.append(1))
        assert len(calls) >= path.stat().st_size // (1024 * 1024 + lines_module.BLOCK)

    def test_a_file_that_is_not_utf8_is_told(self, tmp_path):
        path = tmp_path / "feed.csv"
        path.write_bytes("a,b\nMüller,2\n".encode("cp1252"))
        with pytest.raises(Unreadable) as caught:
            survey(path, FEED)
        assert caught.value.code == "wrong_encoding"
