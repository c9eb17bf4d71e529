"""Making any upload a plain UTF-8 file, so that a position in it is a byte."""

import codecs
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from feeds.reading.encoding import UTF8_MARK, Found, decoded, find_encoding, is_encoded, known, label
from feeds.reading.errors import Unreadable
from feeds.reading.kinds import HEAD, refuse_binary, utf16_without_mark
from feeds.reading.lines import no_progress
from feeds.reading.unpacking import MAGIC, unpack


@dataclass(frozen=True, slots=True)
class Normalised:
    """A file that can be read."""

    path: Path  # the plain UTF-8 file: the source itself, or the copy
    encoding: str  # what the source was written in
    converted: bool  # whether there is a copy
    note: str  # a sentence for people when the encoding was guessed; else ""


def normalise(
    source: Path, target: Path, *, encoding: str | None = None, progress: Callable[[], None] = no_progress
) -> Normalised:
    """Makes `source` readable: unpacked, UTF-8, no byte order mark; line ends and all else as it was.

    `target` is written only if the source is not so already; nothing is left there after an error. `encoding`
    is what a person said, and then not doubted. `progress` is called at least once per MB.

    Raises Unreadable (`empty`, `binary`, `truncated_gzip`, `broken_gzip`, `gzip_ratio`, `unknown_encoding`,
    `wrong_encoding`).
    """
    packed = _head(source).startswith(MAGIC)
    unpacked = target.with_name(target.name + ".unpacked") if packed else source
    try:
        if packed:
            unpack(source, unpacked, progress)
        found = _found(unpacked, encoding, progress)
        if not found.plain:
            _convert(unpacked, target, found, progress)
        elif packed:
            unpacked.replace(target)
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    finally:
        if packed:
            unpacked.unlink(missing_ok=True)
    converted = packed or not found.plain
    return Normalised(target if converted else source, found.encoding, converted, _note(found))


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD)


def _found(path: Path, encoding: str | None, progress: Callable[[], None]) -> Found:
    head = _head(path)
    if not head:
        raise Unreadable("empty", "The file is empty.")
    refuse_binary(head)
    if encoding is None:
        return find_encoding(path, progress)
    name = known(encoding)
    if name == "utf-16" and not head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        name = utf16_without_mark(head) or name
    if not is_encoded(path, name, progress):
        raise _wrong(name)
    return Found(name, len(UTF8_MARK) if head.startswith(UTF8_MARK) and name == "utf-8" else 0, guessed=False)


def _convert(source: Path, target: Path, found: Found, progress: Callable[[], None]) -> None:
    try:
        with target.open("w", encoding="utf-8", newline="") as plain:
            for number, text in enumerate(decoded(source, found.encoding, found.mark, progress)):
                plain.write(text if number else text.removeprefix("\ufeff"))
    except UnicodeError as error:  # also a surrogate without its other half, which UTF-8 has no bytes for
        raise _wrong(found.encoding) from error


def _wrong(encoding: str) -> Unreadable:
    return Unreadable("wrong_encoding", f"The file cannot be read as {label(encoding)}.")


def _note(found: Found) -> str:
    return f"Read as {label(found.encoding)}, because the file is not UTF-8." if found.guessed else ""
