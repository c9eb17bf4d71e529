"""Path and query: no cell changes the host, the path's structure or the query's."""

import pytest

from feeds.mapping import Mapping, MappingError, RowError


def path(document, **cells):
    bound = Mapping.parse(document).bind(list(cells))
    return bound.render(list(cells.values())).path


def refused(document, **cells):
    with pytest.raises(RowError) as caught:
        path(document, **cells)
    return caught.value


@pytest.mark.parametrize(
    ("cell", "encoded"),
    [
        ("A-1_2.3~", "A-1_2.3~"),
        ("a/b", "a%2Fb"),
        ("../../admin", "..%2F..%2Fadmin"),
        ("a?b=c#d&e", "a%3Fb%3Dc%23d%26e"),
        ("a\r\nHost: evil", "a%0D%0AHost%3A%20evil"),
        ("\x00", "%00"),
        ("%2e%2e", "%252e%252e"),
        ("@evil.example:80\\x", "%40evil.example%3A80%5Cx"),
        ("..;", "..%3B"),
        ("größe", "gr%C3%B6%C3%9Fe"),
        ("...", "..."),
    ],
)
def test_a_place_in_the_path_is_percent_encoded(cell, encoded):
    assert path({"path": "/p/{a}/x"}, a=cell) == f"/p/{encoded}/x"
    assert path({"path": "/p/i-{a}"}, a=cell) == f"/p/i-{encoded}"
    assert path({"path": "{a}"}, a=cell) == f"/{encoded}"


@pytest.mark.parametrize("cell", ["", " ", "\r\n", "\N{NO-BREAK SPACE}"])
def test_an_empty_place_in_the_path_makes_the_row_invalid(cell):
    error = refused({"path": "/p/item-{a}"}, a=cell)

    assert (error.column, error.code) == ("a", "missing_value")


@pytest.mark.parametrize(
    ("template", "cells"),
    [
        ("/p/{a}", {"a": ".", "b": ""}),
        ("/p/{a}/x", {"a": "..", "b": ""}),
        ("/p/{a}{b}", {"a": ".", "b": "."}),
        ("/p/.{a}", {"a": ".", "b": ""}),
        ("/p/%2e{a}", {"a": ".", "b": ""}),
        ("/p/%2E{a}", {"a": ".", "b": ""}),
    ],
)
def test_a_segment_that_leads_up_or_nowhere_makes_the_row_invalid(template, cells):
    assert refused({"path": template}, **cells).code == "bad_path_segment"


def test_a_lone_surrogate_in_path_or_query_makes_the_row_invalid():
    assert refused({"path": "/{a}"}, a="\ud800").code == "not_text"
    assert refused({"query": {"q": "{a}"}}, a="\ud800").code == "not_text"
    assert refused({"query": {"q": "x{a}"}}, a="\ud800").code == "not_text"


def test_a_path_of_a_megabyte_makes_the_row_invalid():
    assert refused({"path": "/{a}"}, a="x" * 1_000_000).code == "path_too_long"
    assert refused({"query": {"q": "{a}"}}, a="x" * 1_000_000).code == "path_too_long"


def test_a_path_can_have_several_places_with_types():
    document = {
        "types": {"day": {"type": "date", "format": "DD.MM.YYYY"}},
        "path": "v1/{shop}/p/{day|day}/{n|integer}-{shop}/",
    }

    assert path(document, shop="a b", day="24.12.2026", n="007") == "/v1/a%20b/p/2026-12-24/7-a%20b/"


def test_a_column_with_a_slash_in_its_name_splits_nothing():
    bound = Mapping.parse({"path": "/s/{Size/Colour}/x"}).bind(["Size/Colour"])

    assert bound.render(["XL/red"]).path == "/s/XL%2Fred/x"


@pytest.mark.parametrize(
    ("template", "sent"),
    [
        ("", ""),
        ("/", "/"),
        ("/a/b/", "/a/b/"),
        ("a", "/a"),
        ("/größe/%C3%B6;v=1", "/gr%C3%B6%C3%9Fe/%C3%B6;v=1"),
        ("/a:b@c/{{x}}", "/a:b@c/%7Bx%7D"),
        ("/...", "/..."),
    ],
)
def test_the_paths_own_text_is_kept(template, sent):
    assert path({"path": template}, x="") == sent


@pytest.mark.parametrize(
    "template",
    [
        "//evil.example/x",
        "/a//b",
        "/a/../b",
        "/a/.",
        "/a/%2e%2E/b",
        "/a?b={x}",
        "/a#b",
        "/a b",
        "/a\r\nHost: x",
        "/a\x00",
        "\\\\evil.example",
        "/100%",
        "/%2{x}",
        "/\ud800",
        7,
        None,
    ],
)
def test_a_path_that_could_mean_something_else_is_refused(template):
    with pytest.raises(MappingError):
        Mapping.parse({"path": template})


def test_a_query_is_encoded_and_may_have_empty_places():
    document = {"path": "/p", "query": {"shop id": "{a}", "b": "x{b}", "c": "fix"}}

    assert path(document, a="1&2=3#", b="ü") == "/p?shop%20id=1%262%3D3%23&b=x%C3%BC&c=fix"
    assert path(document, a="", b="") == "/p?shop%20id=&b=x&c=fix"


@pytest.mark.parametrize("empty", ["", " "])
def test_an_empty_parameter_can_be_left_out_or_refused(empty):
    document = {
        "types": {"maybe": {"empty": "omit"}, "must": {"required": True}},
        "query": {"a": "{a|maybe}", "b": "{b|must}"},
    }

    assert path(document, a=empty, b="1") == "?b=1"
    assert path(document, a="2", b="1") == "?a=2&b=1"
    assert refused(document, a="2", b=empty).code == "missing_value"


def test_of_a_type_within_a_text_white_space_is_an_empty_text():
    document = {"query": {"price": "EUR {a|number}"}}

    assert path(document, a="1.50") == "?price=EUR%201.50"
    assert path(document, a=" ") == "?price=EUR%20"


def test_a_query_of_which_nothing_is_left_leaves_no_question_mark():
    document = {"types": {"maybe": {"empty": "omit"}}, "path": "/p/{b}", "query": {"a": "{a|maybe}"}}

    assert path(document, a="", b="1") == "/p/1"
