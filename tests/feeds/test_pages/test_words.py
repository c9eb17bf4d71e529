"""How values are written on the pages."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feeds.templatetags.pages import pretty

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
