"""Rules: what a column's cells must hold, beside what their types ask for."""

import time

import pytest

from feeds.mapping import Mapping, MappingError, RowError


def refusal(rules, cell):
    bound = Mapping.parse({"rules": {"sku": rules}}).bind(["SKU", "other"])
    with pytest.raises(RowError) as caught:
        bound.render([cell, "x"])
    return caught.value


def passes(rules, cell):
    return Mapping.parse({"rules": {"sku": rules}}).bind(["SKU", "other"]).render([cell, "x"]).body


def complaint(rules):
    with pytest.raises(MappingError) as caught:
        Mapping.parse({"rules": rules})
    return str(caught.value)


@pytest.mark.parametrize(
    ("rules", "cell", "code", "words"),
    [
        ({"required": True}, " ", "missing_value", "is empty"),
        ({"pattern": "[A-Z]+"}, "AB1", "pattern_mismatch", '"AB1", which does not match "[A-Z]+"'),
        ({"pattern": "[A-Z]+", "one_of": ["A", "1"]}, "1", "pattern_mismatch", '"1", which does not match'),
        ({"pattern": "[A-Z]+", "one_of": ["A", "1"]}, "B", "not_one_of", '"B"; allowed are "A", "1".'),
        ({"one_of": ["new", "used"]}, "New", "not_one_of", '"New"; allowed are "new", "used".'),
    ],
)
def test_a_cell_that_breaks_a_rule_makes_the_row_invalid_by_column_code_and_value(rules, cell, code, words):
    error = refusal(rules, cell)

    assert (error.column, error.code) == ("sku", code)
    assert words in str(error)
    assert 'column "sku"' in str(error)


def test_a_cell_that_keeps_the_rules_is_sent_as_it_is():
    assert (
        passes({"required": True, "pattern": "[A-Z]+", "one_of": ["AB"]}, "AB") == b'{"SKU":"AB","other":"x"}'
    )


def test_a_row_with_too_few_cells_is_told_as_such_whatever_the_rules_ask_for():
    bound = Mapping.parse({"rules": {"b": {"required": True}}}).bind(["a", "b"])
    with pytest.raises(RowError) as caught:
        bound.render(["1"])
    assert caught.value.code == "wrong_cell_count"


def test_an_empty_cell_breaks_required_alone():
    assert passes({"pattern": "[A-Z]+", "one_of": ["A"], "unique": True}, "")


def test_a_pattern_is_of_the_whole_cell_and_knows_letters_beyond_ascii():
    assert refusal({"pattern": "[0-9]{2}"}, "123").code == "pattern_mismatch"
    assert passes({"pattern": r"\p{L}+"}, "Größe")


def test_a_cell_that_is_no_unicode_text_matches_no_pattern():
    assert refusal({"pattern": "."}, "\ud800").code == "pattern_mismatch"


@pytest.mark.parametrize("pattern", ["(a+)+b", "(a|a)*b", "(a*)*b", "a*a*a*a*a*a*a*a*b"])
def test_no_pattern_keeps_a_worker_busy(pattern):
    # Python's own expressions need longer than the universe for these
    began = time.process_time()
    assert refusal({"pattern": pattern}, "a" * 100_000).code == "pattern_mismatch"
    assert time.process_time() - began < 2


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ([], "rules must be a JSON object"),
        ({"sku": {"patern": "x"}}, 'unknown key "patern"; did you mean "pattern"?'),
        ({"sku": {}}, "rules.sku asks for nothing"),
        ({"sku": {"required": False}}, "rules.sku asks for nothing"),
        ({" ": {"required": True}}, "name the column"),
        ({"sku": {"unique": "yes"}}, "rules.sku.unique must be true or false"),
        ({"sku": {"pattern": "("}}, "rules.sku.pattern cannot be used (missing ): ()"),
        ({"sku": {"pattern": "(?=a)"}}, "without look-around"),
        ({"sku": {"pattern": r"(a)\1"}}, "without look-around and back references"),
        ({"sku": {"pattern": "(" * 500 + ")" * 500 + "x" * 900}}, "too long"),
        ({"sku": {"pattern": "((x{999}){9}){9}"}}, "cannot be used"),
        ({"sku": {"one_of": []}}, "must be a list of texts"),
        ({"sku": {"one_of": [1]}}, "rules.sku.one_of[0] must be text"),
    ],
)
def test_a_rule_that_cannot_be_kept_is_refused_with_its_place(rules, words):
    assert words in complaint(rules)


def test_a_column_that_only_a_rule_names_must_be_there():
    mapping = Mapping.parse({"fields": ["a"], "rules": {"b": {"required": True}}})

    assert mapping.columns == ("a", "b")
    with pytest.raises(MappingError, match='no column "b"'):
        mapping.bind(["a"])
