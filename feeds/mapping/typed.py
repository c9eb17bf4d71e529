"""Types as the document states them: a kind, what an empty cell becomes, and whether it may be empty."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, TypeAlias, TypeVar

from feeds.mapping.columns import fold
from feeds.mapping.dates import compile_format
from feeds.mapping.document import as_choice, as_flag, as_object, as_text
from feeds.mapping.errors import MappingError, RowError, quoted
from feeds.mapping.transforms import MINUS, TEXT, Date, Kind, List, Number, Text, ToJson, ToText, YesNo


class Omitted:
    """The value of what is left out of the request."""


OMIT: Final = Omitted()

T = TypeVar("T")


class Empty(StrEnum):
    OMIT = "omit"  # the key is left out
    NULL = "null"
    TEXT = "text"  # an empty text, or an empty list


@dataclass(frozen=True, slots=True)
class Typed:
    """A kind with its rule for empty cells. A cell of nothing but white space is empty."""

    kind: Kind = TEXT
    empty: Empty = Empty.TEXT
    required: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether the cell is taken as it is."""
        return self == PLAIN

    def to_json(self, column: str) -> ToJson:
        convert = self.kind.to_json(column)
        if self.is_plain:
            return convert
        if self.required:
            return _remembering(_required(column, convert), when=self.kind.is_repetitive)
        instead = {Empty.OMIT: OMIT, Empty.NULL: None, Empty.TEXT: ""}[self.empty]
        if self.empty is Empty.TEXT and isinstance(self.kind, Text | List):
            return convert  # white space as it is; no items
        return _remembering(
            lambda cell: convert(cell) if cell and not cell.isspace() else instead,
            when=self.kind.is_repetitive,
        )

    def to_text(self, column: str) -> ToText:
        """For a place within a text, where there is nothing to leave out: an empty cell is an empty text."""
        convert = self.kind.to_text(column)
        if self.required:
            return _required(column, convert)
        if isinstance(self.kind, Text):
            return convert
        return lambda cell: convert(cell) if cell and not cell.isspace() else ""

    def to_parameter(self, column: str) -> ToText | Callable[[str], str | Omitted]:
        """For a parameter of its own in a query or a form: as a text, or left out."""
        convert = self.to_text(column)
        if self.required or self.empty is not Empty.OMIT:
            return convert
        return lambda cell: convert(cell) if cell and not cell.isspace() else OMIT

    def to_parameters(self, column: str) -> Callable[[str], list[str]]:
        """For a form: as many texts as the cell has items, when it is a list; else one or none."""
        if isinstance(self.kind, List):
            items = self.kind.to_texts(column)
            return _required(column, items) if self.required else items
        convert = self.to_parameter(column)
        return lambda cell: [] if isinstance(text := convert(cell), Omitted) else [text]


PLAIN: Final = Typed()

Types: TypeAlias = Mapping[str, Typed]

BUILT_IN: Final[dict[str, Typed]] = {
    "text": PLAIN,
    "number": Typed(Number()),
    "integer": Typed(Number(decimal="")),
    "yes/no": Typed(YesNo()),
}
_OPTIONS = {
    "text": (),
    "number": ("decimal", "thousands"),
    "integer": ("thousands",),
    "yes/no": ("yes", "no"),
    "date": ("format",),
    "list": ("by", "of"),
}
TYPE_KEYS: Final = (
    "type",
    "empty",
    "required",
    *dict.fromkeys(key for keys in _OPTIONS.values() for key in keys),
)


def parse_types(value: object) -> Types:
    """The document's own types, by name, beside those that are built in."""
    types = dict(BUILT_IN)
    for name, spec in as_object(value, "types").items():
        where = f"types.{name}"
        if name in _OPTIONS or not name.strip() or set(name) & set("{}|"):
            raise MappingError(
                f"{where} needs another name: not a built-in one, not empty, without {{ }} and |."
            )
        types[name] = parse_typed(as_object(spec, where, TYPE_KEYS), where, types)
    return types


def parse_typed(spec: Mapping[str, object], where: str, types: Types) -> Typed:
    """A type from the keys of an object; an own type's name may stand with `empty` and `required`."""
    choices = [*_OPTIONS, *(name for name in types if name not in _OPTIONS)]
    name = as_choice(spec.get("type", "text"), f"{where}.type", choices)
    _refuse_options_of_others(spec, where, name)
    typed = Typed(_kind(name, spec, where, types)) if name in _OPTIONS else types[name]
    if "empty" in spec:
        typed = replace(typed, empty=Empty(as_choice(spec["empty"], f"{where}.empty", list(Empty))))
    if "required" in spec:
        typed = replace(typed, required=as_flag(spec["required"], f"{where}.required"))
    if typed.required and spec.get("empty"):
        raise MappingError(
            f'{where} has both "required" and "empty"; a required value is never empty: take one.'
        )
    return typed


class _Memo(dict[str, object]):
    """What cells became, in bounded memory. Looking one up takes no Python call; errors are not kept."""

    __slots__ = ("_convert",)

    MAX_CELLS = 4_096
    MAX_LENGTH = 100  # of a cell that is kept

    def __init__(self, convert: ToJson) -> None:
        super().__init__()
        self._convert = convert

    def __missing__(self, cell: str) -> object:
        value = self._convert(cell)
        if len(self) >= self.MAX_CELLS:
            self.clear()
        if len(cell) <= self.MAX_LENGTH:
            self[cell] = value
        return value


def _remembering(convert: ToJson, *, when: bool) -> ToJson:
    return _Memo(convert).__getitem__ if when else convert


def _required(column: str, convert: Callable[[str], T]) -> Callable[[str], T]:
    def checked(cell: str) -> T:
        if not cell or cell.isspace():
            raise missing_value(column)
        return convert(cell)

    return checked


def missing_value(column: str) -> RowError:
    return RowError(
        column, "missing_value", f"The column {quoted(column)} is empty, but a value is required."
    )


def _refuse_options_of_others(spec: Mapping[str, object], where: str, name: str) -> None:
    for keys in _OPTIONS.values():
        for key in keys:
            if key in spec and key not in _OPTIONS.get(name, ()):
                raise MappingError(f"{where}.{key} is no option of the type {quoted(name)}; remove it.")


def _kind(name: str, spec: Mapping[str, object], where: str, types: Types) -> Kind:
    if name == "number":
        return _number(spec, where)
    if name == "integer":
        return Number(decimal="", thousands=_sign(spec.get("thousands", ""), f"{where}.thousands"))
    if name == "yes/no":
        return _yes_no(spec, where)
    if name == "date":
        text = as_text(spec.get("format", ""), f"{where}.format", least=0)
        if not text.strip():
            raise MappingError(f"{where}.format is empty: say how a date is written, such as DD.MM.YYYY.")
        return Date(text, compile_format(text, f"{where}.format"))
    if name == "list":
        return _list(spec, where, types)
    return TEXT


def _number(spec: Mapping[str, object], where: str) -> Number:
    decimal = _sign(spec.get("decimal", "."), f"{where}.decimal")
    thousands = _sign(spec.get("thousands", ""), f"{where}.thousands")
    if not decimal or decimal == thousands:
        raise MappingError(f"{where}.decimal must be one sign, and another one than thousands.")
    return Number(decimal, thousands)


def _sign(value: object, where: str) -> str:
    sign = as_text(value, where, least=0)
    if len(sign) > 1 or sign.isalnum() or sign in ("+", "-", MINUS):
        raise MappingError(f'{where} must be one sign such as "." or ",", not {quoted(sign)}.')
    return sign


def _yes_no(spec: Mapping[str, object], where: str) -> YesNo:
    kind = YesNo()
    if "yes" in spec:
        kind = replace(kind, yes=_words(spec["yes"], f"{where}.yes"))
    if "no" in spec:
        kind = replace(kind, no=_words(spec["no"], f"{where}.no"))
    if both := {fold(word) for word in kind.yes} & {fold(word) for word in kind.no}:
        raise MappingError(
            f"{where} takes {quoted(min(both))} both for yes and for no; give both lists of words."
        )
    return kind


def _words(value: object, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise MappingError(f'{where} must be a list of words such as ["ja", "j"].')
    return tuple(as_text(word, f"{where}[{i}]") for i, word in enumerate(value))


def _list(spec: Mapping[str, object], where: str, types: Types) -> List:
    by = spec.get("by")
    if not isinstance(by, str) or not by:
        raise MappingError(f'{where}.by must be the text that separates the items, such as ";".')
    of = spec.get("of", "text")
    inner = as_object({"type": of} if isinstance(of, str) else of, f"{where}.of", TYPE_KEYS)
    if "empty" in inner or "required" in inner:
        raise MappingError(f'{where}.of cannot have "empty" or "required": empty items are left out.')
    kind = parse_typed(inner, f"{where}.of", types).kind
    if isinstance(kind, List):
        raise MappingError(f"{where}.of cannot be a list again.")
    return List(by, kind)
