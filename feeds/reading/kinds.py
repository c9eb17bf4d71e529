"""Files that are something else than CSV, told from how they begin."""

import re

from feeds.reading.errors import Unreadable

HEAD = 64 * 1024
# More control characters than this are no text.
CONTROL_SHARE = 0.05

_SAVE_AS_CSV = "save it as CSV and upload that"
_BEGINNINGS = (
    (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        f"an old Office file such as an Excel workbook (.xls): {_SAVE_AS_CSV}",
    ),
    (b"%PDF-", "a PDF document: upload the table as CSV"),
    (b"\x89PNG", "a picture (PNG)"),
    (b"\xff\xd8\xff", "a picture (JPEG)"),
    (b"GIF8", "a picture (GIF)"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive: unpack it first"),
    (b"Rar!\x1a\x07", "a RAR archive: unpack it first"),
    (b"BZh", "a bzip2 file: unpack it first, or use gzip"),
    (b"\xfd7zXZ\x00", "an xz file: unpack it first, or use gzip"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard file: unpack it first, or use gzip"),
    (b"\x1f\x8b", "a gzip file within a gzip file: unpack it first"),
    (b"PAR1", "a Parquet file: save it as CSV"),
    (b"SQLite format 3\x00", "an SQLite database: save the table as CSV"),
    (b"\x7fELF", "a program"),
)
_ZIP_PARTS = (
    (b"xl/", f"an Excel workbook (.xlsx): {_SAVE_AS_CSV}"),
    (b"application/vnd.oasis.opendocument.spreadsheet", f"a spreadsheet (.ods): {_SAVE_AS_CSV}"),
    (b"word/", f"a Word document (.docx): {_SAVE_AS_CSV}"),
)
_CONTROLS = bytes(byte for byte in range(32) if byte not in b"\t\n\r\x0b\x0c\x1a\x1b\x1f")
_TEXTS = (
    (re.compile(r"\s*<(!doctype html|html|head|body)\b", re.IGNORECASE), "an HTML page"),
    (re.compile(r"\s*<(\?xml|[a-z][\w:.-]*(\s+[\w:.-]+=[\"'][^<>]*)?>\s*<)", re.IGNORECASE), "an XML file"),
    (re.compile(r"\s*(\{\s*(\"[^\"\n]*\"\s*:|\})|\[\s*([{\[\"]|\]))"), "a JSON file"),
)


def refuse_binary(head: bytes) -> None:
    """Raises Unreadable (`binary`) for the beginning of a file that holds no text; it may be UTF-16."""
    name = _binary_name(head)
    if name:
        raise Unreadable("binary", f"This is not a CSV file but {name}.")


def refuse_other_text(text: str) -> None:
    """Raises Unreadable (`not_csv`) for text that is written in another format."""
    for beginning, name in _TEXTS:
        if beginning.match(text):
            raise Unreadable("not_csv", f"This is not a CSV file but {name}.")


def utf16_without_mark(head: bytes) -> str:
    """`utf-16-le` or `utf-16-be` when every other byte is (nearly) always NUL; "" otherwise."""
    even, odd = head[0::2], head[1::2]
    if len(odd) < 4:
        return ""
    even_share, odd_share = even.count(0) / len(even), odd.count(0) / len(odd)
    if odd_share > 0.4 and even_share < 0.05:
        return "utf-16-le"
    return "utf-16-be" if even_share > 0.4 and odd_share < 0.05 else ""


def _binary_name(head: bytes) -> str:
    if head.startswith(b"PK\x03\x04"):
        return next((name for part, name in _ZIP_PARTS if part in head), "a ZIP archive: unpack it first")
    for beginning, name in _BEGINNINGS:
        if head.startswith(beginning):
            return name
    if head.startswith((b"\xff\xfe", b"\xfe\xff")) or utf16_without_mark(head):
        return ""
    controls = len(head) - len(head.translate(None, _CONTROLS))
    return "a file that is not text" if controls > CONTROL_SHARE * len(head) else ""
