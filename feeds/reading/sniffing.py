"""Finding out how a file is written: each dialect that could be meant is tried on the beginning of the file.

A dialect is good when its rows have the same number of cells, when its cells look whole (no delimiter of
another dialect left inside, no quotes left around), and when the first line fits too.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path

from feeds.reading.cells import kind
from feeds.reading.dialect import Dialect
from feeds.reading.errors import Unreadable
from feeds.reading.headings import find_heading
from feeds.reading.kinds import refuse_other_text
from feeds.reading.lines import ROW_LIMIT, LineReader
from feeds.reading.parsing import MAX_COLUMNS, Parser, Record

SAMPLE = 128 * 1024
SAMPLE_LINES = 1_000
# With fewer lines than this, more of the file is looked at.
FEWEST_LINES = 20
CELLS_LOOKED_AT = 2_000
# Below this no dialect explains the file.
LOWEST_SCORE = 0.2
# The header is the best witness: a list within a column has no delimiters there.
FIRST_LINE_DIFFERS = 0.5
ONE_COLUMN = 0.9
# A quote that breaks one row is damage, and that row invalid: only when a quarter of the rows break, quotes
# quote nothing. And an apostrophe is a quote only if many cells stand between two.
_TRUST = {'"': 1.0, "'": 0.9, "": 0.75}

_DELIMITERS = (",", ";", "\t", "|")
_TIGHT = re.compile(r"\t|(?<=[^\s,;|])[,;|](?=[^\s,;|])|[,;|]{2}")
_QUOTED_PART = re.compile(r'(?:^|[ ,;\t|])"[^"]*"(?=[ ,;\t|]|$)')
# Excel's own hint; what quotes or escapes, and what no delimiter can be, is none.
_SEPARATOR_LINE = re.compile(r'"?sep=([^"\x27\\\r\n\0])"?\s*', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Sample:
    """The beginning of a file."""

    lines: list[str]
    sizes: list[int]
    line: int  # physical lines before it
    final: bool  # True: it is the whole file

    @property
    def text(self) -> str:
        return "".join(self.lines)


@dataclass(frozen=True, slots=True)
class _Trial:
    """What a dialect makes of the sample."""

    dialect: Dialect
    columns: int
    records: list[Record]
    score: float


def detect_dialect(
    path: Path,
    *,
    delimiter: str | None = None,
    quote: str | None = None,
    escape: str | None = None,
    preamble: int | None = None,
    has_header: bool | None = None,
    encoding: str = "utf-8",
) -> Dialect:
    """The dialect of a plain UTF-8 file (`Normalised.path`). What is given is taken as said.

    `encoding` is only noted. Raises Unreadable (`empty`, `not_csv`, `no_dialect`, `too_many_columns`), and
    ValueError for a delimiter, quote or escape that cannot be one.
    """
    sample = _sample(path, preamble or 0)
    if not any(line.strip() for line in sample.lines):
        raise Unreadable("empty", "The file is empty.")
    refuse_other_text(sample.text)
    separator = _SEPARATOR_LINE.fullmatch(sample.lines[0]) if preamble is None else None
    if separator:
        delimiter = delimiter or separator[1]
        sample = replace(sample, lines=sample.lines[1:], sizes=sample.sizes[1:], line=sample.line + 1)
    best = _best(sample, list(_candidates(sample.text, delimiter, quote, escape)))
    # What a person has said is not doubted.
    if best.score < LOWEST_SCORE and delimiter is None:
        raise Unreadable(
            "no_dialect",
            "No delimiter gives rows of the same number of cells: is this a CSV file?",
        )
    if best.columns > MAX_COLUMNS:
        raise Unreadable("too_many_columns", f"The file has more than {MAX_COLUMNS:,} columns.")
    heading = find_heading(best.records, best.columns, has_header)
    return replace(
        best.dialect,
        preamble=sample.line if preamble is not None else heading.preamble,
        has_header=heading.header_rows > 0,
        header_rows=heading.header_rows or 1,
        columns=best.columns,
        encoding=encoding,
        newline=_newline(sample.text),
    )


def _sample(path: Path, preamble: int) -> _Sample:
    size, whole = SAMPLE, path.stat().st_size
    while True:
        with LineReader(path) as reader:
            lines, sizes = reader.read(size)
        final = sum(sizes) >= whole
        if final or len(lines) >= FEWEST_LINES + preamble or size >= ROW_LIMIT:
            break
        size *= 8
    end = preamble + SAMPLE_LINES
    return _Sample(lines[preamble:end], sizes[preamble:end], preamble, final and len(lines) <= end)


def _newline(text: str) -> str:
    ends = Counter(re.findall(r"\r\n|\n|\r", text))
    return ends.most_common(1)[0][0] if ends else "\n"


def _candidates(text: str, delimiter: str | None, quote: str | None, escape: str | None) -> Iterator[Dialect]:
    """The dialects worth a trial, the most usual first."""
    for tried in [delimiter] if delimiter is not None else _delimiters(text):
        for around in [quote] if quote is not None else _quotes(text, tried):
            yield Dialect(delimiter=tried, quote=around, escape=escape or "")
            if escape is None and around and f"\\{around}" in text:
                yield Dialect(delimiter=tried, quote=around, escape="\\")


def _delimiters(text: str) -> Iterator[str]:
    yield ","
    yield from (delimiter for delimiter in _DELIMITERS[1:] if delimiter in text)
    unquoted = re.sub(r'"[^"]*"', '""', text)
    if len(re.findall(r",(?![ \r\n]|$)", unquoted)) <= 0.02 * unquoted.count(", "):
        yield ", "
    if _is_split_by_spaces(text):
        yield " "
    yield ""


def _is_split_by_spaces(text: str) -> bool:
    """Spaces are in every text: they only count as delimiters beside quoted cells, or between numbers."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    beside_quotes = sum(bool(re.search(r'(^| )"[^"]*" |" "| "[^"]*"$', line)) for line in lines)
    if beside_quotes >= 0.8 * len(lines):
        return True
    names, *rows = [line.split(" ") for line in lines]
    return (
        len(names) > 1
        and bool(rows)
        and not any(kind(name) == "number" for name in names)
        and all(len(row) == len(names) and all(kind(cell) == "number" for cell in row) for row in rows[:100])
    )


def _quotes(text: str, delimiter: str) -> Iterator[str]:
    yield '"'
    if '"' in text:
        yield ""
    edge = re.escape(delimiter) or "^"
    if re.search(rf"(?m)(^|{edge})'[^'\r\n]*'({edge}|$)", text):
        yield "'"


def _best(sample: _Sample, candidates: Sequence[Dialect]) -> _Trial:
    trials = [trial for dialect in candidates for trial in _trials(sample, dialect)]
    # Of equals the first: the more usual one.
    return max(trials, key=lambda trial: trial.score)


def _trials(sample: _Sample, dialect: Dialect) -> Iterator[_Trial]:
    parsed = Parser(dialect, 0).parse(
        sample.lines, sample.sizes, number=0, line=sample.line, final=sample.final
    )
    records = parsed.records
    widths = Counter(len(record.cells) for record in records if not record.code)
    several = Counter({width: times for width, times in widths.items() if width > 1})
    for columns in {1, several.most_common(1)[0][0]} if several else {1}:
        rows = [record.cells for record in records if not record.code and len(record.cells) == columns]
        if not dialect.quote:
            rows = [row for row in rows if not any(_opens_a_quote(cell) for cell in row)]
        share = len(rows) / len(records) if records else 0.0
        whole = _share_of_whole_cells(rows) if share >= LOWEST_SCORE else 0.0
        first = 1.0 if records and len(records[0].cells) == columns else FIRST_LINE_DIFFERS
        one = ONE_COLUMN if columns == 1 else 1.0
        trust = _TRUST.get(dialect.quote, 1.0)
        yield _Trial(dialect, columns, records, share * whole * first * one * trust)


def _share_of_whole_cells(rows: Sequence[tuple[str, ...]]) -> float:
    cells = list(islice(chain.from_iterable(rows), CELLS_LOOKED_AT))
    return sum(_is_whole(cell, len(rows[0])) for cell in cells) / len(cells) if cells else 0.0


def _opens_a_quote(cell: str) -> bool:
    return cell.startswith('"') and cell.count('"') % 2 == 1


def _is_whole(cell: str, columns: int) -> bool:
    """Whether a cell looks like one value, with nothing of another dialect in it."""
    if not cell or kind(cell) not in ("", "code"):
        return True
    if cell[0] == " ":
        return False
    if len(cell) > 1 and cell[0] == cell[-1] and cell[0] in "\"'":
        return False
    return not _TIGHT.search(cell) and not (columns == 1 and _QUOTED_PART.search(cell))
