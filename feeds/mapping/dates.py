"""Dates of a stated format, read strictly and written as ISO 8601."""

import re
from collections.abc import Callable
from datetime import date, datetime

from feeds.mapping.errors import MappingError, quoted

TOKENS = {
    "YYYY": r"(?P<year>[0-9]{4})",
    "YY": r"(?P<short>[0-9]{2})",
    "MM": r"(?P<month>[0-9]{2})",
    "M": r"(?P<month>[0-9]{1,2})",
    "DD": r"(?P<day>[0-9]{2})",
    "D": r"(?P<day>[0-9]{1,2})",
    "HH": r"(?P<hour>[0-9]{2})",
    "H": r"(?P<hour>[0-9]{1,2})",
    "mm": r"(?P<minute>[0-9]{2})",
    "ss": r"(?P<second>[0-9]{2})",
}
_TOKEN = re.compile("(YYYY|YY|MM|M|DD|D|HH|H|mm|ss)")
_LEGEND = "YYYY or YY, MM or M, DD or D, HH or H, mm and ss"
_PIVOT = "69"  # POSIX: 69 to 99 are 1969 to 1999, 00 to 68 are 2000 to 2068


def compile_format(text: str, where: str) -> Callable[[str], str]:
    """A function from a text in this format to ISO 8601; it raises ValueError for any other text.

    Made of digits and fixed signs only, so that no server's locale or language has a say.
    """
    parts = _TOKEN.split(text)
    literals, tokens = parts[::2], parts[1::2]
    _check_literals(text, literals, where)
    _check_tokens(text, tokens, literals, where)
    pattern = re.compile("".join(TOKENS[p] if i % 2 else re.escape(p) for i, p in enumerate(parts)))
    return _with_time(pattern) if "hour" in pattern.groupindex else _without_time(pattern)


def _without_time(pattern: re.Pattern[str]) -> Callable[[str], str]:
    match, order, century = pattern.fullmatch, _order(pattern), _century(pattern)

    def read(text: str) -> str:
        found = match(text)
        if found is None:
            raise ValueError
        year, month, day = found.group(*order)
        made = f"{century(year)}-{month.zfill(2)}-{day.zfill(2)}"
        date.fromisoformat(made)  # raises ValueError for the 30th of February
        return made

    return read


def _with_time(pattern: re.Pattern[str]) -> Callable[[str], str]:
    match, order, century = pattern.fullmatch, _order(pattern), _century(pattern)
    missing = ":00" * (6 - len(order))

    def read(text: str) -> str:
        found = match(text)
        if found is None:
            raise ValueError
        year, month, day, *time = found.group(*order)
        hours = ":".join([part.zfill(2) for part in time])
        made = f"{century(year)}-{month.zfill(2)}-{day.zfill(2)}T{hours}{missing}"
        datetime.fromisoformat(made)
        return made

    return read


def _order(pattern: re.Pattern[str]) -> list[int]:
    """The numbers of the pattern's groups from the year on."""
    names = ("year", "short", "month", "day", "hour", "minute", "second")
    return [pattern.groupindex[name] for name in names if name in pattern.groupindex]


def _century(pattern: re.Pattern[str]) -> Callable[[str], str]:
    if "year" in pattern.groupindex:
        return str
    return lambda year: f"19{year}" if year >= _PIVOT else f"20{year}"


def _check_literals(text: str, literals: list[str], where: str) -> None:
    strange = [char for part in literals for char in part if char.isalnum() and char not in "TZ"]
    if strange:
        sign = quoted("%" if "%" in text else strange[0])
        raise MappingError(
            f"{where} {quoted(text)} has a {sign} that means nothing; write it with {_LEGEND}."
        )


def _check_tokens(text: str, tokens: list[str], literals: list[str], where: str) -> None:
    letters = [token[0] for token in tokens]
    if len(set(letters)) < len(letters) or not {"Y", "M", "D"} <= set(letters):
        raise MappingError(f"{where} {quoted(text)} must have year, month and day once each: {_LEGEND}.")
    for smaller, larger in (("s", "m"), ("m", "H")):
        if smaller in letters and larger not in letters:
            raise MappingError(f"{where} {quoted(text)} has minutes or seconds without hours: {_LEGEND}.")
    for i, between in enumerate(literals[1:-1]):
        if not between and 1 in (len(tokens[i]), len(tokens[i + 1])):
            raise MappingError(
                f"{where} {quoted(text)} needs a sign between {tokens[i]} and {tokens[i + 1]}."
            )
