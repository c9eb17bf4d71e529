"""Which rows have again what an earlier row of the file has, where a column's values must be unique.

Found once, when the file is checked, and stored beside it: so the import says the same as the check, after
a crash too. The first row in the file wins, even if something else is wrong with it. Memory stays small:
the values' digests are dealt out to files, and one of these at a time is gone through.
"""

import heapq
import os
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from hashlib import blake2b
from pathlib import Path
from struct import Struct
from tempfile import TemporaryDirectory
from typing import IO, NamedTuple

from feeds.reading import Record
from feeds.reading.lines import no_progress

PILES = 64  # a million rows make piles of 16,000 digests
_SEEN = Struct("<16sQHB")  # digest, row, which unique column, whether the row is invalid anyway
_REPEAT = Struct("<QQH")


class Repeat(NamedTuple):
    """A row that is invalid because of an earlier one."""

    number: int
    first: int  # the row that had the value first
    which: int  # the unique column, counted from 0


class RepeatFinder:
    """Takes the rows of a file in their order, then writes which of them repeat."""

    def __init__(self, folder: Path, places: Sequence[int]) -> None:
        self._places = list(enumerate(places))
        self._stack = ExitStack()
        self._desk = Path(self._stack.enter_context(TemporaryDirectory(prefix="repeats-", dir=folder)))
        self._piles: list[IO[bytes]] = [
            self._stack.enter_context((self._desk / str(number)).open("w+b", buffering=1 << 14))
            for number in range(PILES)
        ]

    def __enter__(self) -> "RepeatFinder":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def note(self, record: Record, *, invalid: bool) -> None:
        """Remembers a row's values; empty ones repeat nothing."""
        for which, place in self._places:
            cell = record.cells[place]
            if cell and not cell.isspace():
                digest = blake2b(
                    cell.encode(errors="surrogatepass"), digest_size=16, salt=which.to_bytes(2, "big")
                )
                key = digest.digest()
                self._piles[key[0] % PILES].write(_SEEN.pack(key, record.number, which, invalid))

    def write(self, path: Path, *, progress: Callable[[], None] = no_progress) -> int:
        """Stores the rows that repeat and are not invalid anyway, in their order; returns how many."""
        runs = []
        for pile in self._piles:
            runs.append(self._run(pile))
            progress()
        count = last = 0
        fresh = self._desk / "repeats"
        with fresh.open("wb") as file:
            for repeat in heapq.merge(*runs):
                if repeat.number != last:  # two columns of one row make it invalid once
                    count, last = count + 1, repeat.number
                    file.write(_REPEAT.pack(*repeat))
        fresh.replace(path)
        return count

    def _run(self, pile: IO[bytes]) -> Iterator[Repeat]:
        """The repeats of one pile, by row; on disk again, for there may be as many as rows."""
        pile.seek(0)
        repeats = list(_repeats(_SEEN.iter_unpack(pile.read())))
        pile.seek(0)
        pile.truncate()
        pile.writelines(_REPEAT.pack(*repeat) for repeat in repeats)
        pile.flush()
        pile.seek(0)
        return _read(pile)


def _repeats(seen: Iterable[tuple[bytes, int, int, int]]) -> Iterator[Repeat]:
    firsts: dict[bytes, int] = {}
    for digest, number, which, invalid in seen:
        first = firsts.setdefault(digest, number)
        if first != number and not invalid:
            yield Repeat(number, first, which)


def _read(file: IO[bytes]) -> Iterator[Repeat]:
    while block := file.read(_REPEAT.size):
        yield Repeat(*_REPEAT.unpack(block))


def read_repeats(path: Path, first: int, last: int) -> dict[int, Repeat]:
    """The repeats among the rows from `first` to `last`, by number."""
    with path.open("rb") as file:
        count = file.seek(0, os.SEEK_END) // _REPEAT.size

        def number(index: int) -> int:
            file.seek(index * _REPEAT.size)
            found: int = _REPEAT.unpack(file.read(_REPEAT.size))[0]
            return found

        file.seek(bisect_left(range(count), first, key=number) * _REPEAT.size)
        block = file.read((last - first + 1) * _REPEAT.size)
    found = (Repeat(*values) for values in _REPEAT.iter_unpack(block))
    return {repeat.number: repeat for repeat in found if repeat.number <= last}
