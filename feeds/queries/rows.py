"""The table of a feed's rows."""

import time
from dataclasses import dataclass
from typing import Any

import orjson
from django.db.models import Q, TextChoices

from feeds.models import Feed, Row, RowOutcome
from feeds.queries.pages import cut

ROWS_A_PAGE = 50
STRETCH, STRETCHES = 10_000, 12  # rows searched at once, and how often for one page
PATIENCE = 0.04  # seconds after which no further stretch is begun


class Show(TextChoices):
    """Which rows the table shows."""

    ALL = "all", "All rows"
    FAILED = "failed", "Failed"
    INVALID = "invalid", "Invalid"
    SUCCEEDED = "succeeded", "Arrived"
    PENDING = "pending", "Waiting"
    CANCELLED = "cancelled", "Cancelled"


_CHOSEN: dict[str, dict[str, Any]] = {
    Show.ALL: {},
    Show.FAILED: {"outcome": "failed"},
    Show.INVALID: {"outcome": "failed", "invalid": True},
    Show.SUCCEEDED: {"outcome": "succeeded"},
    Show.PENDING: {"outcome": ""},
    Show.CANCELLED: {"outcome": "cancelled"},
}
_COUNTED: dict[str, str] = {
    Show.FAILED: "failed",
    Show.INVALID: "invalid",
    Show.SUCCEEDED: "succeeded",
    Show.PENDING: "pending",
    Show.CANCELLED: "cancelled",
}


def outcome_of(row: Row) -> str:
    """In the word that pages have for it."""
    if row.invalid:
        return "invalid"
    return "arrived" if row.outcome == RowOutcome.SUCCEEDED else row.outcome or "waiting"


@dataclass(frozen=True, slots=True)
class RowsPage:
    """Some rows; `next_key` is the number after which there may be more."""

    items: list[Row]
    next_key: int = 0
    searched_to: int = 0  # 0: to the end


def _with(text: str) -> Q:
    """In the reason, or in a cell: these are stored as JSON, in which a quote has a backslash before it."""
    in_json = orjson.dumps(text).decode()[1:-1]
    return Q(error__icontains=text) | Q(cells__icontains=in_json) | Q(mended__icontains=in_json)


def why_no_row(feed: Feed, number: int) -> str:
    """In a sentence; "" if there is one of this number."""
    if Row.objects.filter(feed_id=feed.id, number=number).exists():
        return ""
    if number > feed.total:
        return f"There is no row {number:,}: the file has {feed.total:,}."
    if feed.rows_deleted:
        return "Its rows were deleted, as those of every feed some time after its end."
    return f"Row {number:,} was not taken up for sending yet, so there is nothing to tell of it."


def rows_page(feed: Feed, *, show: str = Show.ALL, text: str = "", after: int = 0) -> RowsPage:
    """Rows by number. No more than some stretches of the feed are searched at once, so that a page is quick
    even where what it looks for is rare; and none of a feed that by its ledger has no such rows."""
    if show in _COUNTED and not getattr(feed, _COUNTED[show]):
        return RowsPage([])
    rows = Row.objects.filter(feed_id=feed.id, **_CHOSEN.get(show, {})).order_by("number")
    if not text and show in (Show.ALL, Show.FAILED):
        page = cut(rows.filter(number__gt=after)[: ROWS_A_PAGE + 1], ROWS_A_PAGE, "number")
        return RowsPage(page.items, int(page.next_key or 0))
    if text:
        rows = rows.filter(_with(text), outcome="failed")
    found: list[Row] = []
    ends = time.monotonic() + PATIENCE
    for start in range(after, after + STRETCHES * STRETCH, STRETCH):
        stretch = rows.filter(number__gt=start, number__lte=start + STRETCH)
        found += stretch[: ROWS_A_PAGE + 1 - len(found)]
        if len(found) > ROWS_A_PAGE:
            return RowsPage(found[:ROWS_A_PAGE], found[ROWS_A_PAGE - 1].number)
        if start + STRETCH >= feed.total:
            return RowsPage(found)
        if time.monotonic() > ends:
            break
    return RowsPage(found, start + STRETCH, start + STRETCH)
