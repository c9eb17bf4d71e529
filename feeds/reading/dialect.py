"""How a CSV file is written: what stands between its cells, around them, and before its rows."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one file is written, as detected or as a person said.

    The delimiter `", "` is a comma and the spaces after it. A quote within quotes is doubled. An `escape`
    takes away the meaning of a quote, a delimiter or itself; before all else it is an ordinary character.

    Raises ValueError for a delimiter, quote or escape that cannot be one.
    """

    delimiter: str = ","  # "": the file has one column, and nothing splits its lines
    quote: str = '"'  # "": nothing is quoted
    escape: str = ""  # "": only doubled quotes
    preamble: int = 0  # physical lines before the header, or before the first row when there is no header
    has_header: bool = True
    header_rows: int = 1  # rows that the header takes when there is one; their names are joined
    columns: int = 0  # cells of a good row; 0: as many as the header (or else the first row) has
    encoding: str = "utf-8"  # what the uploaded file was written in; what is read is always UTF-8
    newline: str = "\n"  # the most frequent line end; any of the three ends a line

    def __post_init__(self) -> None:
        marks = self.delimiter, self.quote, self.escape
        if self.delimiter != ", " and any(len(mark) > 1 or mark in ("\n", "\r", "\0") for mark in marks):
            raise ValueError("Delimiter, quote and escape are one character each, or a comma and a space.")
        if len(set(filter(None, marks))) < sum(map(bool, marks)):
            raise ValueError("Delimiter, quote and escape must be different characters.")

    def to_json(self) -> dict[str, Any]:
        """The dialect as plain values, for a JSON column."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """The dialect that `to_json` gave; names that this version does not know are ignored."""
        known = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in values.items() if name in known})
