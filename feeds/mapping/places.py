"""Texts with `{column}` and `{column|type}` places; a literal brace is doubled."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from feeds.mapping.columns import Columns
from feeds.mapping.errors import MappingError, quoted
from feeds.mapping.transforms import List
from feeds.mapping.typed import PLAIN, Typed, Types

_BRACES = re.compile(r"(\{\{|\}\}|\{[^{}]*\}|\{|\})")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a column's value stands."""

    column: str
    typed: Typed = PLAIN


Parts: TypeAlias = tuple[str | Place, ...]


def parse_parts(text: str, where: str, types: Types) -> Parts:
    """The text as literal texts and places, in order; neighbouring literals are one."""
    parts: list[str | Place] = []
    for token in _BRACES.split(text):
        if token in ("{", "}"):
            raise MappingError(f"{where} has a lone {quoted(token)}; write it twice for a literal brace.")
        if token.startswith("{") and token.endswith("}"):
            parts.append(_place(token[1:-1], where, types))
        elif literal := {"{{": "{", "}}": "}"}.get(token, token):
            if parts and isinstance(last := parts[-1], str):
                parts[-1] = last + literal
            else:
                parts.append(literal)
    return tuple(parts)


def within_text(parts: Parts, where: str) -> Parts:
    """The same parts, after a check that each of them can stand in a text."""
    for place in places_of(parts):
        if isinstance(place.typed.kind, List):
            raise MappingError(
                f"{where}: the list {quoted(place.column)} cannot stand in a text, only alone."
            )
    return parts


def places_of(parts: Iterable[str | Place]) -> Iterator[Place]:
    return (part for part in parts if isinstance(part, Place))


def compile_text(parts: Parts, columns: Columns) -> Callable[[Sequence[str]], str]:
    """A function from a row's cells to the text with its places filled."""
    pieces: list[str | tuple[int, Callable[[str], str]]] = [
        part if isinstance(part, str) else (columns.index(part.column), part.typed.to_text(part.column))
        for part in parts
    ]

    def fill(cells: Sequence[str]) -> str:
        return "".join([p if isinstance(p, str) else p[1](cells[p[0]]) for p in pieces])

    return fill


def _place(inside: str, where: str, types: Types) -> Place:
    """`column` or `column|type`. The last bar counts: a column named "a|b" is written {a|b|text}."""
    column, bar, name = inside.rpartition("|")
    column, name = (column.strip(), name.strip()) if bar else (inside.strip(), "text")
    if not column:
        raise MappingError(
            f"{where} has a place without a column; write {{column}}, or {{{{ for a literal brace."
        )
    if name not in types:
        known = ", ".join(types)
        raise MappingError(
            f"{where}: {quoted(name)} in {quoted('{' + inside + '}')} is no type that can stand in a place; "
            f"take one of {known}, or name one with its options under types."
        )
    return Place(column, types[name])
