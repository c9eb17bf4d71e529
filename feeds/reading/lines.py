"""The physical lines of a plain UTF-8 file, a block at a time, each with its length in bytes."""

import io
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from feeds.reading.errors import Unreadable

BLOCK = 64 * 1024
PROGRESS_EVERY = 1024 * 1024
# A row, and so a line, that is longer is invalid: memory stays bounded whatever the file.
ROW_LIMIT = 4 * 1024 * 1024
# So much of a longer line is kept, to be shown.
KEPT_OF_LONG_LINE = 4096


def no_progress() -> None:
    """For callers who do not watch."""


class LineReader:
    """Reads a file from a byte on. Lines end with LF, CRLF or CR, and keep their ends."""

    def __init__(self, path: Path, byte: int = 0, progress: Callable[[], None] = no_progress) -> None:
        self._file = path.open("rb", buffering=0)
        self._file.seek(byte)
        self._progress = progress
        self._unreported = 0
        self._rest = b""
        self.final = False  # True once the last line has been given

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def read(self, size: int = BLOCK) -> tuple[list[str], list[int]]:
        """The next lines, about `size` bytes of them, and the bytes of each; both empty at the end.

        Of a line over `ROW_LIMIT` only the beginning may be given; its length is the true one.
        """
        data = self._rest
        while not self.final:
            more = self._more(size)
            data += more
            self.final = not more
            cut = len(data) if self.final else _end_of_last_line(data)
            if cut:
                self._rest = data[cut:]
                return _lines(data[:cut])
            if len(data) > ROW_LIMIT:
                return self._long_line(data)
        self._rest = b""
        return _lines(data)

    def _long_line(self, data: bytes) -> tuple[list[str], list[int]]:
        kept, length = data[:KEPT_OF_LONG_LINE], len(data)
        # A CR that ended the block may have its LF in the next one: it is looked at again.
        last, length = data[-1:], length - 1
        while True:
            more = self._more(BLOCK)
            self.final = not more
            last += more
            cut = len(last) if self.final else _end_of_first_line(last)
            if cut:
                self._rest = last[cut:]
                return [kept.decode(errors="ignore")], [length + cut]
            length += len(last) - 1
            last = last[-1:]

    def _more(self, size: int) -> bytes:
        data = self._file.read(size)
        self._unreported += len(data)
        if self._unreported >= PROGRESS_EVERY:
            self._unreported = 0
            self._progress()
        return data


def _end_of_last_line(data: bytes) -> int:
    """Where the last whole line ends; a CR as the last byte may be half of a CRLF, and is left for later."""
    return max(data.rfind(b"\n"), data.rfind(b"\r", 0, -1)) + 1


def _end_of_first_line(data: bytes) -> int:
    ends = [at for at in (data.find(b"\n"), data.find(b"\r", 0, -1)) if at >= 0]
    if not ends:
        return 0
    end = min(ends)
    return end + 2 if data[end : end + 2] == b"\r\n" else end + 1


def _lines(data: bytes) -> tuple[list[str], list[int]]:
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise Unreadable("wrong_encoding", "The file is not UTF-8: it has to be converted first.") from error
    # Unlike str.splitlines, this knows only the three line ends.
    lines = io.StringIO(text, newline="").readlines()
    if text.isascii():
        return lines, list(map(len, lines))
    return lines, [len(line.encode()) for line in lines]
