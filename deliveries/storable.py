"""Text from outside, made fit to be stored.

PostgreSQL refuses NUL in text and in JSON, and no database takes a lone surrogate. What a third party sent is
changed here, before it is stored: a send is never repeated because its record could not be written.
"""

import codecs

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

# Only codecs that are quick, and that give text and no surrogates for any bytes under "replace".
READABLE_CHARSETS = frozenset(
    {"ascii", "big5", "cp1250", "cp1251", "cp1252", "euc_jp", "euc_kr", "gb18030", "gbk", "iso8859-1"}
    | {"iso8859-2", "iso8859-5", "iso8859-9", "iso8859-15", "koi8-r", "shift_jis", "utf-16"}
)


def storable(text: str, limit: int) -> str:
    """The text without NUL and lone surrogates, in at most `limit` bytes of UTF-8."""
    if "\0" in text:
        text = text.replace("\0", REPLACEMENT)
    if len(text) <= limit and text.isascii():
        return text
    # "replace" writes a lone surrogate as "?"; "ignore" drops a character that the limit cut in two.
    return text.encode("utf-8", "replace")[:limit].decode("utf-8", "ignore")


def storable_bytes(data: bytes, limit: int, *, charset: str = "") -> str:
    """The bytes as storable text: as UTF-8 if they are that, else in the charset that was declared."""
    # No charset needs more than four bytes for one character; the rest would be cut off anyway.
    data = data[: limit * 4]
    try:
        return storable(data.decode("utf-8"), limit)
    except UnicodeDecodeError:
        return storable(data.decode(_readable(charset), "replace"), limit)


def header_text(value: bytes, limit: int) -> str:
    """A header or status reason as storable text: UTF-8, or Latin-1 as HTTP has it."""
    return storable_bytes(value, limit, charset="latin-1")


def _readable(charset: str) -> str:
    try:
        name = codecs.lookup(charset).name
    except (LookupError, ValueError):
        return "utf-8"
    return name if name in READABLE_CHARSETS else "utf-8"
