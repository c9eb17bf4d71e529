"""What many errors have in common: their text without what differs from row to row."""

import hashlib
import re
from functools import lru_cache

_VARYING = re.compile(
    r"""
      "[^"\n]*" | '[^'\n]*' | “[^”\n]*” | «[^»\n]*»            # what is quoted
    | \b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b   # UUIDs
    | (?<!answered\ )[-+]?\b[A-Za-z_-]*\d[\w-]*(?:[.,:]\d+)*    # numbers, and words with digits
    """,
    re.VERBOSE | re.IGNORECASE,
)
_QUOTED = re.compile(r'"[^"\n]*"')
_ZEROS = bytes.maketrans(b"123456789", b"000000000")
PLACE = "…"
LONGEST = 300


def reason(error: str) -> str:
    """The error without numbers, quoted values and ids: "SKU 4711 unknown" → "SKU … unknown".

    The groups of failures are stored under what this says: a change of it needs them counted anew.
    """
    text = _VARYING.sub(PLACE, " ".join(error.split()))[:LONGEST]
    return re.sub(rf"{PLACE}(?:[\s,;/]*{PLACE})+", PLACE, text)


def group_key(http_status: int | None, code: str, error: str) -> str:
    """A short stable name of the group that an error belongs to, for addresses."""
    # As bytes, of which a digit takes a twentieth of the time that it takes in a text.
    alike = _QUOTED.sub('"0"', error).encode(errors="replace").translate(_ZEROS)
    return _group_key(http_status, code, alike)


@lru_cache(maxsize=4096)
def _group_key(http_status: int | None, code: str, alike: bytes) -> str:
    """`alike` is the same for most errors of a group, at little cost: a page asks for thousands."""
    text = f"{http_status}|{code}|{reason(alike.decode())}"
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:16]
