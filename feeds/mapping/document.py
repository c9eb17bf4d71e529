"""Reading a mapping's JSON document strictly: every complaint names its place and what to do."""

import json
import math
import re
from collections.abc import Collection
from difflib import get_close_matches
from typing import Never

import orjson

from feeds.mapping.errors import MappingError, quoted

MAX_DEPTH = 20
MAX_BYTES = 256 * 1024

_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")  # in JSON; after a backslash of its own it is plain text
_PLAIN = orjson.OPT_PASSTHROUGH_SUBCLASS | orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME


def load(text: str | bytes, where: str, *, hint: str = "") -> object:
    """JSON text as a value. Unlike most readers it refuses a key given twice, NaN and infinity."""
    if len(text) > MAX_BYTES:
        raise MappingError(f"{where} is too large: at most {MAX_BYTES // 1024} KiB.")
    if isinstance(text, str):
        text = text.removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}")  # the byte order mark of Windows editors
    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=_no_constant)
    except json.JSONDecodeError as exc:
        at = f"line {exc.lineno}, column {exc.colno}"
        raise MappingError(f"{where} is not valid JSON ({at}: {exc.msg}).{hint}") from exc
    except UnicodeDecodeError as exc:
        raise MappingError(f"{where} is not UTF-8 text; save it as UTF-8.") from exc
    except RecursionError as exc:
        raise MappingError(f"{where} is nested too deeply: at most {MAX_DEPTH} levels.") from exc
    except ValueError as exc:  # ours from the hooks, and Python's for numbers of thousands of digits
        raise MappingError(f"{where} is not usable JSON: {exc}.") from exc


def own_copy(value: object, where: str) -> object:
    """A copy that nobody else holds, of plain JSON within the limits of depth and size."""
    _check(value, where, MAX_DEPTH)
    try:
        text = orjson.dumps(value, option=_PLAIN)
    except TypeError as exc:
        raise MappingError(f"{where} must be plain JSON: {exc}.") from exc
    if len(text) > MAX_BYTES:
        raise MappingError(f"{where} is too large: at most {MAX_BYTES // 1024} KiB.")
    if _NUL.search(text):
        raise MappingError(f"{where} has a NUL character in it; write it without.")
    copy: object = orjson.loads(text)
    return copy


def as_object(value: object, where: str, known: Collection[str] = ()) -> dict[str, object]:
    """The value as an object, with no keys beyond the known ones (when any are given)."""
    if not isinstance(value, dict):
        raise MappingError(f"{where} must be a JSON object, not {kind_of(value)}.")
    for key in value:
        if known and key not in known:
            close = get_close_matches(key, known, n=1)
            guess = f"; did you mean {quoted(close[0])}?" if close else f"; known are {', '.join(known)}."
            raise MappingError(f"{where} has an unknown key {quoted(key)}{guess}")
    return value


def as_text(value: object, where: str, *, least: int = 1) -> str:
    if not isinstance(value, str):
        raise MappingError(f"{where} must be text, not {kind_of(value)}.")
    if len(value.strip()) < least:
        raise MappingError(f"{where} is empty; give it a text.")
    return value


def as_flag(value: object, where: str) -> bool:
    if not isinstance(value, bool):
        raise MappingError(f"{where} must be true or false, not {kind_of(value)}.")
    return value


def as_choice(value: object, where: str, choices: Collection[str]) -> str:
    if not isinstance(value, str) or value not in choices:
        shown = quoted(value) if isinstance(value, str) else kind_of(value)
        raise MappingError(f"{where} must be one of {', '.join(choices)}, not {shown}.")
    return value


def kind_of(value: object) -> str:
    """What to call a JSON value in a sentence."""
    if value is None:
        return "null"
    names: dict[type, str] = {bool: "true or false", int: "a number", float: "a number"}
    names |= {str: "text", list: "a list", dict: "an object"}
    return names.get(type(value), "something that is not JSON")


def _check(value: object, where: str, depth: int) -> None:
    if depth < 0:
        raise MappingError(f"{where} is nested too deeply: at most {MAX_DEPTH} levels.")
    if isinstance(value, float) and not math.isfinite(value):
        raise MappingError(f"{where} holds a number that JSON does not have ({value}).")
    if isinstance(value, dict):
        for member in value.values():
            _check(member, where, depth - 1)
    elif isinstance(value, list | tuple):
        for member in value:
            _check(member, where, depth - 1)


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    made: dict[str, object] = {}
    for key, value in pairs:
        if key in made:
            raise ValueError(f"the key {quoted(key)} is given twice in one object")
        made[key] = value
    return made


def _no_constant(name: str) -> Never:
    raise ValueError(f"{name} is not a JSON number")
