"""The beginning of a file, for whoever wants to know at once what it holds."""

import codecs
import zlib
from dataclasses import dataclass
from pathlib import Path

from feeds.reading.errors import Unreadable
from feeds.reading.kinds import HEAD, refuse_binary
from feeds.reading.normalising import normalise
from feeds.reading.unpacking import MAGIC

# More than detection ever looks at, so that it finds the same as in the whole file.
LOOKED_AT = 9 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Beginning:
    """Some of a file, which can be read."""

    path: Path  # plain UTF-8
    whole: bool  # it is all of the file


def read_beginning(source: Path, target: Path) -> Beginning | None:
    """Makes the first `LOOKED_AT` bytes of a file readable, as `normalise` would make all of it.

    None when a part does not tell how the whole is to be read. `target` is written only where needed.

    Raises Unreadable as `normalise` does.
    """
    with source.open("rb") as file:
        head = file.read(LOOKED_AT + 1)
    if head.startswith(MAGIC):
        head = _unpacked(head)
    elif len(head) <= LOOKED_AT:
        return Beginning(normalise(source, target).path, whole=True)
    refuse_binary(head[:HEAD])
    return _part(head[:LOOKED_AT], target)


def _unpacked(head: bytes) -> bytes:
    try:
        return zlib.decompressobj(wbits=31).decompress(head, LOOKED_AT)
    except zlib.error as error:
        raise Unreadable("broken_gzip", "The gzip file is damaged and cannot be unpacked.") from error


def _part(head: bytes, target: Path) -> Beginning | None:
    """Only of UTF-8: another encoding is guessed from the whole file."""
    try:
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(head)  # a character may be cut in two
    except UnicodeDecodeError:
        return None
    end = max(text.rfind("\n"), text.rfind("\r")) + 1
    if not end:
        return None
    target.write_text(text[:end], encoding="utf-8", newline="")
    return Beginning(target, whole=False)
