"""What a checked feed holds and what would be sent, before anything is."""

import re
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from deliveries.ids import delivery_id
from deliveries.models import Attempt, Delivery, Destination, Payload
from deliveries.shown import request_of, shown_request
from feeds.commands import earlier_feed
from feeds.judging import Refused, bound_mapping, judge, repeats_among
from feeds.mapping import BoundMapping, MappingError, RowError
from feeds.models import Feed
from feeds.queries.estimate import Estimate, estimate
from feeds.queries.feeds import Viewer, visible_feeds
from feeds.reading import Dialect, Position, Record, Unreadable
from feeds.reading.encoding import label
from feeds.repeats import Repeat
from feeds.source import read_rows

LOOKED_AT = 5000  # rows in which invalid ones are looked for
STEP = 250  # rows that are read at once
# Samples, not lists: all rows of the file stand in the table of rows and in the files of results.
FIRST_ROWS = 8
ODD_ROWS = 10
REQUESTS = 3

DELIMITERS = {
    ",": "comma",
    ";": "semicolon",
    "\t": "tab",
    "|": "pipe",
    " ": "space",
    ", ": "comma and space",
    "": "none",
}
_NUMBER = re.compile(r"[-+]?(?:0|[1-9]\d*|[1-9]\d{0,2}(?:[., ']\d{3})+)(?:[.,]\d+)?$")


@dataclass(frozen=True, slots=True)
class FirstRequest:
    """What one row will be sent as; or why it will not be."""

    number: int
    method: str = ""
    url: str = ""
    path: str = ""
    content_type: str = ""
    headers: Sequence[tuple[str, str]] = field(default_factory=list)
    body: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class OddRow:
    """A row that will not be sent, and why."""

    line: int
    code: str
    error: str
    column: str  # "": no single one is to blame
    value: str  # what that column has; else the row as it stands


@dataclass(frozen=True, slots=True)
class Preview:
    """A feed as it was read."""

    facts: Sequence[tuple[str, str]]
    columns: Sequence[str]
    rows: Sequence[Record]
    numbers: frozenset[int]  # places of the columns that hold numbers, as far as these rows tell
    odd: Sequence[OddRow]  # invalid ones, as far as they were looked for
    reasons: Sequence[tuple[str, int]]
    all_seen: bool  # the reasons are those of every invalid row
    requests: Sequence[FirstRequest]
    problem: str  # the mapping does not fit
    estimate: Estimate | None
    earlier: Feed | None
    may_open_earlier: bool  # it may be somebody else's


def preview(feed: Feed, viewer: Viewer) -> Preview:
    bound, problem = None, ""
    try:
        bound = bound_mapping(feed)
    except MappingError as exc:
        problem = str(exc)
    good, odd = _first_rows(feed, bound)
    counted = feed.invalid_by_code
    reasons = Counter(counted if counted is not None else [row.code for row in odd])
    earlier = earlier_feed(feed)
    return Preview(
        facts=_facts(feed),
        columns=feed.columns,
        rows=good[:FIRST_ROWS],
        numbers=_number_columns([record.cells for record in good[:FIRST_ROWS]]),
        odd=odd[:ODD_ROWS],
        reasons=reasons.most_common(),
        all_seen=reasons.total() >= feed.invalid,
        requests=[first_request(bound, row, feed.destination, feed.id) for row in good[:REQUESTS]]
        if bound
        else [],
        problem=problem,
        estimate=estimate(feed),
        earlier=earlier,
        may_open_earlier=earlier is not None and visible_feeds(viewer).filter(id=earlier.id).exists(),
    )


def _number_columns(rows: Sequence[Sequence[str]]) -> frozenset[int]:
    """They are set in line by their digits. What begins with a zero is a name: 001, but not 0.5."""
    columns = (list(filter(None, map(str.strip, cells))) for cells in zip(*rows, strict=False))
    return frozenset(place for place, cells in enumerate(columns) if cells and all(map(_NUMBER.match, cells)))


def _first_rows(feed: Feed, bound: BoundMapping | None) -> tuple[list[Record], list[OddRow]]:
    """Rows that will be sent and rows that will not: as many as are shown, if the check has counted them."""
    good: list[Record] = []
    odd: list[OddRow] = []
    counted = feed.invalid_by_code is not None
    position = None
    for _ in range(0, LOOKED_AT, STEP):
        records, position = _next_records(feed, position, STEP)
        repeats = repeats_among(feed, bound, records) if bound else {}
        for record in records:
            refused = _refused(bound, record, repeats)
            if refused:
                odd.append(refused)
            else:
                good.append(record)
        enough = len(good) >= min(FIRST_ROWS, feed.pending) and len(odd) >= min(ODD_ROWS, feed.invalid)
        if not records or (counted and enough):
            break
    return good, odd


def _refused(bound: BoundMapping | None, record: Record, repeats: Mapping[int, Repeat]) -> OddRow | None:
    """Why the row will not be sent; a mapping that does not fit refuses no single one."""
    if record.error:
        return OddRow(record.line, record.code, record.error, "", " · ".join(record.cells))
    judged = judge(bound, record, repeats) if bound else None
    if isinstance(judged, Refused):
        return OddRow(record.line, judged.code, judged.error, judged.column, judged.value)
    return None


def first_records(feed: Feed, limit: int) -> list[Record]:
    """The first rows of the file; none when it was cleared away."""
    return _next_records(feed, None, limit)[0]


def _next_records(feed: Feed, start: Position | None, limit: int) -> tuple[list[Record], Position | None]:
    if not feed.columns:
        return [], None
    try:
        return read_rows(feed, start, limit)
    except (FileNotFoundError, Unreadable):  # cleared away, or being read in another way right now
        return [], None


def _facts(feed: Feed) -> list[tuple[str, str]]:
    dialect = Dialect.from_json(feed.dialect)
    delimiter = DELIMITERS.get(dialect.delimiter, dialect.delimiter)
    header = "first line" if dialect.has_header else "none; columns are numbered"
    if dialect.has_header and dialect.preamble:
        header = f"line {dialect.preamble + 1}"
    facts = [
        ("Encoding", label(dialect.encoding)),
        ("Delimiter", delimiter),
        ("Header", header),
        ("Columns", f"{len(feed.columns):,}"),
    ]
    if dialect.preamble:
        facts.append(("Skipped before it", f"{dialect.preamble} line{'s' if dialect.preamble > 1 else ''}"))
    return facts


def first_request(
    bound: BoundMapping, record: Record, destination: Destination, feed_id: uuid.UUID | None = None
) -> FirstRequest:
    """What the row's first attempt will send; without a feed what any feed would, with no key."""
    try:
        rendered = bound.render(record.cells)
    except RowError as exc:
        return FirstRequest(record.number, error=str(exc))
    payload = Payload(
        revision=1,
        method=rendered.method,
        path=rendered.path,
        content_type=rendered.content_type,
        body=rendered.body.decode(errors="replace"),
    )
    if feed_id is None:
        shown = shown_request(destination, payload, {})
    else:
        id_ = delivery_id(feed_id, record.number)
        delivery = Delivery(id=id_, group_id=feed_id, number=record.number, destination=destination)
        shown = request_of(Attempt(number=1), delivery, payload)
    return FirstRequest(
        record.number,
        method=shown.method,
        url=shown.url,
        path=payload.path,
        content_type=payload.content_type,
        headers=shown.headers,
        body=shown.body,
    )
