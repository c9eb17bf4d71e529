"""Which encoding a file is in: its mark, then strict UTF-8 over the whole file, then a careful guess."""

import codecs
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from charset_normalizer import from_bytes

from feeds.reading.errors import Unreadable
from feeds.reading.kinds import HEAD, utf16_without_mark

BLOCK = 1024 * 1024
# Lines with other characters than ASCII that the guess looks at, in bytes.
GUESSED_FROM = 32 * 1024
UTF8_MARK = codecs.BOM_UTF8
_WESTERN = "cp1252"
# Tried when the bytes make no sense as windows-1252, and the hint makes none either.
_OTHERS = ("cp1250", "iso8859_2", "cp1251", "cp850", "cp852", "mac_roman")
# More signs than this where letters should be, and the bytes mean something else.
ODD_SHARE = 0.05
# So few letters outside ASCII say nothing about a script.
FEW_LETTERS = 3
_ASCII = bytes(range(32, 127))
_LATIN_END = "\u024f"
# Apostrophe, middle dot, dashes, no-break space.
_WITHIN_WORDS = "\u2019\u00b7\u2013\u2014\u00a0\u00ad"
# In these languages windows-1250, -1254 and so on differ from windows-1252 in letters only, so that nothing
# would stand out. In others the hint takes one for the other without need.
_NOT_WESTERN = {
    "Polish", "Czech", "Slovak", "Hungarian", "Romanian", "Croatian", "Slovene", "Turkish",
    "Lithuanian", "Latvian", "Estonian", "Vietnamese",
}  # fmt: skip
_LABELS = {
    "utf-8": "UTF-8",
    "utf-8-sig": "UTF-8",
    "latin-1": "ISO 8859-1",
    "mac_roman": "Mac Roman",
    "utf-16": "UTF-16",
    "utf-16-le": "UTF-16",
    "utf-16-be": "UTF-16",
}


class Found(NamedTuple):
    """The encoding of a file."""

    encoding: str  # Python's name for it
    mark: int  # bytes at the beginning that are no text
    guessed: bool

    @property
    def plain(self) -> bool:
        """Whether the file is what is read, as it is."""
        return self.encoding in ("utf-8", "ascii") and not self.mark


def find_encoding(path: Path, progress: Callable[[], None]) -> Found:
    """The encoding of a file that is not packed; reads it whole unless it has a mark."""
    with path.open("rb") as file:
        head = file.read(HEAD)
    for mark, encoding in (
        (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
        (codecs.BOM_UTF32_BE, "utf-32-be"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    ):
        if head.startswith(mark):
            return Found(encoding, len(mark), guessed=False)
    if is_encoded(path, "utf-8", progress):
        return Found("utf-8", len(UTF8_MARK) if head.startswith(UTF8_MARK) else 0, guessed=False)
    utf16 = utf16_without_mark(head)
    return Found(utf16 or guess(path, progress), 0, guessed=True)


def known(encoding: str) -> str:
    """Python's name of an encoding that a person chose. Raises Unreadable (`unknown_encoding`)."""
    try:
        info = codecs.lookup(encoding)
    except LookupError as error:
        raise Unreadable("unknown_encoding", f"There is no encoding called {encoding}.") from error
    if not info._is_text_encoding:
        raise Unreadable("unknown_encoding", f"{encoding} is not an encoding of text.")
    return info.name


def label(encoding: str) -> str:
    """The name of an encoding for people."""
    if encoding in _LABELS:
        return _LABELS[encoding]
    if encoding.startswith("cp125"):
        return f"windows-{encoding[2:]}"
    return encoding.replace("_", "-").upper()


def is_encoded(path: Path, encoding: str, progress: Callable[[], None]) -> bool:
    """Whether the whole file can be read in the encoding."""
    try:
        for _ in decoded(path, encoding, 0, progress):
            pass
    except UnicodeError:  # of UTF-16 without a mark not its subclass for decoding
        return False
    return True


def decoded(path: Path, encoding: str, start: int, progress: Callable[[], None]) -> Iterator[str]:
    """The text of a file from a byte on, a block at a time. Raises UnicodeError."""
    decoder = codecs.getincrementaldecoder(encoding)()
    with path.open("rb") as file:
        file.seek(start)
        while block := file.read(BLOCK):
            yield decoder.decode(block)
            progress()
    yield decoder.decode(b"", final=True)


def guess(path: Path, progress: Callable[[], None]) -> str:
    """The most likely encoding of a file that is not UTF-8: windows-1252 unless it makes no sense."""
    sample = _telling_lines(path)
    hint = from_bytes(sample).best()
    hinted = hint.encoding if hint else _WESTERN
    language = hint.language if hint else ""
    first = [hinted, _WESTERN] if language in _NOT_WESTERN else [_WESTERN, hinted]
    for encoding in (*first, *_OTHERS):
        if _makes_sense(sample, encoding) and is_encoded(path, encoding, progress):
            return encoding
    return _WESTERN if is_encoded(path, _WESTERN, progress) else "latin-1"


def _telling_lines(path: Path) -> bytes:
    """Lines that are not plain ASCII, from the whole file, as far as they are needed."""
    found: list[bytes] = []
    size = 0
    with path.open("rb") as file:
        while size < GUESSED_FROM and (line := file.readline(BLOCK)):
            if not line.isascii():
                found.append(line[:4096])
                size += len(found[-1])
    return b"".join(found)


def _makes_sense(sample: bytes, encoding: str) -> bool:
    """Whether the bytes, read so, look like words of a language.

    No sign stands between two letters, no capital behind a small letter, no letter of another script beside
    an ASCII one, and in a Latin script, letters outside ASCII are not most of the text.
    """
    try:
        # A hint may be an encoding of mainframes, in which even digits are other bytes.
        if _ASCII.decode(encoding) != _ASCII.decode("ascii"):
            return False
        text = sample.decode(encoding)
    except (UnicodeDecodeError, LookupError):
        return False
    foreign = sum(character.isalpha() and not character.isascii() for character in text)
    latin = sum(character.isalpha() and character.isascii() for character in text)
    neighbours = zip(" " + text, text, text[1:] + " ", strict=False)
    odd = sum(not middle.isascii() and _is_odd(before, middle, after) for before, middle, after in neighbours)
    if odd > ODD_SHARE * (foreign + odd):
        return False
    return foreign <= max(latin, FEW_LETTERS) or any(
        character > _LATIN_END and character.isalpha() for character in text
    )


def _is_odd(before: str, character: str, after: str) -> bool:
    if not character.isalpha() or character in "\u00aa\u00ba":  # ª and º, which count as letters
        return before.isalpha() and after.isalpha() and character not in _WITHIN_WORDS
    if character > _LATIN_END:
        return any(beside.isascii() and beside.isalpha() for beside in (before, after))
    return character.isupper() and before.islower()
