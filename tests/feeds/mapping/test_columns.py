"""Finding the columns that a mapping names."""

import pytest

from feeds.mapping import DEFAULT, Columns, Mapping, MappingError, fold


def bind(names, columns):
    return Mapping.parse({"fields": names}).bind(columns)


@pytest.mark.parametrize(
    ("named", "in_file"),
    [
        ("price", "Price"),
        ("Größe (cm)", "GROSSE(CM)"),
        ("brand name", "\ufeffBrandName\N{NO-BREAK SPACE}"),
        ("Prénom", "prenom"),
        ("cafe\N{COMBINING ACUTE ACCENT}", "café"),
    ],
)
def test_columns_are_found_without_case_accents_and_spaces(named, in_file):
    assert fold(named) == fold(in_file)
    assert bind([named], ["x", in_file]).render(["0", "1"]).body.endswith(b':"1"}')


def test_an_exact_name_wins_over_one_that_only_looks_alike():
    bound = bind({"Price": "p"}, ["price", "Price", "PRICE"])

    assert bound.render(["1", "2", "3"]).body == b'{"p":"2"}'


def test_a_column_of_that_name_wins_over_the_one_that_people_named():
    columns = Columns(["Preis", "price", "Farbe"], {"Price": "Preis", "colour": "Farbe"})

    assert columns.index("Price") == 1
    assert columns.index("colour") == 2


def test_missing_columns_are_named_all_at_once():
    with pytest.raises(MappingError) as caught:
        bind(["sku", "prise", "stok"], ["sku", "price"])

    assert str(caught.value).startswith('The feed has no columns "prise", "stok"; it has "sku", "price".')


def test_one_missing_column_is_guessed():
    with pytest.raises(MappingError, match=r'no column "prise" \(did you mean "Price"\?\)'):
        bind(["prise"], ["sku", "Price"])


def test_a_column_that_occurs_twice_is_refused_where_it_is_named():
    with pytest.raises(MappingError, match=r'2 columns named "a" \(numbers 1, 3\)'):
        bind(["a"], ["a", "b", "a"])
    with pytest.raises(MappingError, match="2 columns"):
        bind(["a"], ["A", "á"])
    assert bind(["b"], ["a", "b", "a"]).render(["1", "2", "3"]).body == b'{"b":"2"}'


@pytest.mark.parametrize("mapping", [DEFAULT, Mapping.parse({"content_type": "form"})])
@pytest.mark.parametrize(
    ("columns", "part"),
    [
        (["a", "b", "a"], '2 columns named "a"'),
        (["", ""], '2 columns named ""'),
        (["__proto__"], "__proto__"),
        (["a\ud800"], "not Unicode text"),
    ],
)
def test_columns_that_cannot_be_keys_of_one_object_are_refused_without_a_mapping(mapping, columns, part):
    with pytest.raises(MappingError) as caught:
        mapping.bind(columns)

    assert part in str(caught.value)


def test_a_list_of_a_thousand_columns_is_not_written_out():
    with pytest.raises(MappingError) as caught:
        bind(["zzz"], [f"column {i}" for i in range(1_000)])

    assert "and 988 more" in str(caught.value)
    assert len(str(caught.value)) < 400
