"""How values are written on the pages."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feeds.templatetags.pages import ago, in_joints, pretty, roughly, said

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


def test_a_body_is_shown_with_each_number_as_it_is_sent() -> None:
    assert pretty('{"price":1.50,"id":12345678901234567890.10,"tags":[],"at":{"x":[1,2]}}') == (
        '{\n  "price": 1.50,\n  "id": 12345678901234567890.10,\n  "tags": [],\n'
        '  "at": {\n    "x": [\n      1,\n      2\n    ]\n  }\n}'
    )


@pytest.mark.parametrize("text", ["", "sku=1&price=2", "{not json", '{"a": 1', "[" * 5000])
def test_what_is_not_json_is_shown_as_it_is(text: str) -> None:
    assert pretty(text) == text


@given(JSON)
def test_any_json_is_laid_out_as_python_would(value: object) -> None:
    assert pretty(json.dumps(value)) == json.dumps(value, indent=2)
    assert pretty(json.dumps(value, separators=(",", ":"))) == json.dumps(value, indent=2)


@pytest.mark.parametrize(
    ("error", "gist", "source"),
    [
        (
            "The third party answered 422 Unprocessable Entity: price: must not be empty.",
            "price: must not be empty.",
            "The third party answered 422 Unprocessable Entity",
        ),
        ("The third party answered 404 Not Found.", "The third party answered 404 Not Found.", ""),
        (
            "The third party answered 200 OK, but its a: b is not true.",
            "The third party answered 200 OK, but its a: b is not true.",
            "",
        ),
        ("This row has 4 cells, but the file has ….", "This row has 4 cells, but the file has …", ""),
    ],
)
def test_an_error_is_told_as_what_a_person_must_know_and_who_says_so(
    error: str, gist: str, source: str
) -> None:
    assert said(error) == (gist, source)


@pytest.mark.parametrize(("seconds", "told"), [(0.6, "now"), (12, "12 s ago"), (5400, "1 h 30 min ago")])
def test_a_moment_ago_is_now(seconds: float, told: str) -> None:
    now = datetime(2026, 1, 2, 12, tzinfo=UTC)
    assert ago(now - timedelta(seconds=seconds), now) == told


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0.099, "a second"), (1.4, "a second"), (7.6, "8 s"), (59.6, "1 min"), (5400, "1 h 30 min")],
)
def test_what_is_estimated_is_told_in_round_numbers(seconds: float, told: str) -> None:
    assert roughly(seconds) == told


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("products.csv", "products<wbr>.csv"),
        ("2024_stock-list.v2.csv", "2024_<wbr>stock-<wbr>list<wbr>.v2<wbr>.csv"),
        ("<b>_'a'.csv", "&lt;b&gt;_&#x27;a&#x27;<wbr>.csv"),
    ],
)
def test_the_name_of_a_file_is_broken_where_its_parts_join(name: str, told: str) -> None:
    assert in_joints(name) == told
