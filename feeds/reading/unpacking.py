"""Unpacking gzip, with a guard against files that unpack to far more than they are."""

import zlib
from collections.abc import Callable
from pathlib import Path

from feeds.reading.errors import Unreadable

MAGIC = b"\x1f\x8b"
BLOCK = 256 * 1024
PROGRESS_EVERY = 512 * 1024
# CSV packs 5 to 30 times smaller, the most monotonous about 200 times; a bomb more than 1,000 times.
MOST_RATIO = 250
# Below this size no ratio is asked about.
FREE_SIZE = 64 * 1024 * 1024


def unpack(source: Path, target: Path, progress: Callable[[], None]) -> None:
    """Writes the content of a gzip file, of one or several members, to `target`.

    Raises Unreadable (`truncated_gzip`, `broken_gzip`, `gzip_ratio`).
    """
    read = written = reported = 0
    stream = zlib.decompressobj(wbits=31)
    with source.open("rb") as packed, target.open("wb") as plain:
        while block := packed.read(BLOCK):
            read += len(block)
            more = True
            while more:
                if stream.eof:
                    block = block.lstrip(b"\0")  # padding
                    if not block:
                        break
                    stream = zlib.decompressobj(wbits=31)  # the next member
                data = _unpacked(stream, block)
                written += plain.write(data)
                if written > max(FREE_SIZE, MOST_RATIO * read):
                    raise Unreadable(
                        "gzip_ratio", "The gzip file unpacks to suspiciously much: it is not read."
                    )
                if written - reported >= PROGRESS_EVERY:
                    reported = written
                    progress()
                block = stream.unconsumed_tail or stream.unused_data
                more = bool(block) or len(data) == BLOCK  # more output may wait without any input
    if not stream.eof:
        raise Unreadable("truncated_gzip", "The gzip file is not complete: its end is missing.")


def _unpacked(stream: "zlib._Decompress", block: bytes) -> bytes:
    try:
        return stream.decompress(block, BLOCK)
    except zlib.error as error:
        raise Unreadable("broken_gzip", "The gzip file is damaged and cannot be unpacked.") from error
