"""What kind of value a cell looks like. Only for telling dialects and headers apart: values stay text."""

import re

_KINDS = {
    kind: re.compile(pattern, re.IGNORECASE)
    for kind, pattern in {
        "number": r"[-+(]?\s?[$€£¥]?\s?[-+]?(\d+|\d{1,3}([.,' \u00a0]\d{3})+)?([.,]?\d+)(e[-+]?\d+)?"
        r"\s?(%|[$€£¥]|eur|usd|zł)?\)?",
        "time": r"(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.](\d{4}|\d{2}))"
        r"([ t]\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?\s?(z|[-+]\d{2}:?\d{2}|am|pm)?)?|\d{1,2}:\d{2}(:\d{2})?",
        "email": r"[^@\s,;|]+@[^@\s,;|]+\.[a-z]{2,}",
        "url": r"(https?|ftp)://\S+",
        "flag": r"yes|no|true|false|y|n|ja|nein|tak|nie|oui|non",
        "json": r"\{.*\}|\[.*\]",
    }.items()
}
# Longer text is not held against the patterns that go back and forth in it.
LONGEST_VALUE = 64
LONGEST_URL = 2000
_LONG_KINDS = {name: _KINDS[name] for name in ("url", "json")}
_CODE = re.compile(r"(?=\S*\d)\S+")
_PLACEHOLDERS = {"n/a", "na", "null", "none", "nan", "-", "--", "?", "unknown", "nil"}


def kind(cell: str) -> str:
    """`number`, `time`, `email`, `url`, `flag`, `json`, `code` (one word with digits); "" for other text."""
    text = cell.strip()
    if not text or len(text) > LONGEST_URL:
        return ""
    kinds = _KINDS if len(text) <= LONGEST_VALUE else _LONG_KINDS
    for name, pattern in kinds.items():
        if pattern.fullmatch(text):
            return name
    return "code" if len(text) <= LONGEST_VALUE and _CODE.fullmatch(text) else ""


def is_placeholder(cell: str) -> bool:
    """Whether a cell says that its value is missing."""
    return cell.strip().lower() in _PLACEHOLDERS
