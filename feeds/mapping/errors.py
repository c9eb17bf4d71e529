"""What can be wrong with a mapping, and with one row under it."""

from collections.abc import Sequence

SHOWN = 40  # characters of a value that a sentence quotes
LONGEST_SENTENCE = 1_000


class MappingError(Exception):
    """Raised when a mapping's document cannot be used, or when a feed lacks a column that it names.

    The text is one sentence that names the place and says what to do. It can be shown and stored
    whatever the document holds.
    """

    def __init__(self, sentence: str) -> None:
        cut = sentence if len(sentence) <= LONGEST_SENTENCE else f"{sentence[:LONGEST_SENTENCE]}…"
        super().__init__(_printable(cut))


class MissingColumns(MappingError):
    """Raised when a feed lacks columns that a mapping names; `columns` are their names."""

    def __init__(self, sentence: str, columns: Sequence[str]) -> None:
        super().__init__(sentence)
        self.columns = tuple(columns)


class RowError(Exception):
    """Raised when one row cannot be rendered; its neighbours are not concerned.

    `column` is the column's name in the feed ("" when no single column is to blame), `code` a stable
    word for programs, and the text a sentence for people.
    """

    def __init__(self, column: str, code: str, sentence: str) -> None:
        super().__init__(column, code, sentence)  # all three, so that it survives pickling
        self.column = column
        self.code = code
        self.sentence = sentence

    def __str__(self) -> str:
        return self.sentence


def quoted(value: str) -> str:
    """The value in quotes, cut, with everything that cannot be printed or stored replaced."""
    cut = value if len(value) <= SHOWN else value[: SHOWN - 1] + "…"
    return f'"{_printable(cut)}"'


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
