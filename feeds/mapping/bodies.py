"""What is sent: a tree of objects, lists, constants and places, or the parameters of a form.

A JSON body is always built as values and written out once, so a cell can never leave its string.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias
from urllib.parse import quote_plus

import orjson

from feeds.mapping.columns import Columns
from feeds.mapping.errors import RowError
from feeds.mapping.paths import not_text
from feeds.mapping.places import Parts, Place, compile_text, places_of
from feeds.mapping.typed import OMIT

JSON: Final = "application/json"
FORM: Final = "application/x-www-form-urlencoded"

ToBytes: TypeAlias = Callable[[Sequence[str]], bytes]
ToValue: TypeAlias = Callable[[Sequence[str]], object]


@dataclass(frozen=True, slots=True)
class Constant:
    """A value that is the same in each row."""

    value: object


@dataclass(frozen=True, slots=True)
class Filled:
    """A text with places in it."""

    parts: Parts


@dataclass(frozen=True, slots=True)
class Object:
    """What is left out of it is no key of it; without a key left it is left out itself."""

    members: tuple[tuple[str, "Node"], ...]


@dataclass(frozen=True, slots=True)
class Array:
    items: tuple["Node", ...]


Node: TypeAlias = Constant | Filled | Place | Object | Array


@dataclass(frozen=True, slots=True)
class NoBody:
    content_type = ""

    def places(self) -> Iterator[Place]:
        return iter(())

    def compile(self, columns: Columns) -> ToBytes:
        return lambda cells: b""


@dataclass(frozen=True, slots=True)
class EveryColumn:
    """Each column under its own name: what is sent unless the mapping says more."""

    content_type = JSON

    def places(self) -> Iterator[Place]:
        return iter(())

    def compile(self, columns: Columns) -> ToBytes:
        columns.require_distinct()
        names = columns.names
        return _written(lambda cells: dict(zip(names, cells, strict=True)), columns)


@dataclass(frozen=True, slots=True)
class EveryColumnAsForm:
    """The same as a form."""

    content_type = FORM

    def places(self) -> Iterator[Place]:
        return iter(())

    def compile(self, columns: Columns) -> ToBytes:
        columns.require_distinct()
        return Form(tuple((name, Place(name)) for name in columns.names)).compile(columns)


@dataclass(frozen=True, slots=True)
class Tree:
    """A JSON body of the mapping's own shape."""

    root: Node

    content_type = JSON

    def places(self) -> Iterator[Place]:
        return _places(self.root)

    def compile(self, columns: Columns) -> ToBytes:
        build = _compile(self.root, columns)
        instead: object = {} if isinstance(self.root, Object) else None  # when all of it is left out
        return _written(build, columns, instead)


@dataclass(frozen=True, slots=True)
class Form:
    """Parameters of a form in their order. A list repeats its name."""

    parameters: tuple[tuple[str, Constant | Place], ...]

    content_type = FORM

    def places(self) -> Iterator[Place]:
        return (value for _, value in self.parameters if isinstance(value, Place))

    def compile(self, columns: Columns) -> ToBytes:
        pieces = [_compile_parameter(name, value, columns) for name, value in self.parameters]

        def render(cells: Sequence[str]) -> bytes:
            filled = [piece if isinstance(piece, str) else piece(cells) for piece in pieces]
            return "&".join([text for text in filled if text]).encode()

        return render


Body: TypeAlias = NoBody | EveryColumn | EveryColumnAsForm | Tree | Form


def _places(node: Node) -> Iterator[Place]:
    if isinstance(node, Place):
        yield node
    elif isinstance(node, Filled):
        yield from places_of(node.parts)
    elif isinstance(node, Object):
        for _, member in node.members:
            yield from _places(member)
    elif isinstance(node, Array):
        for item in node.items:
            yield from _places(item)


def _compile(node: Node, columns: Columns) -> ToValue:
    if isinstance(node, Constant) or next(_places(node), None) is None:
        ready = orjson.Fragment(orjson.dumps(_value(node)))
        return lambda cells: ready
    if isinstance(node, Place):
        index, convert = columns.index(node.column), node.typed.to_json(node.column)
        return lambda cells: convert(cells[index])
    if isinstance(node, Filled):
        return compile_text(node.parts, columns)
    if isinstance(node, Object):
        return _compile_object(node, columns)
    items = [_compile(item, columns) for item in node.items]
    return lambda cells: [value for item in items if (value := item(cells)) is not OMIT]


def _compile_object(node: Object, columns: Columns) -> ToValue:
    """The hot loop. Members that are a column are converted right here, without a call between."""
    leaves: list[tuple[str, int, Callable[[Any], object]]] = [
        (key, columns.index(member.column), member.typed.to_json(member.column))
        if isinstance(member, Place)
        else (key, -1, _compile(member, columns))
        for key, member in node.members
    ]

    def build(cells: Sequence[str]) -> object:
        made = {}
        for key, index, convert in leaves:
            value = convert(cells[index]) if index >= 0 else convert(cells)
            if value is not OMIT:
                made[key] = value
        return made or OMIT

    return build


def _value(node: Node) -> object:
    """A node without places as the plain value that it is."""
    if isinstance(node, Constant):
        return node.value
    if isinstance(node, Filled):
        return "".join(part for part in node.parts if isinstance(part, str))
    if isinstance(node, Object):
        return {key: _value(member) for key, member in node.members}
    return [_value(item) for item in node.items] if isinstance(node, Array) else None


def _written(build: ToValue, columns: Columns, instead: object = None) -> ToBytes:
    """A function from a row's cells to JSON; `instead` is written when all of it is left out."""
    dumps = orjson.dumps

    def render(cells: Sequence[str]) -> bytes:
        try:
            return dumps(value if (value := build(cells)) is not OMIT else instead)
        except orjson.JSONEncodeError:
            raise _blame(cells, columns) from None

    return render


def _blame(cells: Sequence[str], columns: Columns) -> RowError:
    """The error for the first cell that is not Unicode text: nothing else stops a body from being written."""
    for name, cell in zip(columns.names, cells, strict=False):
        try:
            cell.encode()
        except UnicodeEncodeError:
            return not_text(name)
    return RowError("", "not_text", "The row cannot be written as JSON.")


def _compile_parameter(
    name: str, value: Constant | Place, columns: Columns
) -> str | Callable[[Sequence[str]], str]:
    key = quote_plus(name)
    if isinstance(value, Constant):
        return f"{key}={quote_plus(_scalar(value.value))}"
    index, column = columns.index(value.column), value.column
    convert = value.typed.to_parameters(column)

    def fill(cells: Sequence[str]) -> str:
        try:
            return "&".join([f"{key}={quote_plus(text)}" for text in convert(cells[index])])
        except UnicodeEncodeError as exc:
            raise not_text(column) from exc

    return fill


def _scalar(value: object) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()
