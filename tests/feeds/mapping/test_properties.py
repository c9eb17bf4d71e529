"""What must hold for whatever a cell may contain."""

import json
from urllib.parse import unquote, urlsplit

import orjson
from hypothesis import example, given, settings
from hypothesis import strategies as st

from feeds.mapping import DEFAULT, Mapping, MappingError, RowError

CELL = st.text() | st.text(st.sampled_from('"\\{}[],:/.?#%&=\r\n\t\x00\u2028\ud800\udfff é'), max_size=12)
CODES = {"missing_value", "bad_path_segment", "path_too_long", "not_text"}

TREE = Mapping.parse(
    {"body": {"alone": "{a}", "within": "<{a}|{b}>", "deep": [{"x": ["{b}"]}, "{{a}}"], "typed": "{a|text}"}}
).bind(["a", "b"])
FIELDS = Mapping.parse({"fields": {"a": "x.y", "b": {"to": "x.z", "empty": "null"}}}).bind(["a", "b"])
PATH = Mapping.parse(
    {"path": "/v1/{a}/items/{a}{b}/x-{b}", "query": {"q": "{a}", "r": "1{b}"}, "content_type": "none"}
).bind(["a", "b"])


def is_text(*cells):
    return not any("\ud800" <= char <= "\udfff" for cell in cells for char in cell)


def attempt(bound, cells):
    """What a row becomes: a request, or the error of the row."""
    try:
        return bound.render(cells)
    except RowError as error:
        return error


@settings(deadline=None)
@given(CELL, CELL)
@example('","admin":true,"x":"', "\x00\r\n")
def test_any_cell_in_any_place_is_a_value_and_nothing_else(a, b):
    made = [attempt(bound, [a, b]) for bound in (TREE, FIELDS, DEFAULT.bind(["a", "b"]))]
    if not is_text(a, b):
        assert [error.code for error in made] == ["not_text"] * 3
        return
    tree, fields, default = [orjson.loads(request.body) for request in made]
    assert json.loads(made[0].body) == tree
    assert tree == {"alone": a, "within": f"<{a}|{b}>", "deep": [{"x": [b]}, "{a}"], "typed": a}
    assert fields == {"x": {"y": a, "z": b if b.strip() else None}}
    assert default == {"a": a, "b": b}


def test_cells_of_a_megabyte_come_out_whole():
    a, b = "\u2028" * 1_000_000, '"' * 1_000_000

    assert (json.loads(TREE.render([a, b]).body)["within"] == f"<{a}|{b}>") is True


@settings(deadline=None)
@given(CELL, CELL)
@example("..", ".")
@example("//evil.example", "?x#y")
@example("\r\nHost: evil.example", "%2e%2e%2f")
def test_no_cell_changes_host_or_structure_of_a_path(a, b):
    made = attempt(PATH, [a, b])
    if isinstance(made, RowError):
        assert made.code in CODES
        assert str(made).isprintable()
        assert not is_text(a, b) or not a.strip() or not b.strip() or a in (".", "..")
        return
    path = made.path
    parts = urlsplit(f"https://shop.example/base{path}")
    assert (parts.scheme, parts.netloc, parts.fragment) == ("https", "shop.example", "")
    segments = parts.path.split("/")
    assert [unquote(segment) for segment in segments] == ["", "base", "v1", a, "items", a + b, f"x-{b}"]
    assert not {".", ".."} & set(segments)
    assert [tuple(map(unquote, pair.split("="))) for pair in parts.query.split("&")] == [
        ("q", a),
        ("r", f"1{b}"),
    ]
    assert path.isascii()
    assert path.isprintable()
    assert " " not in path


KINDS = {"n": int | float, "i": int, "y": bool, "d": str, "l": list}


@settings(deadline=None)
@given(CELL | st.text("0123456789.,+-;yesno ", max_size=8))
def test_a_typed_cell_is_a_value_of_its_type_or_an_error_of_the_row(cell):
    document = {
        "fields": [
            {"column": "v", "to": "n", "type": "number", "decimal": ",", "thousands": "."},
            {"column": "v", "to": "i", "type": "integer"},
            {"column": "v", "to": "y", "type": "yes/no"},
            {"column": "v", "to": "d", "type": "date", "format": "D.M.YY"},
            {"column": "v", "to": "l", "type": "list", "by": ","},
        ]
    }
    for field in document["fields"]:
        bound = Mapping.parse({"fields": [field]}).bind(["v"])
        made = attempt(bound, [cell])
        if isinstance(made, RowError):
            assert made.column == "v"
            assert str(made).isprintable()
            continue
        value = json.loads(made.body)[field["to"]]
        assert isinstance(value, KINDS[field["to"]]) or (value == "" and not cell.strip())


@given(st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**30), max_value=10**30))
def test_any_number_in_german_spelling_comes_out_with_the_same_digits(number):
    spelling = f"{number:,.3f}".translate(str.maketrans(",.", ".,"))
    field = {"type": "number", "decimal": ",", "thousands": "."}
    bound = Mapping.parse({"fields": {"v": field}}).bind(["v"])

    assert bound.render([spelling]).body.decode() == f'{{"v":{number:.3f}}}'


@given(st.dates())
def test_any_date_in_german_spelling_comes_out_as_iso_8601(day):
    bound = Mapping.parse({"fields": {"v": {"type": "date", "format": "D.M.YYYY"}}}).bind(["v"])

    body = bound.render([f"{day.day}.{day.month}.{day.year:04}"]).body

    assert body.decode() == f'{{"v":"{day.isoformat()}"}}'


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(st.sampled_from("{}|a\ud800"), max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "column", "to"]), inner)
    ),
    max_leaves=6,
)
KEYS = ["version", "method", "path", "query", "content_type", "types", "fields", "body"]


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(KEYS), JSON) | JSON)
def test_any_document_is_either_a_mapping_or_refused_in_a_sentence(document):
    try:
        mapping = Mapping.parse(document)
    except MappingError:
        return
    assert Mapping.parse(mapping.document).columns == mapping.columns
