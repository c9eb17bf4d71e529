"""Rules: what a column's cells must hold, beside what their types ask for.

A rule looks at the cell as it stands in the file. Patterns are run by RE2, whose time grows with the
cell's length alone, whatever the pattern: no cell can keep a worker busy. So it knows neither look-around
nor back references, and what it cannot run is refused with the document.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import re2

from feeds.mapping.columns import Columns
from feeds.mapping.document import as_flag, as_object, as_text
from feeds.mapping.errors import MappingError, RowError, quoted
from feeds.mapping.typed import missing_value

MAX_PATTERN: Final = 1_000  # characters
MAX_MEMORY: Final = 1024 * 1024  # bytes of a compiled pattern
LISTED = 8  # values that a sentence lists before it stops

_KEYS = ("required", "pattern", "one_of", "unique")

Check: TypeAlias = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Rule:
    """What the cells of one column must hold. An empty cell breaks `required` alone."""

    column: str
    required: bool = False
    pattern: str = ""  # of the whole cell
    one_of: tuple[str, ...] = ()
    unique: bool = False  # among all rows of the file; judged where the whole file is known

    def checks(self) -> list[Check]:
        """The rule as functions of a cell that raise RowError, but for `unique`."""
        checks = []
        if self.pattern:
            checks.append(_matches(self.column, self.pattern))
        if self.one_of:
            checks.append(_is_one_of(self.column, self.one_of))
        return checks


def parse_rules(value: object) -> tuple[Rule, ...]:
    """The document's rules, by column."""
    return tuple(_rule(column, spec) for column, spec in as_object(value, "rules").items())


def _rule(column: str, spec: object) -> Rule:
    where = f"rules.{column}"
    if not column.strip():
        raise MappingError("rules has an empty name; name the column that the rule is for.")
    given = as_object(spec, where, _KEYS)
    rule = Rule(
        column,
        required=as_flag(given.get("required", False), f"{where}.required"),
        pattern=_pattern(given["pattern"], f"{where}.pattern") if "pattern" in given else "",
        one_of=_values(given["one_of"], f"{where}.one_of") if "one_of" in given else (),
        unique=as_flag(given.get("unique", False), f"{where}.unique"),
    )
    if rule == Rule(column):
        raise MappingError(f"{where} asks for nothing; give it one of {', '.join(_KEYS)}, or remove it.")
    return rule


def _pattern(value: object, where: str) -> str:
    pattern = as_text(value, where)
    if len(pattern) > MAX_PATTERN:
        raise MappingError(f"{where} is too long: at most {MAX_PATTERN:,} characters.")
    try:
        _compiled(pattern)
    except re2.error as exc:
        said = exc.args[0].decode(errors="replace") if exc.args else "not a regular expression"
        raise MappingError(
            f"{where} cannot be used ({said}); write a regular expression without look-around "
            f"and back references, such as [A-Z]{{2}}[0-9]+."
        ) from exc
    except UnicodeEncodeError as exc:
        raise MappingError(f"{where} holds a character that is not Unicode text.") from exc
    return pattern


def _compiled(pattern: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = MAX_MEMORY
    options.never_capture = True
    return re2.compile(pattern.encode(), options)  # bytes, for which re2 computes no positions in a text


def _values(value: object, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise MappingError(f'{where} must be a list of texts such as ["new", "used"].')
    return tuple(as_text(item, f"{where}[{i}]") for i, item in enumerate(value))


def _matches(column: str, pattern: str) -> Check:
    fullmatch = _compiled(pattern).fullmatch

    def check(cell: str) -> None:
        try:
            matched = fullmatch(cell.encode())
        except UnicodeEncodeError:
            matched = None
        if not matched:
            raise RowError(
                column,
                "pattern_mismatch",
                f"The column {quoted(column)} has {quoted(cell)}, which does not match {quoted(pattern)}.",
            )

    return check


def _is_one_of(column: str, values: Iterable[str]) -> Check:
    listed = list(dict.fromkeys(values))
    allowed = frozenset(listed)
    more = f" and {len(listed) - LISTED} more" if len(listed) > LISTED else ""
    shown = ", ".join(quoted(value) for value in listed[:LISTED]) + more

    def check(cell: str) -> None:
        if cell not in allowed:
            raise RowError(
                column, "not_one_of", f"The column {quoted(column)} has {quoted(cell)}; allowed are {shown}."
            )

    return check


def compile_rules(rules: Iterable[Rule], columns: Columns) -> Callable[[Sequence[str]], None]:
    """A function of a row's cells that raises RowError for the first rule, in their order, that it breaks."""
    compiled = [(columns.index(rule.column), rule, rule.checks()) for rule in rules]

    def check(cells: Sequence[str]) -> None:
        for index, rule, checks in compiled:
            cell = cells[index]
            if not cell or cell.isspace():
                if rule.required:
                    raise missing_value(rule.column)
                continue
            for each in checks:
                each(cell)

    return check


def unique_columns(rules: Iterable[Rule], columns: Columns) -> tuple[tuple[str, int], ...]:
    """Name and position of each column whose values may stand in the file once only."""
    return tuple((rule.column, columns.index(rule.column)) for rule in rules if rule.unique)


def not_unique(column: str, cell: str, first: int) -> RowError:
    """The error of a row that has again what an earlier row has."""
    return RowError(
        column,
        "not_unique",
        f"The column {quoted(column)} has {quoted(cell)}, which row {first} has already.",
    )
