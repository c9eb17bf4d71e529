"""The document as a whole: read strictly, every complaint with its place."""

import json
import pickle
import re
from pathlib import Path

import pytest

from feeds.mapping import DEFAULT, Mapping, MappingError, RowError

GUIDE = Path(__file__).parents[3] / "docs/how-to/mapping.md"


def complaint(document, *, whole=True):
    with pytest.raises(MappingError) as caught:
        Mapping.parse(document)
    text = str(caught.value)
    assert not whole or text.endswith((".", "?"))
    assert "\n" not in text
    return text


def test_without_a_mapping_the_row_is_posted_as_a_json_object_of_its_columns():
    made = DEFAULT.bind(["sku", "Größe", ""]).render(["007", ' "x"', ""])

    assert (made.method, made.path, made.content_type) == ("POST", "", "application/json")
    assert json.loads(made.body) == {"sku": "007", "Größe": ' "x"', "": ""}


def test_the_destinations_method_stands_in_for_one_that_the_document_does_not_name():
    assert DEFAULT.bind(["a"], default_method="PUT").render(["1"]).method == "PUT"
    assert Mapping.parse({"method": "PATCH"}).bind(["a"], default_method="PUT").method == "PATCH"


def test_a_document_may_be_json_text():
    text = '{"version": 1, "method": "PUT"}'
    for document in (text, text.encode(), f"\ufeff{text}", f"\ufeff{text}".encode()):
        assert Mapping.parse(document).bind(["a"]).method == "PUT"


def test_a_stored_document_gives_the_same_mapping_and_is_nobody_elses():
    # Given
    numbers = [1]
    document = {"path": "/p/{a}", "fields": ["a", {"constant": numbers, "to": "c"}]}
    mapping = Mapping.parse(document)
    # When the caller goes on to change its own
    numbers.append(2)
    # Then
    again = Mapping.parse(json.loads(json.dumps(mapping.document)))
    assert again.bind(["a"]).render(["x"]) == mapping.bind(["a"]).render(["x"])
    assert b'"c":[1]' in mapping.bind(["a"]).render(["x"]).body


def test_a_mapping_lists_the_columns_that_it_names():
    document = {"path": "/{sku}", "query": {"q": "{shop}"}, "body": {"a": ["{name} {sku}", "{price|number}"]}}

    assert Mapping.parse(document).columns == ("sku", "shop", "name", "price")


@pytest.mark.parametrize("example", re.findall(r"```json\n(.*?)```", GUIDE.read_text(), re.DOTALL))
def test_every_example_of_the_guide_can_be_used(example):
    mapping = Mapping.parse(example)

    mapping.bind(mapping.columns)


def test_the_first_example_of_the_guide_gives_what_the_guide_says():
    example = re.findall(r"```json\n(.*?)```", GUIDE.read_text(), re.DOTALL)[0]

    made = Mapping.parse(example).bind(["sku", "name", "price"]).render(["00017", "Blue shirt", "1.234,50"])

    assert f"PUT https://shop.example/api{made.path}\n{made.body.decode()}\n" in GUIDE.read_text()


@pytest.mark.parametrize("code", ["wrong_cell_count", "not_text", "path_too_long", "bad_path_segment"])
def test_the_guide_names_the_codes(code):
    assert f"`{code}`" in GUIDE.read_text()


@pytest.mark.parametrize(
    ("document", "part"),
    [
        (None, "The mapping must be a JSON object, not null"),
        ([], "The mapping must be a JSON object, not a list"),
        ("[1", "The mapping is not valid JSON (line 1, column 3"),
        (b"\xff{}", "not UTF-8"),
        ('{"path": "a", "path": "b"}', 'the key "path" is given twice'),
        ({"feilds": []}, 'unknown key "feilds"; did you mean "fields"?'),
        ({"version": 2}, "version must be 1"),
        ({"version": True}, "version must be 1"),
        ({"version": "1"}, "version must be 1"),
        ({"method": "post"}, 'method must be one of POST, PUT, PATCH, DELETE, GET, not "post"'),
        ({"method": "GET\r\nX: y"}, "method must be one of"),
        ({"method": None}, "method must be one of POST, PUT, PATCH, DELETE, GET, not null"),
        ({"content_type": "text/xml"}, "content_type must be one of json, form, none"),
        ({"fields": ["a"], "body": {}}, "both fields and body"),
        ({"fields": []}, "at least one field"),
        ({"fields": "a"}, "fields must be an object or a list"),
        ({"fields": [1]}, "fields[0] must be a JSON object, not a number"),
        ({"fields": [{}]}, 'fields[0] needs either a "column" or a "constant"'),
        ({"fields": [{"column": "a", "constant": 1}]}, 'either a "column" or a "constant"'),
        ({"fields": [{"constant": 1}]}, "fields[0].to"),
        ({"fields": [{"constant": 1, "to": "a", "type": "number"}]}, '"type" has no meaning'),
        ({"fields": [{"column": " "}]}, "fields[0].column is empty"),
        ({"fields": [{"column": "a", "to": "x..y"}]}, "fields[0].to has an empty part"),
        ({"fields": [{"column": "a", "to": []}]}, "fields[0].to"),
        ({"fields": [{"column": "a", "to": 3}]}, "fields[0].to must be text"),
        ({"fields": {"a": {"column": "b"}}}, 'fields.a has an unknown key "column"'),
        ({"fields": {"a": 1}}, "fields.a must be a JSON object"),
        ({"fields": {"a": "x", "b": "x"}}, 'fields.b.to "x" is taken already'),
        ({"fields": {"a": "x", "b": "x.y"}}, 'fields.b.to "x.y" lies inside "x"'),
        ({"fields": {"a": "x.y", "b": "x"}}, 'fields.b.to "x" is an object already'),
        ({"fields": [{"constant": {}, "to": "x"}, {"column": "b", "to": "x.y"}]}, 'lies inside "x"'),
        ({"fields": {"a": "__proto__"}}, "__proto__"),
        ({"fields": {"a": "x.__proto__.y"}}, "__proto__"),
        ({"fields": ["__proto__"]}, "__proto__"),
        ({"fields": [{"constant": {"__proto__": 1}, "to": "x"}]}, "__proto__"),
        ({"fields": [{"constant": [{"__proto__": 1}], "to": "x"}]}, "__proto__"),
        ({"fields": {"a": ".".join("x" * 30)}}, "nested too deeply"),
        ({"fields": [f"c{i}" for i in range(1_001)]}, "at most 1000"),
        ({"fields": {"a": {"type": "float"}}}, "fields.a.type must be one of text, number"),
        ({"fields": {"a": {"type": []}}}, "fields.a.type must be one of"),
        ({"fields": {"a": {"decimal": ","}}}, 'fields.a.decimal is no option of the type "text"'),
        ({"fields": {"a": {"type": "number", "decimal": ",."}}}, "fields.a.decimal must be one sign"),
        ({"fields": {"a": {"type": "number", "decimal": ""}}}, "fields.a.decimal must be one sign"),
        ({"fields": {"a": {"type": "number", "decimal": "", "thousands": ","}}}, "decimal must be one sign"),
        ({"fields": {"a": {"type": "number", "decimal": "5"}}}, "fields.a.decimal must be one sign"),
        ({"fields": {"a": {"type": "number", "decimal": "-"}}}, "fields.a.decimal must be one sign"),
        ({"fields": {"a": {"type": "number", "thousands": "."}}}, "another one than thousands"),
        ({"fields": {"a": {"type": "yes/no", "yes": []}}}, "fields.a.yes must be a list"),
        ({"fields": {"a": {"type": "yes/no", "yes": ["ja", 1]}}}, "fields.a.yes[1] must be text"),
        ({"fields": {"a": {"type": "yes/no", "yes": ["NO"]}}}, '"no" both for yes and for no'),
        ({"fields": {"a": {"type": "date"}}}, "fields.a.format is empty"),
        ({"fields": {"a": {"type": "date", "format": "%d.%m.%Y"}}}, 'has a "%" that means nothing'),
        ({"fields": {"a": {"type": "date", "format": "dd.mm.yyyy"}}}, 'has a "d" that means nothing'),
        ({"fields": {"a": {"type": "date", "format": "DD.MM"}}}, "year, month and day once each"),
        ({"fields": {"a": {"type": "date", "format": "DD.MM.YYYY YY"}}}, "once each"),
        ({"fields": {"a": {"type": "date", "format": "DD.MM.YYYY mm"}}}, "without hours"),
        ({"fields": {"a": {"type": "date", "format": "YYYYMD"}}}, "needs a sign between"),
        ({"fields": {"a": {"type": "date", "format": "YYYYM-D"}}}, "needs a sign between YYYY and M"),
        ({"fields": {"a": {"type": "date", "format": "D-MYYYY"}}}, "needs a sign between M and YYYY"),
        ({"fields": {"a": {"type": "list"}}}, "fields.a.by must be the text that separates"),
        ({"fields": {"a": {"type": "list", "by": ""}}}, "fields.a.by must be the text"),
        ({"fields": {"a": {"type": "list", "by": ";", "of": {"type": "list", "by": ","}}}}, "a list again"),
        ({"fields": {"a": {"type": "list", "by": ";", "of": {"empty": "omit"}}}}, "empty items are left out"),
        ({"fields": {"a": {"empty": "skip"}}}, "fields.a.empty must be one of omit, null, text"),
        ({"fields": {"a": {"required": "yes"}}}, "fields.a.required must be true or false"),
        ({"fields": {"a": {"required": True, "empty": "omit"}}}, "take one"),
        ({"types": {"number": {}}}, "types.number needs another name"),
        ({"types": {"a|b": {}}}, "needs another name"),
        ({"types": {"x": {"type": "x"}}}, "types.x.type must be one of"),
        ({"types": []}, "types must be a JSON object"),
        ({"query": {"a": 1}}, "query.a must be text"),
        ({"query": ["a"]}, "query must be a JSON object"),
        ({"body": {1: 2}}, "plain JSON"),
        ({"body": {"a": {1, 2}}}, "plain JSON"),
        ({"body": {"a": "\ud800"}}, "plain JSON"),
        ({"body": {"a": float("inf")}}, "a number that JSON does not have"),
        ({"body": "x" * 300_000}, "too large"),
    ],
)
def test_a_document_that_cannot_be_used_is_refused_with_its_place(document, part):
    assert part in complaint(document)


def test_a_document_nested_without_end_is_refused():
    deep: dict[str, object] = {}
    for _ in range(100_000):
        deep = {"a": deep}
    endless: list[object] = []
    endless.append(endless)

    assert "nested too deeply" in complaint({"body": deep})
    assert "nested too deeply" in complaint({"fields": [{"constant": endless, "to": "x"}]})
    while deep:  # taken apart by hand: freeing it would go as deep
        deep = deep["a"]  # type: ignore[assignment]


@pytest.mark.parametrize("document", [{"body": {"a": "\0"}}, {"fields": {"\0": "a"}}, '{"path": "/\\u0000"}'])
def test_a_nul_character_which_not_every_database_stores_is_refused(document):
    assert "NUL" in complaint(document)
    assert Mapping.parse({"body": {"a": r"\u0000 \\u0000"}}), "these are no NUL, only what one is written as"


def test_a_complaint_can_be_shown_and_stored_whatever_the_document_holds():
    for key in ("a\r\nb\x00", "x" * 100_000, "\u202e"):
        text = complaint({"fields": {key: {"type": "date"}}}, whole=False)
        assert text.isprintable()
        assert len(text) < 1_100


def test_a_document_may_have_twenty_levels_and_no_more():
    def nested(levels):  # the document and its fields are two of them, the constant's field the third
        value: object = "x"
        for _ in range(levels - 3):
            value = [value]
        return {"fields": [{"constant": value, "to": "x"}]}

    assert Mapping.parse(nested(20))
    assert "nested too deeply: at most 20 levels" in complaint(nested(21))


def test_a_row_with_too_many_or_too_few_cells_is_never_rendered():
    bound = DEFAULT.bind(["a", "b"])

    for cells in ([], ["1"], ["1", "2", "3"]):
        with pytest.raises(RowError) as caught:
            bound.render(cells)
        assert caught.value.code == "wrong_cell_count"


def test_a_row_error_survives_pickling():
    error = pickle.loads(pickle.dumps(RowError("a", "not_a_number", "No.")))  # noqa: S301

    assert (error.column, error.code, str(error)) == ("a", "not_a_number", "No.")


def test_what_is_rendered_cannot_be_changed():
    made = DEFAULT.bind(["a"]).render(["1"])

    with pytest.raises(AttributeError):
        made.path = "//evil.example"  # type: ignore[misc]
