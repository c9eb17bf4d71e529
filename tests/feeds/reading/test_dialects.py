"""Real-life files: what stands between cells, around them and before the rows."""

import contextlib
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from feeds.reading import Dialect, Record, Unreadable, detect_dialect, read_header, read_records, survey


def write(folder: Path, text: str) -> Path:
    path = folder / "feed.csv"
    path.write_bytes(text.encode())
    return path


def read(path: Path, dialect: Dialect) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    columns = read_header(path, dialect)
    return columns, [r.cells for r, _ in read_records(path, dialect, len(columns)) if not r.code]


def invalid(path: Path, dialect: Dialect) -> list[Record]:
    records = read_records(path, dialect, len(read_header(path, dialect)))
    return [record for record, _ in records if record.code]


SHAPES = {
    "plain commas": (
        "sku,name,price\nA1,Boots,9.90\nA2,Socks,3.50\n",
        ("sku", "name", "price"),
        ("A1", "Boots", "9.90"),
    ),
    "e-mail addresses": (
        "email\nanna@shop.example\nbob@shop.example\ncleo@mail.example\n",
        ("email",),
        ("anna@shop.example",),
    ),
    "e-mail addresses without a header": (
        "anna@shop.example,1\nbob@shop.example,2\n",
        ("column_1", "column_2"),
        ("anna@shop.example", "1"),
    ),
    "decimal commas between semicolons": (
        "sku;preis;gewicht\nA1;9,90;1,5\nA2;3,50;0,2\nA3;1,00;10,0\n",
        ("sku", "preis", "gewicht"),
        ("A1", "9,90", "1,5"),
    ),
    "a decimal comma in each row of two columns": (
        "preis;menge\n9,90;1\n3,50;2\n1,00;7\n",
        ("preis", "menge"),
        ("9,90", "1"),
    ),
    "decimal commas in one column": ("preis\n" + "9,90\n3,50\n12,00\n" * 20, ("preis",), ("9,90",)),
    "a comma in the text between semicolons": (
        "sku;name;stock\nA1;Boots, red;3\nA2;Socks, blue, warm;4\nA3;Hat;5\n",
        ("sku", "name", "stock"),
        ("A1", "Boots, red", "3"),
    ),
    "semicolons in the text between commas": (
        "sku,tags,stock\nA1,red;warm,3\nA2,blue;cold,4\nA3,red;cold,5\n",
        ("sku", "tags", "stock"),
        ("A1", "red;warm", "3"),
    ),
    "lists in a column": (
        "sku,tags\n" + "".join(f"A{n},red|warm|new|soft\n" for n in range(30)),
        ("sku", "tags"),
        ("A0", "red|warm|new|soft"),
    ),
    "a bank's statement": (
        '"Konto:";"DE89 3704";\n\n"Von:";"01.01.2024";\n\n"Buchungstag";"Auftraggeber";"Zweck";"Betrag"\n'
        '"02.01.2024";"ACME";"Rechnung 1, 2; danke";"-12,50"\n"03.01.2024";"Maier";"Miete";"-800,00"\n',
        ("Buchungstag", "Auftraggeber", "Zweck", "Betrag"),
        ("02.01.2024", "ACME", "Rechnung 1, 2; danke", "-12,50"),
    ),
    "one cell between apostrophes": (
        "sku,name\n" + "A1,'Abd'\n" + "A2,Hat\n" * 5,
        ("sku", "name"),
        ("A1", "'Abd'"),
    ),
    "HTML in quoted cells": (
        'handle,body,tags\nshirt,"<p>Nice, ""soft""</p>\n<p>2; lines</p>","a, b"\nhat,<p>Plain</p>,\n',
        ("handle", "body", "tags"),
        ("shirt", '<p>Nice, "soft"</p>\n<p>2; lines</p>', "a, b"),
    ),
    "dates and times": (
        "day,from,to\n2024-01-31,08:00,16:30\n2024-02-01,08:15,17:00\n",
        ("day", "from", "to"),
        ("2024-01-31", "08:00", "16:30"),
    ),
    "one column of dates with times": (
        "created\n2024-01-31 08:00:00\n2024-02-01 09:30:00\n",
        ("created",),
        ("2024-01-31 08:00:00",),
    ),
    "one column of addresses with commas": (
        "address\nMain St 5, Berlin\nHigh St 7, London\nRue X 1, Paris\n",
        ("address",),
        ("Main St 5, Berlin",),
    ),
    "one column of sentences": (
        "text\nHello there.\nHow are you, and where?\nFine.\n",
        ("text",),
        ("Hello there.",),
    ),
    "one column of quoted cells": ('name\n"Miller, Anna"\n"Smith, Bob"\n', ("name",), ("Miller, Anna",)),
    "JSON in quoted cells": (
        'id,data\n1,"{""a"": 1, ""b"": [1,2]}"\n2,"{""a"": 2, ""b"": [3]}"\n',
        ("id", "data"),
        ("1", '{"a": 1, "b": [1,2]}'),
    ),
    "JSON with escaped quotes": (
        'id,data\n1,"{\\"a\\": 1, \\"b\\": 2}"\n2,"{\\"a\\": 2, \\"b\\": 3}"\n',
        ("id", "data"),
        ("1", '{"a": 1, "b": 2}'),
    ),
    "tabs, and quotes that quote nothing": (
        'sku\tname\tsize\nA1\t"Big" pipe\t5"\nA2\tHose 3/4"\t3\nA3\t"Small" pipe\t1\n',
        ("sku", "name", "size"),
        ("A1", '"Big" pipe', '5"'),
    ),
    "pipes": ("a|b|c\n1|x, y|3\n2|z, w|4\n", ("a", "b", "c"), ("1", "x, y", "3")),
    "a comma and a space": (
        'name, city, note\nAnna, Berlin, "likes a, b"\nBob, Bonn, none\n',
        ("name", "city", "note"),
        ("Anna", "Berlin", "likes a, b"),
    ),
    "spaces between numbers": ("x y z\n1 2 3\n4 5 6\n", ("x", "y", "z"), ("1", "2", "3")),
    "empty columns at the end": (
        "a,b,,\n1,2,,\n3,4,,\n",
        ("a", "b", "column_3", "column_4"),
        ("1", "2", "", ""),
    ),
    "Excel's separator line": ("sep=;\r\na;b\r\n1;2,5\r\n3;4,5\r\n", ("a", "b"), ("1", "2,5")),
    "a title and an empty line before the header": (
        "Stock report of 31 January\n\nsku,name,stock\nA1,Boots,3\nA2,Socks,4\n",
        ("sku", "name", "stock"),
        ("A1", "Boots", "3"),
    ),
    "a preamble of key and value": (
        "Shop,North\nDay,2024-01-31\nsku,name,stock,price\nA1,Boots,3,1.50\nA2,Socks,4,2.50\nA3,Hat,4,2.50\n",
        ("sku", "name", "stock", "price"),
        ("A1", "Boots", "3", "1.50"),
    ),
    "no header": (
        "A1,Boots,3\nA2,Socks,4\nA3,Hat,5\n",
        ("column_1", "column_2", "column_3"),
        ("A1", "Boots", "3"),
    ),
    "text only, with a header": ("name,city\nAnna,Berlin\nBob,Bonn\n", ("name", "city"), ("Anna", "Berlin")),
    "two header rows": (
        "item,price,price\ncode,net,gross\nA1,1.00,1.19\nA2,2.00,2.38\nA3,3.00,3.57\n",
        ("item code", "price net", "price gross"),
        ("A1", "1.00", "1.19"),
    ),
    "single quotes": (
        "sku,name\nA1,'Boots, red'\nA2,'Socks, blue'\nA3,'Hat, tall'\n",
        ("sku", "name"),
        ("A1", "Boots, red"),
    ),
    "apostrophes that quote nothing": (
        "sku,name\nA1,'Tis a hat\nA2,Men's boots\nA3,Kids' socks\n",
        ("sku", "name"),
        ("A1", "'Tis a hat"),
    ),
    "Windows paths": (
        "id,path\n1,C:\\temp\\new\n2,D:\\data\\\n",
        ("id", "path"),
        ("1", "C:\\temp\\new"),
    ),
    "one row": ("sku,name,price\nA1,Boots,9.90\n", ("sku", "name", "price"), ("A1", "Boots", "9.90")),
    "lone carriage returns": ("a,b\r1,2\r3,4\r", ("a", "b"), ("1", "2")),
    "line breaks in cells": (
        'id,note\r\n1,"two\r\nlines"\r\n2,one\r\n',
        ("id", "note"),
        ("1", "two\r\nlines"),
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_file_of_this_shape_is_read_as_a_person_would(tmp_path, shape):
    # Given a file as people make them
    text, columns, first = SHAPES[shape]
    path = write(tmp_path, text)
    # When nobody says how it is written
    dialect = detect_dialect(path)
    # Then its columns have their names, and no row is shifted, lost or invalid
    found, rows = read(path, dialect)
    assert (found, rows[0]) == (columns, first)
    assert survey(path, dialect).invalid == 0


def test_a_dialect_survives_json(tmp_path):
    dialect = detect_dialect(write(tmp_path, "Title\na;b\n1;2\n3;4\n"))
    assert Dialect.from_json(dialect.to_json()) == dialect
    assert (dialect.preamble, dialect.delimiter, dialect.columns) == (1, ";", 2)


def test_names_that_a_later_version_stored_are_ignored():
    assert Dialect.from_json({"delimiter": "|", "colour": "red"}) == Dialect(delimiter="|")


def test_what_a_person_says_is_not_doubted(tmp_path):
    # Given a file that is best read with commas
    path = write(tmp_path, "a,b;c\n1,2;3\n4,5;6\n")
    # When a person says otherwise
    dialect = detect_dialect(path, delimiter=";", has_header=False, preamble=1, encoding="cp1250")
    # Then so it is
    assert read(path, dialect) == (("column_1", "column_2"), [("1,2", "3"), ("4,5", "6")])
    assert dialect.encoding == "cp1250"


def test_a_person_may_say_that_the_first_line_is_the_header(tmp_path):
    path = write(tmp_path, "2022,2023\n1,2\n3,4\n")
    assert not detect_dialect(path).has_header
    assert read(path, detect_dialect(path, has_header=True))[0] == ("2022", "2023")


@pytest.mark.parametrize("wrong", [{"delimiter": "ab"}, {"delimiter": "\n"}, {"quote": "''"}, {"quote": ","}])
def test_a_delimiter_or_quote_that_cannot_be_one_is_refused(wrong):
    with pytest.raises(ValueError, match="Delimiter, quote and escape"):
        Dialect(**wrong)


@pytest.mark.parametrize("sign", ['"', "'", "\\", "\0"])
def test_a_hint_at_a_sign_that_cannot_be_the_delimiter_is_no_hint(tmp_path, sign):
    path = write(tmp_path, f"sep={sign}\nsku,name\nA1,''a''\nA2," + r"\"b" + "\n")
    with contextlib.suppress(Unreadable):
        assert detect_dialect(path).delimiter != sign


PIECES = [*"\"',;|\t \n\r\\a1\0\x1f\u2028{[<", "\r\n", "sep=", "2024-01-01"]


@given(
    st.lists(st.sampled_from(PIECES), max_size=40),
    st.fixed_dictionaries(
        {},
        optional={
            "delimiter": st.sampled_from(",;\t|"),
            "preamble": st.sampled_from([0, 1, 5]),
            "has_header": st.booleans(),
        },
    ),
)
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(['sep="', "\n", "a"], {})
def test_whatever_a_file_holds_and_a_person_says_it_is_read_or_told(tmp_path, pieces, said):
    path = write(tmp_path, "".join(pieces))
    try:
        dialect = detect_dialect(path, **said)
        columns = read_header(path, dialect)
        found = survey(path, dialect)
    except Unreadable:
        return
    assert len(list(read_records(path, dialect, len(columns)))) == found.total


@pytest.mark.parametrize("broken", ['3,"4', '"3,4', '3,"x"4'])
def test_one_broken_quote_in_a_small_file_is_an_invalid_row_and_no_other_dialect(tmp_path, broken):
    path = write(tmp_path, f"a,b\n1,2\n{broken}\n5,6\n")
    dialect = detect_dialect(path)
    assert survey(path, dialect) == (3, 1)
    assert [row.line for row in invalid(path, dialect)] == [3]


def test_a_damaged_header_becomes_an_invalid_row_and_no_name_is_guessed(tmp_path):
    # Given a header with a separator too few
    path = write(tmp_path, "skuname,stock\nA1,Boots,3\nA2,Socks,4\nA3,Hat,5\n")
    # When it is read
    dialect = detect_dialect(path)
    # Then people see the line that is wrong, and no value gets another column's name
    assert read_header(path, dialect) == ("column_1", "column_2", "column_3")
    assert [(row.line, row.code) for row in invalid(path, dialect)] == [(1, "too_few_cells")]


def test_a_damaged_header_over_text_does_not_make_the_first_row_the_header(tmp_path):
    path = write(tmp_path, "namecity,note\nAnna,Berlin,old\nBob,Bonn,new\n")
    assert survey(path, detect_dialect(path)).total == 3


def test_names_without_text_are_left_out_when_the_others_fit_the_rows(tmp_path):
    path = write(tmp_path, "sku,stock,,\nA1,3\nA2,4\n")
    assert read(path, detect_dialect(path)) == (("sku", "stock"), [("A1", "3"), ("A2", "4")])


def test_a_ragged_file_is_read_in_its_most_frequent_width(tmp_path):
    path = write(tmp_path, "a,b,c\n1,2,3\n1,2\n4,5,6\n1,2,3,4\n7,8,9\n")
    found = survey(path, detect_dialect(path))
    assert (found.total, found.invalid) == (5, 2)


def test_a_file_in_which_every_line_is_different_has_no_dialect(tmp_path):
    path = write(
        tmp_path, "".join(",".join("abcdefghij"[: n % 10 + 1]) + ";x" * (n % 7) + "\n" for n in range(70))
    )
    with pytest.raises(Unreadable) as caught:
        detect_dialect(path)
    assert caught.value.code == "no_dialect"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("<!DOCTYPE html>\n<html><body>Not found</body></html>", "an HTML page"),
        ('<?xml version="1.0"?><a/>', "an XML file"),
        ('[{"sku": "A1", "price": 1}]', "a JSON file"),
        ('{"sku": "A1"}\n{"sku": "A2"}\n', "a JSON file"),
    ],
)
def test_text_in_another_format_is_named(tmp_path, text, name):
    with pytest.raises(Unreadable, match=name) as caught:
        detect_dialect(write(tmp_path, text))
    assert caught.value.code == "not_csv"


@pytest.mark.parametrize("header", ["[id];[name]", "<name>,<city>"])
def test_brackets_around_names_are_no_other_format(tmp_path, header):
    assert detect_dialect(write(tmp_path, header + "\n1;x\n2;y\n"))


@pytest.mark.parametrize("text", ["", "\n", "\r\n  \r\n"])
def test_a_file_without_text_is_empty(tmp_path, text):
    with pytest.raises(Unreadable) as caught:
        detect_dialect(write(tmp_path, text))
    assert (caught.value.code, str(caught.value)) == ("empty", "The file is empty.")


def test_a_thousand_columns_are_read_and_one_more_is_too_many(tmp_path):
    def wide(columns: int) -> Path:
        return write(tmp_path, "\n".join(",".join(f"{row}{n}" for n in range(columns)) for row in "xyz"))

    assert detect_dialect(wide(1000)).columns == 1000
    with pytest.raises(Unreadable, match="more than 1,000 columns") as caught:
        detect_dialect(wide(1001))
    assert caught.value.code == "too_many_columns"


def test_the_dialect_is_found_though_the_first_row_is_longer_than_the_sample(tmp_path):
    path = write(tmp_path, 'id;note\n1;"' + "long; text, " * 30_000 + '"\n2;short\n3;short\n')
    dialect = detect_dialect(path)
    assert (dialect.delimiter, survey(path, dialect).invalid) == (";", 0)


@pytest.mark.parametrize(
    "text",
    [
        "a,b\n" + ",'x" * 50_000 + "\n1,2\n",
        "a,b\n" + ("1" * 1900 + "x,2\n") * 60,
        "a,b\n" + ("<a " * 30_000) + "\n1,2\n",
        "a,b\n" + '"",' * 40_000 + "\n1,2\n",
        "\n".join(",".join("1234" for _ in range(900)) for _ in range(900)),
        "a,b\n" + '"x\n' * 40_000,
    ],
    ids=["apostrophes", "long numbers", "brackets", "quotes", "wide", "open quotes"],
)
def test_no_file_keeps_the_detection_busy(tmp_path, text):
    path = write(tmp_path, text)
    before = time.process_time()
    with contextlib.suppress(Unreadable):
        detect_dialect(path)
    assert time.process_time() - before < 5
