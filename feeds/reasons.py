"""What many errors have in common: their text without what differs from row to row."""

import hashlib
import re

_VARYING = re.compile(
    r"""
      "[^"\n]*" | '[^'\n]*' | “[^”\n]*” | «[^»\n]*»            # what is quoted
    | \b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b   # UUIDs
    | (?<!answered\ )\b[A-Za-z_-]*\d[\w-]*(?:[.,:]\d+)*         # numbers, and words with digits
    """,
    re.VERBOSE | re.IGNORECASE,
)
PLACE = "…"
LONGEST = 300


def reason(error: str) -> str:
    """The error without numbers, quoted values and ids: "SKU 4711 unknown" → "SKU … unknown"."""
    text = _VARYING.sub(PLACE, " ".join(error.split()))[:LONGEST]
    return re.sub(rf"{PLACE}(?:[\s,;/]*{PLACE})+", PLACE, text)


def group_key(http_status: int | None, code: str, error: str) -> str:
    """A short stable name of the group that an error belongs to, for addresses."""
    text = f"{http_status}|{code}|{reason(error)}"
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:16]
