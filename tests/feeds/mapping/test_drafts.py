"""A mapping as a form: the same document, or a word that the form cannot show it."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feeds.mapping import Mapping, MappingError
from feeds.mapping.draft import Draft, DraftField, DraftRule, NotInForm
from feeds.mapping.spec import read_spec

EVERYTHING = {
    "version": 1,
    "method": "PUT",
    "path": "/shops/{shop}/{sku}",
    "fields": [
        {"column": "sku", "to": "id", "required": True},
        {"column": "name", "to": "title.en", "empty": "omit"},
        {"column": "price", "to": "price.amount", "type": "number", "decimal": ",", "thousands": "."},
        {"column": "stock", "to": "stock", "type": "integer", "thousands": " ", "empty": "null"},
        {"column": "on", "to": "on", "type": "yes/no", "yes": ["ja", "j"], "no": ["nein"]},
        {"column": "since", "to": "since", "type": "date", "format": "DD.MM.YYYY"},
        {"column": "tags", "to": "tags", "type": "list", "by": ";"},
        {"column": "a.b"},
        {"constant": "EUR", "to": "price.currency"},
        {"constant": 1.5, "to": "factor"},
        {"constant": True, "to": "active"},
    ],
    "rules": {
        "sku": {"required": True, "pattern": "[A-Z]+", "unique": True},
        "state": {"one_of": ["new, boxed", "used"]},
    },
}


def test_what_the_form_can_express_comes_back_as_the_same_document():
    assert Draft.of(EVERYTHING).document() == EVERYTHING


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"fields": {"a": "x.y", "b": {"type": "number"}}},
        {"fields": ["a", {"column": "b", "to": ["c", "d"]}]},
        {"content_type": "form", "fields": {"sku": "product[id]"}},
        {"method": "DELETE", "path": "/{sku}"},
        {"rules": {"a": {"required": True}}},
    ],
)
def test_other_ways_to_write_a_document_open_in_the_form_and_mean_the_same(document):
    made = read_spec(Draft.of(document).document())
    given = read_spec(document)

    assert replace(made, document={}) == replace(given, document={})


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"body": {"a": "{b}"}}, "a JSON template (body)"),
        ({"query": {"a": "{b}"}, "fields": ["c"]}, "a query"),
        ({"types": {"euro": {"type": "number"}}, "fields": ["a"]}, "types of its own"),
        ({"fields": [{"constant": None, "to": "a"}]}, "a constant that is null"),
        ({"fields": [{"constant": [1], "to": "a"}]}, "a list or an object"),
        ({"fields": {"a": {"to": ["x.y", "z"]}}}, "options"),
        ({"fields": {"a": {"type": "list", "by": ";", "of": "integer"}}}, "options"),
        ({"fields": {"a": {"type": "yes/no", "yes": ["a,b"]}}}, "options"),
        ({"fields": {"a": {"type": "number", "decimal": "·"}}}, "another decimal"),
    ],
)
def test_what_the_form_cannot_show_is_named(document, words):
    Mapping.parse(document)
    with pytest.raises(NotInForm, match=words.replace("(", "\\(").replace(")", "\\)")):
        Draft.of(document)


def test_a_part_that_is_not_filled_in_yet_is_no_part():
    draft = Draft(fields=[DraftField(), DraftField("constant"), DraftField(column="a")], rules=[DraftRule()])

    assert draft.document() == {"version": 1, "fields": [{"column": "a"}]}


@pytest.mark.parametrize(
    ("field", "words"),
    [
        (DraftField(column="a", type="date"), "Format is empty"),
        (DraftField(column="a", to="x"), 'To "x" is taken already'),
        (DraftField(to="b"), "Column is empty"),
        (DraftField(column="a", type="list"), "By must be the text that separates"),
        (DraftField("constant", value="much", to="b", type="number"), "must be a number"),
        (DraftField("constant", value="maybe", to="b", type="yes/no"), "must be yes or no"),
    ],
)
def test_what_is_wrong_is_said_beside_the_field_that_it_is_of(field, words):
    draft = Draft(fields=[DraftField(), DraftField(column="q", to="x"), field])
    with pytest.raises(MappingError) as caught:
        Mapping.parse(draft.document())

    assert draft.blame(str(caught.value)) == ""
    assert words in field.problem
    assert draft.worded(str(caught.value)) == f"Field 3: {field.problem}"
    assert not draft.fields[1].problem


def test_what_is_wrong_with_a_rule_is_said_beside_it_and_all_else_above():
    draft = Draft(rules=[DraftRule("sku", pattern="("), DraftRule("s", unique=True)])
    with pytest.raises(MappingError) as caught:
        Mapping.parse(draft.document())

    assert draft.blame(str(caught.value)) == ""
    assert "cannot be used" in draft.rules[0].problem
    assert draft.blame("path is odd.") == "path is odd."


def test_two_rules_of_one_column_are_refused():
    draft = Draft(rules=[DraftRule("a", unique=True), DraftRule("a", required=True)])
    with pytest.raises(MappingError, match="is there twice"):
        draft.document()


NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8)
ENTRIES = st.lists(
    st.one_of(
        NAMES,
        st.fixed_dictionaries(
            {"column": NAMES},
            optional={
                "to": st.one_of(NAMES, st.lists(NAMES, min_size=1, max_size=3)),
                "type": st.sampled_from(["text", "number", "integer", "yes/no"]),
                "empty": st.sampled_from(["text", "omit", "null"]),
            },
        ),
        st.fixed_dictionaries(
            {"constant": st.one_of(st.text(max_size=5), st.booleans(), st.integers(-9, 9)), "to": NAMES}
        ),
    ),
    min_size=1,
    max_size=4,
)


@given(entries=ENTRIES)
def test_no_document_changes_its_meaning_on_its_way_through_the_form(entries):
    try:
        given = read_spec({"fields": entries})
    except MappingError:
        return
    try:
        draft = Draft.of({"fields": entries})
    except NotInForm:
        return
    assert read_spec(draft.document()).body == given.body
