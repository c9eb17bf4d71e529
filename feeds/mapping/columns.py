"""Finding the columns that a mapping names in the header of a feed."""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches

from feeds.mapping.errors import MappingError, MissingColumns, quoted

LISTED = 12  # columns that a sentence lists before it stops

_ACCENTS = range(0x0300, 0x0370)
_INVISIBLE = {"Cc", "Cf", "Zs", "Zl", "Zp"}


def fold(name: str) -> str:
    """The name without case, accents, spaces and invisible characters, for comparing only."""
    bare = (
        char
        for char in unicodedata.normalize("NFKD", name)
        if ord(char) not in _ACCENTS and unicodedata.category(char) not in _INVISIBLE
    )
    return "".join(bare).casefold()


class Columns:
    """The header of a feed, asked by name. An exact name wins; else names are compared folded.

    `aliases` say, for names that the header has neither way, which of its columns is meant.
    """

    def __init__(self, names: Sequence[str], aliases: Mapping[str, str] | None = None) -> None:
        self.names = tuple(names)
        self._aliases = aliases or {}
        self._exact = _positions((name, index) for index, name in enumerate(self.names))
        self._folded = _positions((fold(name), index) for index, name in enumerate(self.names))

    def index(self, name: str) -> int:
        """The position of the column of that name; raises MappingError when it is missing or not alone."""
        found = self._found(name)
        if not found:
            raise MissingColumns(self._missing([name]), [name])
        if len(found) > 1:
            raise MappingError(self._ambiguous(name, found))
        return found[0]

    def missing(self, names: Iterable[str]) -> list[str]:
        """Which of the names no column has."""
        return [name for name in names if not self._found(name)]

    def require(self, names: Iterable[str]) -> None:
        """Raises one MissingColumns that names every missing column."""
        if missing := self.missing(dict.fromkeys(names)):
            raise MissingColumns(self._missing(missing), missing)

    def require_distinct(self) -> None:
        """Raises MappingError unless every column can be a key of one JSON object."""
        for name, found in self._exact.items():
            if len(found) > 1:
                raise MappingError(self._ambiguous(name, found))
            if not _is_text(name):
                raise MappingError(f"The name of the column {quoted(name)} is not Unicode text; rename it.")
            if name == "__proto__":
                raise MappingError('A column named "__proto__" cannot be sent as a JSON key; rename it.')

    def _found(self, name: str) -> list[int]:
        return self._named(name) or self._named(self._aliases.get(name, name))

    def _named(self, name: str) -> list[int]:
        return self._exact.get(name) or self._folded.get(fold(name)) or []

    def _missing(self, names: list[str]) -> str:
        what = "column" if len(names) == 1 else "columns"
        has = ", ".join(quoted(name) for name in self.names[:LISTED])
        more = f" and {len(self.names) - LISTED} more" if len(self.names) > LISTED else ""
        return (
            f"The feed has no {what} {', '.join(quoted(name) for name in names)}{self._guess(names)}; "
            f"it has {has or 'none'}{more}. Correct the mapping or the file's header."
        )

    def _guess(self, names: list[str]) -> str:
        close = get_close_matches(fold(names[0]), self._folded, n=1, cutoff=0.75) if len(names) == 1 else []
        return f" (did you mean {quoted(self.names[self._folded[close[0]][0]])}?)" if close else ""

    def _ambiguous(self, name: str, found: list[int]) -> str:
        places = ", ".join(str(index + 1) for index in found[:LISTED])
        return (
            f"The feed has {len(found)} columns named {quoted(name)} (numbers {places}), so it is not clear "
            f"which one is meant; rename them in the file."
        )


def _is_text(name: str) -> bool:
    return not any("\ud800" <= char <= "\udfff" for char in name)


def _positions(pairs: Iterable[tuple[str, int]]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for name, index in pairs:
        found.setdefault(name, []).append(index)
    return found
