"""The path and query of a request. No cell can change the host, the path's structure or the query's.

Every place is percent-encoded down to letters, digits and `-._~`; an empty place in the path, or a
segment that becomes "." or "..", makes the row invalid.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import quote

from feeds.mapping.columns import Columns
from feeds.mapping.document import as_object, as_text
from feeds.mapping.errors import MappingError, RowError, quoted
from feeds.mapping.places import Parts, Place, compile_text, parse_parts, places_of, within_text
from feeds.mapping.typed import Omitted, Types, missing_value

MAX_LENGTH = 8_000  # of path and query together: what servers take at most (RFC 9110, 4.1)

ToPath: TypeAlias = Callable[[Sequence[str]], str]

_DOTS = (".", "..")
_CONTROL = re.compile(r"[\x00-\x20\x7f]")
_LONE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_ENCODED_DOT = re.compile(r"%2[eE]")  # the same as "." to every server (RFC 3986, 2.3)
_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]+")
_KEPT = "%!$&'()*+,;=:@"  # signs of the mapping's own text that stay


@dataclass(frozen=True, slots=True)
class PathTemplate:
    """What is appended to the base URL's path: segments, and the parameters of a query."""

    segments: tuple[Parts, ...] = ()
    query: tuple[tuple[str, Parts], ...] = ()

    def places(self) -> Iterator[Place]:
        for parts in (*self.segments, *(parts for _, parts in self.query)):
            yield from places_of(parts)

    def compile(self, columns: Columns) -> str | ToPath:
        """A function from a row's cells to path and query; the path itself when it never changes."""
        path = _compile_segments(self.segments, columns)
        if isinstance(path, str) and not self.query:
            return path
        return _measured(_with_query(path, self.query, columns))


def parse_path(path: object, query: object, types: Types) -> PathTemplate:
    """Raises MappingError for what could be read as another host, another path or a query."""
    text = as_text(path, "path", least=0)
    segments = _segments(within_text(parse_parts(text, "path", types), "path"))
    for number, segment in enumerate(segments, start=1):
        _check_segment(segment, last=number == len(segments))
    parameters = tuple(
        (name, _parameter(name, value, types)) for name, value in as_object(query, "query").items()
    )
    return PathTemplate(tuple(segments), parameters)


def _segments(parts: Parts) -> list[Parts]:
    """Splits the literal parts at "/", not the columns' names; a leading "/" may be left out."""
    segments: list[list[str | Place]] = [[]]
    for part in parts:
        if isinstance(part, Place):
            segments[-1].append(part)
            continue
        first, *others = _literal(part).split("/")
        segments[-1].append(first)
        segments.extend([other] for other in others)
    made = [tuple(part for part in segment if part != "") for segment in segments]
    return made[1:] if not made[0] else made


def _literal(text: str) -> str:
    if "?" in text or "#" in text:
        raise MappingError('path has a "?" or "#"; write the parameters under query instead.')
    if _CONTROL.search(text) or "\\" in text:
        raise MappingError("path has a space, a backslash or a control character; write it percent-encoded.")
    if _LONE_PERCENT.search(text):
        raise MappingError(
            'path has a "%" that no two hexadecimal digits follow; write %25 for the sign itself.'
        )
    try:
        return quote(_ENCODED_DOT.sub(".", text), safe=_KEPT + "/")
    except UnicodeEncodeError as exc:
        raise MappingError("path has a character that is not Unicode text; remove it.") from exc


def _check_segment(segment: Parts, *, last: bool) -> None:
    if not segment and not last:
        raise MappingError('path has an empty segment ("//"); remove one of the two.')
    if len(segment) == 1 and segment[0] in _DOTS:
        raise MappingError(f"path has the segment {quoted(str(segment[0]))}; write the path out.")


def _parameter(name: str, value: object, types: Types) -> Parts:
    where = f"query.{name}"
    return within_text(parse_parts(as_text(value, where, least=0), where, types), where)


def _compile_segments(segments: Sequence[Parts], columns: Columns) -> str | ToPath:
    """Literal segments next to each other are joined once, here."""
    pieces: list[str | ToPath] = []
    for segment in segments:
        made: list[str | ToPath] = ["/" + "".join(part for part in segment if isinstance(part, str))]
        if any(True for _ in places_of(segment)):
            made = ["/", _compile_segment(segment, columns)]
        if pieces and isinstance(last := pieces[-1], str):
            pieces[-1] = f"{last}{made.pop(0)}"
        pieces.extend(made)
    if len(pieces) < 2:
        return "".join(piece for piece in pieces if isinstance(piece, str))
    if len(pieces) == 2 and callable(segment_at_end := pieces[1]):
        begin = pieces[0]
        return lambda cells: f"{begin}{segment_at_end(cells)}"  # the usual path, such as /products/{sku}
    return lambda cells: "".join([p if isinstance(p, str) else p(cells) for p in pieces])


def _compile_segment(segment: Parts, columns: Columns) -> ToPath:
    encoded = [part if isinstance(part, str) else _encoder(part, columns) for part in segment]
    blamed = next(places_of(segment)).column
    if len(encoded) == 1 and callable(only := encoded[0]):
        fill = only
    else:

        def fill(cells: Sequence[str]) -> str:
            return "".join([p if isinstance(p, str) else p(cells) for p in encoded])

    def checked(cells: Sequence[str]) -> str:
        text = fill(cells)
        if text in _DOTS:
            raise RowError(
                blamed,
                "bad_path_segment",
                f"The column {quoted(blamed)} makes a part of the path {quoted(text)}, which is refused.",
            )
        return text

    return checked


def _encoder(place: Place, columns: Columns) -> ToPath:
    index, column = columns.index(place.column), place.column
    convert, unreserved = place.typed.to_text(column), _UNRESERVED.fullmatch

    def encode(cells: Sequence[str]) -> str:
        text = convert(cells[index])
        if unreserved(text):
            return text  # the usual case, three times as fast
        if not text or text.isspace():
            raise missing_value(column)
        return percent_encoded(text, column)

    return encode


def percent_encoded(text: str, column: str) -> str:
    """Only letters, digits and `-._~` stay. Raises RowError for lone surrogates."""
    try:
        return quote(text, safe="")
    except UnicodeEncodeError as exc:
        raise not_text(column) from exc


def not_text(column: str) -> RowError:
    return RowError(
        column, "not_text", f"The column {quoted(column)} holds a character that is not Unicode text."
    )


def _with_query(path: str | ToPath, query: Sequence[tuple[str, Parts]], columns: Columns) -> ToPath:
    if not query:
        return path if not isinstance(path, str) else lambda cells: path
    parameters = [(quote(name, safe=""), _compile_parameter(parts, columns)) for name, parts in query]

    def fill(cells: Sequence[str]) -> str:
        own = path if isinstance(path, str) else path(cells)
        filled = [(name, parameter(cells)) for name, parameter in parameters]
        text = "&".join([f"{name}={value}" for name, value in filled if not isinstance(value, Omitted)])
        return f"{own}?{text}" if text else own

    return fill


def _compile_parameter(parts: Parts, columns: Columns) -> Callable[[Sequence[str]], str | Omitted]:
    """A parameter that is one whole place can be left out; else its places are filled into its text."""
    blamed = next((place.column for place in places_of(parts)), "")
    if len(parts) == 1 and isinstance(place := parts[0], Place):
        index, convert = columns.index(blamed), place.typed.to_parameter(blamed)

        def fill_alone(cells: Sequence[str]) -> str | Omitted:
            value = convert(cells[index])
            return value if isinstance(value, Omitted) else percent_encoded(value, blamed)

        return fill_alone
    fill = compile_text(parts, columns)
    return lambda cells: percent_encoded(fill(cells), blamed)


def _measured(fill: ToPath) -> ToPath:
    def measured(cells: Sequence[str]) -> str:
        text = fill(cells)
        if len(text) > MAX_LENGTH:
            raise RowError(
                "", "path_too_long", f"Path and query have {len(text):,} signs; at most {MAX_LENGTH:,}."
            )
        return text

    return measured
