"""Fields: a column goes to a path, as a value of a type."""

import json
import tracemalloc

import pytest

from feeds.mapping import Mapping, RowError


def rendered(field, cell):
    """The JSON text of one field `v` for one cell."""
    bound = Mapping.parse({"fields": [{"column": "v", **field}]}).bind(["v"])
    return bound.render([cell]).body.decode()


def refused(field, cell):
    with pytest.raises(RowError) as caught:
        rendered(field, cell)
    return caught.value


def test_a_field_puts_a_column_at_its_path():
    # Given
    mapping = Mapping.parse({"fields": {"sku": "id", "price": "price.amount", "unit": "price.unit"}})
    # When
    body = mapping.bind(["unit", "price", "sku"]).render(["kg", "9.99", "007"]).body
    # Then
    assert body == b'{"id":"007","price":{"amount":"9.99","unit":"kg"}}'


def test_a_field_without_a_path_keeps_its_name_with_dots_and_all():
    bound = Mapping.parse({"fields": ["a.b", {"column": "c"}]}).bind(["a.b", "c"])

    assert json.loads(bound.render(["1", "2"]).body) == {"a.b": "1", "c": "2"}


def test_a_path_given_as_a_list_may_hold_dots():
    assert rendered({"to": ["x.y", "z"]}, "1") == '{"x.y":{"z":"1"}}'


def test_one_column_can_go_to_two_paths_and_constants_are_the_same_in_each_row():
    fields = [
        {"column": "name", "to": "title"},
        {"column": "name", "to": "meta.title"},
        {"constant": {"a": [1, None, "{name}"]}, "to": "fixed"},
    ]
    bound = Mapping.parse({"fields": fields}).bind(["name"])

    body = json.loads(bound.render(["Hat"]).body)

    assert body == {"title": "Hat", "meta": {"title": "Hat"}, "fixed": {"a": [1, None, "{name}"]}}


@pytest.mark.parametrize(
    ("options", "cell", "written"),
    [
        ({}, "12.50", "12.50"),
        ({}, "007", "7"),
        ({}, "000", "0"),
        ({}, "-0.5", "-0.5"),
        ({}, ".5", "0.5"),
        ({}, "-.5", "-0.5"),
        ({}, "+3", "3"),
        ({}, "\N{MINUS SIGN}3", "-3"),
        ({}, " 3\N{NO-BREAK SPACE}", "3"),
        ({}, "123456789012345678901234567890.123456789", "123456789012345678901234567890.123456789"),
        ({"decimal": ","}, "12,5", "12.5"),
        ({"decimal": ",", "thousands": "."}, "1.234.567,89", "1234567.89"),
        ({"decimal": ",", "thousands": "."}, "1234567,89", "1234567.89"),
        ({"decimal": ",", "thousands": "."}, "001.234", "1234"),
        ({"thousands": " "}, "1\N{NO-BREAK SPACE}234 567", "1234567"),
        ({"thousands": "'"}, "1'234\N{RIGHT SINGLE QUOTATION MARK}567.5", "1234567.5"),
    ],
)
def test_a_number_keeps_its_digits(options, cell, written):
    assert rendered({"type": "number", **options}, cell) == f'{{"v":{written}}}'


@pytest.mark.parametrize(
    ("options", "cell"),
    [
        ({}, "12,50"),
        ({}, "1,234.50"),
        ({}, "1e5"),
        ({}, "NaN"),
        ({}, "Infinity"),
        ({}, "0x10"),
        ({}, "12 EUR"),
        ({}, "5."),
        ({}, "."),
        ({}, "-"),
        ({}, "--5"),
        ({}, "5-"),
        ({}, "1_000"),
        ({}, "\N{ARABIC-INDIC DIGIT FIVE}"),
        ({}, "1\n2"),
        ({}, "1\x00"),
        ({}, "9" * 101),
        ({"decimal": ",", "thousands": "."}, "12.50"),
        ({"decimal": ",", "thousands": "."}, "1.2345"),
        ({"decimal": ",", "thousands": "."}, "1234.567"),
        ({"decimal": ",", "thousands": "."}, ".123"),
        ({"decimal": ",", "thousands": "."}, "1,234.5"),
    ],
)
def test_what_is_not_a_number_of_that_form_makes_the_row_invalid(options, cell):
    error = refused({"type": "number", **options}, cell)

    assert (error.column, error.code) == ("v", "not_a_number")


def test_an_integer_has_no_fraction():
    assert rendered({"type": "integer"}, "-0042") == '{"v":-42}'
    assert rendered({"type": "integer", "thousands": ","}, "1,234") == '{"v":1234}'
    assert refused({"type": "integer"}, "42.0").code == "not_an_integer"


@pytest.mark.parametrize(("cell", "value"), [("Yes", True), (" TRUE ", True), ("0", False), ("off", False)])
def test_yes_and_no_are_read_without_case_and_spaces(cell, value):
    assert json.loads(rendered({"type": "yes/no"}, cell)) == {"v": value}


def test_the_words_for_yes_and_no_can_be_named():
    field = {"type": "yes/no", "yes": ["Sí"], "no": ["no"]}

    assert rendered(field, "si") == '{"v":true}'
    assert rendered(field, "S Í") == '{"v":true}'
    assert rendered(field, "NO") == '{"v":false}'
    error = refused(field, "maybe")
    assert error.code == "not_yes_or_no"
    assert str(error) == 'The column "v" has "maybe", which is none of Sí, no.'


@pytest.mark.parametrize(
    ("form", "cell", "written"),
    [
        ("DD.MM.YYYY", "24.12.2026", "2026-12-24"),
        ("D.M.YYYY", "4.2.2026", "2026-02-04"),
        ("D.M.YY", "24.12.68", "2068-12-24"),
        ("D.M.YY", "24.12.69", "1969-12-24"),
        ("YYYYMMDD", " 20260704 ", "2026-07-04"),
        ("MM/DD/YYYY", "02/29/2024", "2024-02-29"),
        ("DD.MM.YYYY HH:mm", "24.12.2026 18:30", "2026-12-24T18:30:00"),
        ("D.M.YYYY H:mm:ss", "4.2.2026 8:05:09", "2026-02-04T08:05:09"),
        ("YYYY-MM-DDTHH", "2026-02-04T08", "2026-02-04T08:00:00"),
    ],
)
def test_a_date_of_the_stated_format_becomes_iso_8601(form, cell, written):
    assert rendered({"type": "date", "format": form}, cell) == f'{{"v":"{written}"}}'


@pytest.mark.parametrize(
    ("form", "cell"),
    [
        ("DD.MM.YYYY", "30.02.2026"),
        ("DD.MM.YYYY", "29.02.2025"),
        ("DD.MM.YYYY", "4.12.2026"),
        ("DD.MM.YYYY", "24.12.26"),
        ("DD.MM.YYYY", "24/12/2026"),
        ("DD.MM.YYYY", "24.12.2026 18:30"),
        ("DD.MM.YYYY", "24.12.0000"),
        ("DD.MM.YYYY", "W1.-1.2026"),
        ("DD.MM.YYYY", "\N{ARABIC-INDIC DIGIT TWO}4.12.2026"),
        ("DD.MM.YYYY HH:mm", "24.12.2026 24:00"),
        ("DD.MM.YYYY HH:mm", "24.12.2026 18:60"),
        ("D.M.YYYY", "00.1.2026"),
    ],
)
def test_what_is_no_date_of_that_format_makes_the_row_invalid(form, cell):
    assert refused({"type": "date", "format": form}, cell).code == "not_a_date"


def test_a_list_is_split_trimmed_and_without_empty_items():
    assert rendered({"type": "list", "by": ";"}, " red; ;blue ;") == '{"v":["red","blue"]}'
    assert rendered({"type": "list", "by": ";"}, " ") == '{"v":[]}'
    assert rendered({"type": "list", "by": ",", "of": "integer"}, "1, 02") == '{"v":[1,2]}'
    assert refused({"type": "list", "by": ",", "of": {"type": "integer"}}, "1,x").code == "not_an_integer"


@pytest.mark.parametrize("cell", ["", " ", "\t\r\n\N{NO-BREAK SPACE}"])
@pytest.mark.parametrize(
    "kind",
    [{"type": "number"}, {"type": "yes/no"}, {"type": "date", "format": "YYYYMMDD"}, {"type": "integer"}],
)
def test_an_empty_cell_becomes_what_the_field_says(kind, cell):
    assert rendered(kind, cell) == '{"v":""}'
    assert rendered({**kind, "empty": "text"}, cell) == '{"v":""}'
    assert rendered({**kind, "empty": "null"}, cell) == '{"v":null}'
    assert rendered({**kind, "empty": "omit"}, cell) == "{}"
    assert refused({**kind, "required": True}, cell).code == "missing_value"


def test_an_empty_text_can_be_kept_left_out_null_or_refused():
    assert rendered({}, "  ") == '{"v":"  "}'
    assert rendered({"empty": "omit"}, "  ") == "{}"
    assert rendered({"empty": "null"}, "") == '{"v":null}'
    assert rendered({"required": True}, "x") == '{"v":"x"}'
    assert refused({"required": True}, "").code == "missing_value"


def test_an_empty_list_can_be_left_out_or_refused():
    assert rendered({"type": "list", "by": ";", "empty": "omit"}, "") == "{}"
    assert refused({"type": "list", "by": ";", "required": True}, "").code == "missing_value"


def test_an_object_of_which_nothing_is_left_is_left_out():
    fields = [{"column": "a", "to": "x.y.a", "empty": "omit"}, {"column": "b", "to": "b"}]
    bound = Mapping.parse({"fields": fields}).bind(["a", "b"])

    assert bound.render(["", "1"]).body == b'{"b":"1"}'
    assert bound.render(["0", "1"]).body == b'{"x":{"y":{"a":"0"}},"b":"1"}'


def test_remembered_cells_do_not_grow_without_bound_and_errors_are_not_remembered():
    # Given more different dates than are remembered
    bound = Mapping.parse({"fields": {"v": {"type": "date", "format": "YYYYMMDD"}}}).bind(["v"])
    days = [
        f"{year}{month:02}{day:02}"
        for year in range(2000, 2020)
        for month in range(1, 13)
        for day in range(1, 29)
    ]

    # When all are rendered twice, with a bad one between
    for day in days * 2:
        expected = f'{{"v":"{day[:4]}-{day[4:6]}-{day[6:]}"}}'.encode()
        # Then each is right
        assert bound.render([day]).body == expected
    for _ in range(2):
        with pytest.raises(RowError):
            bound.render(["20260230"])


def test_long_blank_cells_are_not_kept_in_memory():
    field = {"type": "date", "format": "YYYYMMDD", "empty": "null"}
    bound = Mapping.parse({"fields": {"v": field}}).bind(["v"])

    tracemalloc.start()
    for length in range(1_000_000, 1_000_030):
        assert bound.render([" " * length]).body == b'{"v":null}'
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert kept < 2_000_000


def test_of_many_different_cells_not_all_are_kept_in_memory():
    bound = Mapping.parse({"fields": {"v": {"type": "date", "format": "D.M.YYYY"}}}).bind(["v"])
    days = [
        f"{day}.{month}.{year}"
        for year in range(1000, 1100)
        for month in range(1, 13)
        for day in range(1, 29)
    ]

    tracemalloc.start()
    for cell in days:
        bound.render([cell])
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert kept < 1_000_000


def test_the_sentence_of_an_error_quotes_the_value_cut_and_printable():
    error = refused({"type": "number"}, "a\r\n\x00\ud800" + "x" * 1_000_000)

    assert error.code == "not_a_number"
    assert len(str(error)) < 120
    assert str(error).isprintable()
    assert str(error).encode()
