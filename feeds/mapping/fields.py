"""Fields: which column, or constant, goes to which path of the body."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

from feeds.mapping.bodies import Constant, Form, Node, Object, Tree
from feeds.mapping.document import MAX_DEPTH, as_object, as_text, kind_of
from feeds.mapping.errors import MappingError, quoted
from feeds.mapping.places import Place
from feeds.mapping.typed import TYPE_KEYS, Empty, Types, parse_typed

MAX_FIELDS: Final = 1_000  # as many as a feed may have columns

_FIELD_KEYS = ("column", "constant", "to", *TYPE_KEYS)

Branch: TypeAlias = "dict[str, Branch | Constant | Place]"
"""An object of the body while fields are put into it."""


@dataclass(frozen=True, slots=True)
class Field:
    """Where one value goes."""

    where: str
    keys: list[str]  # the JSON path, outermost first
    name: str  # the same as one name, for a form
    value: Constant | Place


def parse_fields(value: object, types: Types) -> list[Field]:
    """The document's fields, in either of their two forms."""
    return [_field(spec, where, types) for where, spec in entries(value)]


def entries(fields: object) -> Iterator[tuple[str, dict[str, object]]]:
    """The fields as one form: each entry's place in the document, and its object."""
    if not isinstance(fields, dict | list) or not fields:
        raise MappingError(
            f"fields must be an object or a list with at least one field, not {kind_of(fields)}."
        )
    if len(fields) > MAX_FIELDS:
        raise MappingError(f"fields has {len(fields)} entries; at most {MAX_FIELDS}.")
    if isinstance(fields, dict):
        for column, spec in fields.items():
            where = f"fields.{column}"
            short = isinstance(spec, str | list)
            entry = {"to": spec} if short else as_object(spec, where, ("to", *TYPE_KEYS))
            yield where, {"column": column, **entry}
    else:
        for i, spec in enumerate(fields):
            entry = {"column": spec} if isinstance(spec, str) else spec
            yield f"fields[{i}]", as_object(entry, f"fields[{i}]", _FIELD_KEYS)


def _field(spec: dict[str, object], where: str, types: Types) -> Field:
    if ("column" in spec) == ("constant" in spec):
        raise MappingError(f'{where} needs either a "column" or a "constant".')
    if "constant" in spec:
        if surplus := set(spec) - {"constant", "to"}:
            raise MappingError(f"{where} is a constant, so {quoted(min(surplus))} has no meaning; remove it.")
        value: Constant | Place = Constant(spec["constant"])
        _check_constant(spec["constant"], where)
    else:
        column = as_text(spec["column"], f"{where}.column")
        value = Place(column, parse_typed(spec, where, types))
    keys, name = _to(spec, where)
    return Field(where, keys, name, value)


def _to(spec: dict[str, object], where: str) -> tuple[list[str], str]:
    """Where the value goes. Without "to" it is the column's name as one key, dots and all."""
    to = spec.get("to", [spec.get("column")])
    if isinstance(to, list) and to:
        keys = [as_text(key, f"{where}.to[{i}]") for i, key in enumerate(to)]
    else:
        keys = as_text(to, f"{where}.to").split(".")
    if "" in keys:
        raise MappingError(
            f"{where}.to has an empty part; write keys with single dots between, such as price.amount."
        )
    return checked_keys(keys, f"{where}.to"), ".".join(keys)


def checked_keys(keys: list[str], where: str) -> list[str]:
    """Refuses the one key with which a careless receiver overwrites what all its objects share."""
    if "__proto__" in keys:
        raise MappingError(
            f'{where} has the key "__proto__", which attacks receivers in JavaScript; rename it.'
        )
    return keys


def _check_constant(value: object, where: str) -> None:
    if isinstance(value, dict):
        checked_keys(list(value), where)
        for key, member in value.items():
            _check_constant(member, f"{where}.{key}")
    elif isinstance(value, list):
        for item in value:
            _check_constant(item, where)


def as_tree(fields: list[Field]) -> Tree:
    root: Branch = {}
    for field in fields:
        _put(root, field)
    return Tree(_frozen(root))


def _put(root: Branch, field: Field) -> None:
    if len(field.keys) > MAX_DEPTH:
        raise MappingError(f"{field.where}.to is nested too deeply: at most {MAX_DEPTH} levels.")
    inner = root
    for i, key in enumerate(field.keys[:-1]):
        member = inner.setdefault(key, {})
        if not isinstance(member, dict):
            taken = ".".join(field.keys[: i + 1])
            raise MappingError(
                f"{field.where}.to {quoted(field.name)} lies inside {quoted(taken)}, which is a value."
            )
        inner = member
    if field.keys[-1] in inner:
        what = "an object" if isinstance(inner[field.keys[-1]], dict) else "taken"
        raise MappingError(f"{field.where}.to {quoted(field.name)} is {what} already; give it another path.")
    inner[field.keys[-1]] = field.value


def _frozen(value: "Branch | Constant | Place") -> Node:
    if isinstance(value, dict):
        return Object(tuple((key, _frozen(member)) for key, member in value.items()))
    return value


def as_form(fields: list[Field]) -> Form:
    """A form is flat: a path is the parameter's name as it is written."""
    names = set()
    for field in fields:
        if field.name in names:
            raise MappingError(
                f"{field.where}.to {quoted(field.name)} is taken already; give it another name."
            )
        names.add(field.name)
        value = field.value
        if isinstance(value, Constant) and (value.value is None or isinstance(value.value, dict | list)):
            raise MappingError(
                f"{field.where}: a form has no null, lists or objects; give a text or a number."
            )
        if isinstance(value, Place) and value.typed.empty is Empty.NULL:
            raise MappingError(f'{field.where}.empty: a form has no null; take "omit" or "text".')
    return Form(tuple((field.name, field.value) for field in fields))
