"""A mapping as a form holds it, to be filled in by people; its document is the same that is written as JSON.

Nothing is decided here. A draft is made into a document, and `read_spec` says what that means and what is
wrong with it. Which documents a form can hold is found the same way: those that come back meaning the same.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import orjson

from feeds.mapping.errors import MappingError
from feeds.mapping.fields import entries
from feeds.mapping.spec import read_spec

DECIMALS = (".", ",")
THOUSANDS = ("", ".", ",", " ", "'")
ROW_EMPTY = "required"  # what the form offers beside the document's choices for an empty cell

_OPTIONS = {
    "number": ("decimal", "thousands"),
    "integer": ("thousands",),
    "yes/no": ("yes", "no"),
    "date": ("format",),
    "list": ("by",),
}
_FLAGS = {"yes": True, "true": True, "no": False, "false": False}
_FIELD = re.compile(r"fields\[(\d+)\](?:\.|:? )")


class NotInForm(Exception):
    """Raised when a document holds what the form does not show; the text says what."""


@dataclass(slots=True)
class DraftField:
    """One field: a column, or a constant, and where it goes."""

    kind: str = "column"  # or "constant"
    column: str = ""
    value: str = ""  # of a constant
    to: str = ""  # "": as the column is called
    type: str = "text"
    decimal: str = "."
    thousands: str = ""
    yes: str = ""
    no: str = ""
    format: str = ""
    by: str = ""
    empty: str = "text"
    number: int = 0  # by which the page and its sentences call it; 0: it has none yet
    problem: str = ""

    @property
    def is_blank(self) -> bool:
        """Added, and not filled in yet."""
        return not (self.column.strip() or self.value or self.to.strip())

    def entry(self, where: str) -> dict[str, object]:
        """The field as the document has it."""
        to: dict[str, object] = {"to": self.to.strip()} if self.to.strip() else {}
        if self.kind == "constant":
            return {"constant": _constant(self.type, self.value, where)} | to
        made: dict[str, object] = {"column": self.column} | to
        if self.type != "text":
            made["type"] = self.type
        for option in _OPTIONS.get(self.type, ()):
            made |= self._option(option)
        if self.empty == ROW_EMPTY:
            made["required"] = True
        elif self.empty != "text":
            made["empty"] = self.empty
        return made

    def _option(self, name: str) -> dict[str, object]:
        text: str = getattr(self, name)
        if name in ("yes", "no"):
            words = [word.strip() for word in text.split(",") if word.strip()]
            return {name: words} if words else {}
        if text == {"decimal": ".", "thousands": ""}.get(name):
            return {}
        return {name: text}


@dataclass(slots=True)
class DraftRule:
    """What one column must hold."""

    column: str = ""
    required: bool = False
    pattern: str = ""
    one_of: str = ""  # a line for each value
    unique: bool = False
    number: int = 0
    problem: str = ""

    def spec(self) -> dict[str, object]:
        given = {
            "required": self.required,
            "pattern": self.pattern,
            "one_of": [line for line in self.one_of.splitlines() if line.strip()],
            "unique": self.unique,
        }
        return {name: value for name, value in given.items() if value}


@dataclass(slots=True)
class Draft:
    """The whole form."""

    method: str = ""  # "": the destination's
    path: str = ""
    content_type: str = ""
    fields: list[DraftField] = field(default_factory=list)
    rules: list[DraftRule] = field(default_factory=list)

    def __post_init__(self) -> None:
        _give_numbers(self.fields)
        _give_numbers(self.rules)

    def add_field(self, added: DraftField) -> int:
        """Returns its number."""
        self.fields.append(added)
        _give_numbers(self.fields)
        return added.number

    def add_rule(self) -> int:
        self.rules.append(DraftRule())
        _give_numbers(self.rules)
        return self.rules[-1].number

    @classmethod
    def of(cls, document: object) -> Self:
        """The form of a document; raises NotInForm, or MappingError when it is no mapping at all."""
        spec = read_spec(document)
        given: dict[str, Any] = spec.document
        for key, what in (("body", "a JSON template"), ("types", "types of its own"), ("query", "a query")):
            if given.get(key):
                raise NotInForm(f"It has {what} ({key}), which the form does not show.")
        draft = cls(
            method=given.get("method", ""),
            path=given.get("path", ""),
            content_type=given.get("content_type", ""),
            fields=[_field(entry) for _, entry in entries(given["fields"])] if "fields" in given else [],
            rules=[_rule(column, rule) for column, rule in given.get("rules", {}).items()],
        )
        try:
            again = read_spec(draft.document())
        except MappingError as exc:
            raise NotInForm("It has options that the form does not show.") from exc
        if replace(again, document={}) != replace(spec, document={}):
            raise NotInForm("It has options that the form does not show.")
        return draft

    def document(self) -> dict[str, object]:
        """The document as it is stored; raises MappingError for a constant that its type refuses."""
        made: dict[str, object] = {"version": 1}
        for name in ("method", "path", "content_type"):
            if getattr(self, name).strip():
                made[name] = getattr(self, name).strip()
        if filled := [each for each in self.fields if not each.is_blank]:
            made["fields"] = [each.entry(f"fields[{i}]") for i, each in enumerate(filled)]
        rules: dict[str, object] = {}
        for rule in self.rules:
            if rule.column in rules:
                raise MappingError(f"rules.{rule.column} is there twice; put all that it asks for into one.")
            if rule.column.strip() or rule.spec():
                rules[rule.column] = rule.spec()
        return made | ({"rules": rules} if rules else {})

    def blame(self, problem: str) -> str:
        """Puts a complaint beside the field or rule that it is of; returns it if it is of neither."""
        if found := self._blamed(problem):
            self.fields[found[0]].problem = found[1]
            return ""
        for rule in self.rules:
            place = f"rules.{rule.column}"
            if problem.startswith((f"{place}.", f"{place} ")):
                rule.problem = _sentence(problem[len(place) + 1 :])
                return ""
        return problem

    def worded(self, problem: str) -> str:
        """A complaint as it is said away from its field."""
        found = self._blamed(problem)
        return f"Field {self.fields[found[0]].number}: {found[1]}" if found else problem

    def _blamed(self, problem: str) -> tuple[int, str] | None:
        """Which field a complaint is of, and what it says of it. The document leaves blank ones out."""
        match = _FIELD.match(problem)
        if match is None:
            return None
        filled = [index for index, each in enumerate(self.fields) if not each.is_blank]
        return filled[int(match[1])], _sentence(problem[match.end() :])

    def picks(self, columns: list[str]) -> Iterator[tuple[str, bool]]:
        """The columns to pick from, each with whether a field takes it already."""
        taken = {each.column for each in self.fields}
        return ((column, column in taken) for column in columns if column.strip())


def _give_numbers(parts: Sequence[DraftField | DraftRule]) -> None:
    """A number stays with its part while others come and go, as the page does not count them anew."""
    last = max((part.number for part in parts), default=0)
    for part in parts:
        if not part.number:
            last += 1
            part.number = last


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _constant(type_name: str, text: str, where: str) -> object:
    if type_name == "number":
        try:
            number: object = orjson.loads(text)
        except orjson.JSONDecodeError:
            number = None
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise MappingError(f"{where}.constant must be a number such as 12.50.")
        return number
    if type_name == "yes/no":
        if text.strip().casefold() not in _FLAGS:
            raise MappingError(f"{where}.constant must be yes or no.")
        return _FLAGS[text.strip().casefold()]
    return text


def _field(entry: dict[str, Any]) -> DraftField:
    to = entry.get("to", "")
    if isinstance(to, list):
        to = "" if to == [entry.get("column")] else ".".join(to)
    if "constant" in entry:
        constant = entry["constant"]
        if isinstance(constant, str):
            return DraftField("constant", value=constant, to=to)
        if isinstance(constant, bool):
            return DraftField("constant", value="yes" if constant else "no", to=to, type="yes/no")
        if isinstance(constant, int | float):
            return DraftField("constant", value=orjson.dumps(constant).decode(), to=to, type="number")
        raise NotInForm("It has a constant that is null, a list or an object, which the form does not show.")
    made = DraftField(column=entry["column"], to=to, type=entry.get("type", "text"))
    for name in ("decimal", "thousands", "format", "by"):
        setattr(made, name, entry.get(name, getattr(made, name)))
    made.yes, made.no = (", ".join(entry.get(name, ())) for name in ("yes", "no"))
    made.empty = ROW_EMPTY if entry.get("required") else entry.get("empty", "text")
    if made.decimal not in DECIMALS or made.thousands not in THOUSANDS:
        raise NotInForm("It has another decimal or thousands sign than the form offers.")
    return made


def _rule(column: str, rule: dict[str, Any]) -> DraftRule:
    return DraftRule(
        column,
        required=rule.get("required", False),
        pattern=rule.get("pattern", ""),
        one_of="\n".join(rule.get("one_of", ())),
        unique=rule.get("unique", False),
    )
