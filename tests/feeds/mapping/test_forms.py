"""Bodies that are not JSON: forms, and none at all."""

from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feeds.mapping import Mapping, MappingError, RowError

FORM = "application/x-www-form-urlencoded"


def test_all_columns_can_be_sent_as_a_form():
    made = Mapping.parse({"content_type": "form"}).bind(["a", "b c"]).render(["1&2", "ü\r\n"])

    assert made.content_type == FORM
    assert made.body == b"a=1%262&b+c=%C3%BC%0D%0A"


def test_the_fields_of_a_form_have_types_and_lists_repeat_their_name():
    document = {
        "content_type": "form",
        "fields": [
            {"column": "p", "to": "price.amount", "type": "number", "decimal": ","},
            {"column": "y", "type": "yes/no", "empty": "omit"},
            {"column": "t", "to": "tag", "type": "list", "by": ";"},
            {"constant": True, "to": "live"},
            {"constant": "a b", "to": "c"},
        ],
    }
    bound = Mapping.parse(document).bind(["p", "y", "t"])

    assert bound.render(["1,5", "no", "a;b"]).body == b"price.amount=1.5&y=false&tag=a&tag=b&live=true&c=a+b"
    assert bound.render(["", "", ""]).body == b"price.amount=&live=true&c=a+b"


def test_a_required_list_in_a_form_refuses_an_empty_cell():
    field = {"column": "t", "type": "list", "by": ";", "required": True}
    bound = Mapping.parse({"content_type": "form", "fields": [field]}).bind(["t"])

    with pytest.raises(RowError):
        bound.render([" "])


@pytest.mark.parametrize("empty", ["", " "])
def test_a_required_field_of_a_type_that_may_be_left_out_is_not_left_out(empty):
    document = {
        "content_type": "form",
        "types": {"maybe": {"type": "number", "empty": "omit"}},
        "fields": [{"column": "a", "type": "maybe"}, {"column": "b", "type": "maybe", "required": True}],
    }
    bound = Mapping.parse(document).bind(["a", "b"])

    assert bound.render([empty, "1"]).body == b"b=1"
    with pytest.raises(RowError) as caught:
        bound.render(["1", empty])
    assert (caught.value.code, caught.value.column) == ("missing_value", "b")


def test_a_lone_surrogate_in_a_form_makes_the_row_invalid():
    with pytest.raises(RowError) as caught:
        Mapping.parse({"content_type": "form"}).bind(["a"]).render(["\udfff"])

    assert caught.value.code == "not_text"


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=3, max_size=3))
def test_any_cells_come_out_of_a_form_as_they_went_in(cells):
    bound = Mapping.parse({"content_type": "form"}).bind(["a", "b", "c"])

    body = bound.render(cells).body.decode("ascii")

    assert parse_qsl(body, keep_blank_values=True) == list(zip("abc", cells, strict=True))


@pytest.mark.parametrize(
    "field",
    [
        {"constant": None, "to": "a"},
        {"constant": [1], "to": "a"},
        {"constant": {}, "to": "a"},
        {"column": "x", "empty": "null"},
        {"column": "b"},
    ],
)
def test_what_a_form_cannot_hold_is_refused(field):
    with pytest.raises(MappingError, match=r"^fields\[1\]"):
        Mapping.parse({"content_type": "form", "fields": ["b", field]})


def test_a_form_has_no_template():
    with pytest.raises(MappingError, match="A form cannot have a JSON body"):
        Mapping.parse({"content_type": "form", "body": {}})


@pytest.mark.parametrize("document", [{"method": "GET"}, {"method": "DELETE"}, {"content_type": "none"}])
def test_a_request_can_have_no_body(document):
    made = Mapping.parse(document).bind(["a"]).render(["1"])

    assert (made.body, made.content_type) == (b"", "")


def test_a_delete_may_have_a_body_when_it_is_asked_for():
    made = Mapping.parse({"method": "DELETE", "content_type": "json"}).bind(["a"]).render(["1"])

    assert (made.method, made.body) == ("DELETE", b'{"a":"1"}')


@pytest.mark.parametrize(
    "more", [{"fields": ["a"]}, {"body": {}}, {"content_type": "json"}, {"content_type": "form"}]
)
def test_a_get_has_no_body_whoever_named_the_method(more):
    with pytest.raises(MappingError, match="A GET request has no body"):
        Mapping.parse({"method": "GET", **more})
    with pytest.raises(MappingError, match="A GET request has no body"):
        Mapping.parse(more).bind(["a"], default_method="GET")


def test_no_body_and_fields_contradict_each_other():
    with pytest.raises(MappingError, match='content_type is "none"'):
        Mapping.parse({"content_type": "none", "fields": ["a"]})
