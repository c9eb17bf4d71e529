"""What a third party says in the body of a refusal: the one sentence that helps a person most."""

import re
from typing import Any

import orjson

LONGEST = 200
DEEPEST = 4
# Where receivers put it, the most telling first (RFC 9457 has detail and title).
_KEYS = ("detail", "message", "error_description", "error", "errors", "title", "reason", "description", "msg")
_WORDS = re.compile(r"\w{2,}")


def said(body: str) -> str:
    """The sentence in the body, without its full stop; "" when there is none to be found."""
    text = body.strip()
    if not text or text.startswith("<"):
        return ""
    if text[0] in "{[":
        try:
            found = _search(orjson.loads(text), DEEPEST)
        except orjson.JSONDecodeError:
            return ""
    else:
        found = text.splitlines()[0]
    line = " ".join(found.split())
    if not _WORDS.search(line):
        return ""
    return (line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…").rstrip(".")


def _search(value: Any, depth: int) -> str:
    if isinstance(value, str):
        return value
    if depth and isinstance(value, list):
        return next(filter(None, (_search(item, depth - 1) for item in value[:5])), "")
    if depth and isinstance(value, dict):
        for key in _KEYS:
            if key in value and (found := _search(value[key], depth - 1)):
                return found
        if depth < DEEPEST:  # such as {"errors": {"price": ["must be a number"]}}
            for key, member in list(value.items())[:5]:
                if found := _search(member, depth - 1):
                    return f"{key}: {found}"
    return ""
