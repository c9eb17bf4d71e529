"""A body as JSON text with places."""

import json

import pytest

from feeds.mapping import Mapping, MappingError, RowError


def body(template, **cells):
    bound = Mapping.parse({"body": template}).bind(list(cells))
    return bound.render(list(cells.values())).body.decode()


def test_a_text_of_one_place_becomes_the_columns_value():
    assert body({"id": "{sku}"}, sku="007") == '{"id":"007"}'


def test_a_place_within_a_text_becomes_part_of_it():
    assert body({"t": "{a}-{b}!"}, a="1", b='"}') == json.dumps({"t": '1-"}!'}, separators=(",", ":"))


def test_a_template_may_be_a_text_that_is_parsed_before_any_cell_is_near_it():
    assert (
        body('{"id": "{sku}", "n": [1, "{sku}"]}', sku='","x":"')
        == '{"id":"\\",\\"x\\":\\"","n":[1,"\\",\\"x\\":\\""]}'
    )


def test_a_cell_that_looks_like_a_place_is_not_filled_again():
    assert body({"x": "{a}{b}"}, a="{b}", b="{a}") == '{"x":"{b}{a}"}'


def test_doubled_braces_are_literal():
    assert body({"{{k}}": "{{a}} {{{a}}}"}, a="1") == '{"{k}":"{a} {1}"}'


def test_a_place_can_have_a_type():
    assert body({"p": "{a|number}", "s": "{a|number} EUR"}, a="012.50") == '{"p":12.50,"s":"12.50 EUR"}'


def test_types_with_options_are_named_once():
    document = {
        "types": {
            "euro": {"type": "number", "decimal": ",", "empty": "omit"},
            "tags": {"type": "list", "by": ";"},
            "prices": {"type": "list", "by": ";", "of": "euro"},
        },
        "body": {"p": "{p|euro}", "t": "{t | tags}", "all": ["{p|euro}", "{t}"], "l": "{l|prices}"},
    }
    bound = Mapping.parse(document).bind(["p", "t", "l"])

    assert (
        bound.render(["1,5", "a;b", "1,5;2"]).body == b'{"p":1.5,"t":["a","b"],"all":[1.5,"a;b"],"l":[1.5,2]}'
    )
    assert bound.render(["", "", ""]).body == b'{"t":[],"all":[""],"l":[]}'


def test_the_last_bar_of_a_place_counts():
    assert body({"x": "{a|b|text}"}, **{"a|b": "1"}) == '{"x":"1"}'


def test_a_template_may_be_a_list_or_a_text():
    assert body(["{a}", {}], a="1") == '["1",{}]'
    assert body('"{a}"', a="1") == '"1"'


def test_a_template_without_places_is_sent_as_it_is():
    assert body({"a": [1, 2.5, None, True, {"b": "é"}]}, x="") == '{"a":[1,2.5,null,true,{"b":"é"}]}'


def test_a_cell_that_is_not_unicode_text_makes_the_row_invalid():
    with pytest.raises(RowError) as caught:
        body({"x": "{a}"}, a="\udcff")

    assert (caught.value.column, caught.value.code) == ("a", "not_text")


@pytest.mark.parametrize(
    ("template", "part"),
    [
        ('{"price": {price}}', 'Places stand inside quotes, such as "{price|number}"'),
        ('{"a": 1, "a": 2}', 'the key "a" is given twice'),
        ('{"a": NaN}', "NaN is not a JSON number"),
        ('{"a": 1e999}', "a number that JSON does not have"),
        ("[" * 5_000 + "]" * 5_000, "nested too deeply"),
        ("[" * 100_000 + "]" * 100_000, "nested too deeply"),
        ("[" + "9" * 5_000 + "]", "not usable JSON"),
        ("[123456789012345678901234567890]", "must be plain JSON"),
        ('"' + "x" * 300_000 + '"', "too large"),
        ("", "not valid JSON"),
        ({"a": "{b"}, 'body.a has a lone "{"'),
        ({"a": "b}"}, 'body.a has a lone "}"'),
        ({"a": "{}"}, "a place without a column"),
        ({"a": "{ |number}"}, "a place without a column"),
        ({"a": ["{b|float}"]}, 'body.a[0]: "float"'),
        ({"a": "{b|date}"}, "name one with its options under types"),
        ({"{a}": 1}, "places stand in values only"),
        ({"x": {"__proto__": {}}}, "__proto__"),
    ],
)
def test_a_template_that_cannot_be_used_is_refused_with_its_place(template, part):
    with pytest.raises(MappingError) as caught:
        Mapping.parse({"body": template})

    assert part in str(caught.value)


def test_a_list_cannot_stand_within_a_text():
    document = {"types": {"tags": {"type": "list", "by": ";"}}, "body": {"x": "tags: {t|tags}"}}

    with pytest.raises(MappingError, match=r'body\.x: the list "t" cannot stand in a text'):
        Mapping.parse(document)
