"""From the text of a cell to a value of a kind: strictly, never by guessing.

A kind offers two functions for a column: `to_json` gives what stands alone in a JSON body, `to_text`
what stands in a longer text, a path, a query or a form. Both raise RowError. They are called once a
cell, so they are closures with everything looked up beforehand.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from orjson import Fragment

from feeds.mapping.columns import fold
from feeds.mapping.errors import RowError, quoted

ToJson = Callable[[str], object]
ToText = Callable[[str], str]
T = TypeVar("T")

MAX_LENGTH = 100  # of a number or a word for yes and no; longer ones are a mistake, and slow to look at
MINUS = "\N{MINUS SIGN}"  # what some spreadsheets write for "-"

# What people and programs write for the same sign.
_LIKE = {" ": "\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}", "'": "\N{RIGHT SINGLE QUOTATION MARK}"}


class Kind(Protocol):
    """What a type of the document is made of."""

    @property
    def is_repetitive(self) -> bool:
        """Whether a column usually holds few different cells, so that they are worth remembering."""
        ...

    def to_json(self, column: str) -> ToJson: ...

    def to_text(self, column: str) -> ToText: ...


def as_it_is(cell: str) -> str:
    return cell


@dataclass(frozen=True, slots=True)
class Text:
    """The cell as it is: leading zeros, long numbers and spaces survive."""

    is_repetitive = False

    def to_json(self, column: str) -> ToJson:
        return as_it_is

    def to_text(self, column: str) -> ToText:
        return as_it_is


TEXT = Text()


@dataclass(frozen=True, slots=True)
class Number:
    """A decimal number. Its digits are kept as they are ("12.50", 30 digits): no float is ever made."""

    decimal: str = "."  # "" for whole numbers only
    thousands: str = ""

    is_repetitive = False

    def to_text(self, column: str) -> ToText:
        match = self._pattern().fullmatch
        thousands, alike = self.thousands, _LIKE.get(self.thousands, "")
        decimal = self.decimal
        code, what = ("not_a_number", "a number") if decimal else ("not_an_integer", "a whole number")

        def convert(cell: str) -> str:
            text = cell.strip()
            if len(text) > MAX_LENGTH or not match(text):
                raise RowError(
                    column, code, f"The column {quoted(column)} has {quoted(cell)}, which is not {what}."
                )
            if thousands:
                text = text.replace(thousands, "")
                for sign in alike:
                    text = text.replace(sign, "")
            if decimal:
                text = text.replace(decimal, ".")
            return text if text[0] in "123456789" else _as_json_writes_it(text)

        return convert

    def to_json(self, column: str) -> ToJson:
        digits = self.to_text(column)

        def convert(cell: str) -> object:
            return Fragment(digits(cell))

        return convert

    def _pattern(self) -> re.Pattern[str]:
        """Sign, whole part and fraction; thousands signs only where they belong, before three digits."""
        whole = "[0-9]+"
        if self.thousands:
            signs = re.escape(self.thousands + _LIKE.get(self.thousands, ""))
            whole = f"(?:[0-9]{{1,3}}(?:[{signs}][0-9]{{3}})+|[0-9]+)"
        decimal = re.escape(self.decimal)
        digits = f"(?:{whole}(?:{decimal}[0-9]+)?|{decimal}[0-9]+)" if decimal else whole
        return re.compile(f"[+{MINUS}-]?{digits}")


def _as_json_writes_it(text: str) -> str:
    """Without "+" and leading zeros, and with a zero before a leading point."""
    minus = "-" if text[0] in f"-{MINUS}" else ""
    whole, point, fraction = text.lstrip(f"+-{MINUS}").partition(".")
    return f"{minus}{whole.lstrip('0') or '0'}{point}{fraction}"


@dataclass(frozen=True, slots=True)
class YesNo:
    """True or false, by accepted words, compared without case, accents and spaces."""

    yes: tuple[str, ...] = ("yes", "y", "true", "t", "1", "on")
    no: tuple[str, ...] = ("no", "n", "false", "f", "0", "off")

    is_repetitive = True

    def to_json(self, column: str) -> ToJson:
        known = {fold(word): True for word in self.yes} | {fold(word): False for word in self.no}

        def convert(cell: str) -> object:
            value = known.get(fold(cell)) if len(cell) <= MAX_LENGTH else None
            if value is None:
                words = ", ".join((*self.yes, *self.no))
                raise RowError(
                    column,
                    "not_yes_or_no",
                    f"The column {quoted(column)} has {quoted(cell)}, which is none of {words}.",
                )
            return value

        return convert

    def to_text(self, column: str) -> ToText:
        to_json = self.to_json(column)
        return lambda cell: "true" if to_json(cell) else "false"


@dataclass(frozen=True, slots=True)
class Date:
    """A date or a time of a stated format, as ISO 8601."""

    format: str
    read: Callable[[str], str] = field(compare=False)

    @property
    def is_repetitive(self) -> bool:
        return "H" not in self.format

    def to_text(self, column: str) -> ToText:
        read = self.read

        def convert(cell: str) -> str:
            try:
                return read(cell.strip())
            except ValueError as exc:
                raise RowError(
                    column,
                    "not_a_date",
                    f"The column {quoted(column)} has {quoted(cell)}, which is no date like {self.format}.",
                ) from exc

        return convert

    def to_json(self, column: str) -> ToJson:
        return self.to_text(column)


@dataclass(frozen=True, slots=True)
class List:
    """A cell split by a sign, each item without the spaces around it; empty items are left out."""

    by: str
    of: Kind = TEXT

    is_repetitive = False

    def to_json(self, column: str) -> ToJson:
        return self._split(self.of.to_json(column))

    def to_texts(self, column: str) -> Callable[[str], list[str]]:
        return self._split(self.of.to_text(column))

    def to_text(self, column: str) -> ToText:
        raise NotImplementedError("A list never stands in a text; the document is refused before.")

    def _split(self, convert: Callable[[str], T]) -> Callable[[str], list[T]]:
        by = self.by
        return lambda cell: [convert(item) for part in cell.split(by) if (item := part.strip())]
