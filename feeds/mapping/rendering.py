"""From a feed's row to the request that is sent for it."""

from collections import abc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Self

from feeds.mapping.bodies import ToBytes
from feeds.mapping.columns import Columns
from feeds.mapping.errors import RowError, quoted
from feeds.mapping.rules import compile_rules, unique_columns
from feeds.mapping.spec import Spec, body_for, read_spec


@dataclass(frozen=True, slots=True)
class Rendered:
    """One request, but for what the destination adds: base URL, headers, signature."""

    method: str
    path: str  # "", or from "/" or "?" on: to be appended to the base URL's path
    body: bytes
    content_type: str  # the header's value; "" when there is no body


# What Rendered(...) does, without its four calls of object.__setattr__: a third of a default row's time.
_new = object.__new__
_set_method, _set_path, _set_body, _set_content_type = (
    getattr(Rendered, name).__set__ for name in ("method", "path", "body", "content_type")
)


class Mapping:
    """How a row's columns become method, path and body: declarative, without loops or expressions."""

    __slots__ = ("_spec",)

    def __init__(self, spec: Spec) -> None:
        self._spec = spec

    @classmethod
    def parse(cls, document: object) -> Self:
        """The mapping of a document: a JSON object, or its text. Validates all of it; raises MappingError."""
        return cls(read_spec(document))

    @property
    def document(self) -> dict[str, object]:
        """The document as plain JSON, to be stored; `parse` of it gives the same mapping."""
        return self._spec.document

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the document names, in its order, each once."""
        return self._spec.columns()

    def bind(
        self,
        columns: Sequence[str],
        *,
        default_method: str = "POST",
        aliases: abc.Mapping[str, str] | None = None,
    ) -> "BoundMapping":
        """The mapping made ready for rows with these columns.

        `default_method` is the destination's, for a document that names none; `aliases` say which column
        is meant by a name that the header does not have. Raises MissingColumns, or MappingError when columns
        are named alike, or when the method forbids the body.
        """
        header = Columns(columns, aliases)
        header.require(self.columns)
        method = self._spec.method or default_method
        body = body_for(self._spec.body, method)
        made = RuledMapping if self._spec.rules else BoundMapping
        bound = made(
            method=method,
            content_type=body.content_type,
            header=header,
            path=self._spec.path.compile(header),
            body=body.compile(header),
        )
        bound.unique = unique_columns(self._spec.rules, header)
        if isinstance(bound, RuledMapping):
            bound.check = compile_rules(self._spec.rules, header)
        return bound


class BoundMapping:
    """A mapping for one header. Rows do not influence each other, and threads may share it."""

    __slots__ = ("_body", "_path", "_width", "content_type", "header", "method", "unique")

    unique: tuple[tuple[str, int], ...]
    """Name and position of the columns whose values may stand in the file once only (feeds.repeats)."""

    def __init__(
        self,
        *,
        method: str,
        content_type: str,
        header: Columns,
        path: str | Callable[[Sequence[str]], str],
        body: ToBytes,
    ) -> None:
        self.method = method
        self.content_type = content_type
        self.header = header
        self.unique = ()
        self._width = len(header.names)
        self._path = path
        self._body = body

    def render(self, cells: Sequence[str]) -> Rendered:
        """The request for one row; raises RowError."""
        if len(cells) != self._width:
            raise _wrong_count(cells, self._width)
        path = self._path
        made = _new(Rendered)
        _set_method(made, self.method)
        _set_path(made, path if isinstance(path, str) else path(cells))
        _set_body(made, self._body(cells))
        _set_content_type(made, self.content_type)
        return made


class RuledMapping(BoundMapping):
    """The same with rules. A class of its own, so that rows without rules do not pay for the question."""

    __slots__ = ("check",)

    check: Callable[[Sequence[str]], None]

    def render(self, cells: Sequence[str]) -> Rendered:
        if len(cells) == self._width:
            self.check(cells)
        return super().render(cells)


def _wrong_count(cells: Sequence[str], width: int) -> RowError:
    begins = f" that begins with {quoted(cells[0])}" if cells else ""
    return RowError("", "wrong_cell_count", f"The row{begins} has {len(cells)} cells instead of {width}.")


DEFAULT: Final = Mapping.parse({})
"""Without a mapping the row is sent as a JSON object of its columns, by POST to the base URL."""
