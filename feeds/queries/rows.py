"""The table of a feed's rows."""

from typing import Any

import orjson
from django.db.models import Q, TextChoices

from feeds.folding import contains
from feeds.models import Feed, Row, RowOutcome
from outbox.paging import STRETCH, Key, Order, Page, read

ROWS_A_PAGE = 50


class Show(TextChoices):
    """Which rows the table shows."""

    ALL = "all", "All rows"
    FAILED = "failed", "Failed"
    INVALID = "invalid", "Invalid"
    SUCCEEDED = "succeeded", "Arrived"
    PENDING = "pending", "Waiting"
    CANCELLED = "cancelled", "Cancelled"


UNSEARCHED = (Show.SUCCEEDED, Show.PENDING, Show.CANCELLED)  # text is looked for within failed rows alone
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


def _with(text: str) -> Q:
    """In the reason, or in a cell: these are stored as JSON, in which a quote has a backslash before it."""
    in_json = orjson.dumps(text).decode()[1:-1]
    return Q(contains("error", text)) | Q(contains("cells", in_json)) | Q(contains("mended", in_json))


def why_no_row(feed: Feed, number: int) -> str:
    """In a sentence; "" if there is one of this number."""
    if Row.objects.filter(feed_id=feed.id, number=number).exists():
        return ""
    if number > feed.total:
        return f"There is no row {number:,}: the file has {feed.total:,}."
    if feed.rows_deleted:
        return "Its rows were deleted, as those of every feed some time after its end."
    return f"Row {number:,} was not taken up for sending yet, so there is nothing to tell of it."


def rows_page(feed: Feed, *, show: str = Show.ALL, text: str = "", place: str = "") -> Page[Row]:
    """Rows by number. Where no index finds them, the feed is searched stretch by stretch, so that a page is
    quick even where what it looks for is rare; and not at all if by its ledger it has no such rows, nor for
    text among UNSEARCHED ones."""
    if (show in _COUNTED and not getattr(feed, _COUNTED[show])) or (text and show in UNSEARCHED):
        return Page()
    rows, order = Row.objects.filter(feed_id=feed.id, **_CHOSEN.get(show, {})), Order(("number",))
    if text:
        rows = rows.filter(_with(text), outcome="failed")
    elif show in (Show.ALL, Show.FAILED):
        return read(rows, order, place, size=ROWS_A_PAGE)

    def edge(key: Key | None, backwards: bool) -> Key | None:
        """Rows are numbered without gaps, so the end of a stretch need not be looked for."""
        if backwards:
            start = min(key[0], feed.total + 1) if key else feed.total + 1
            return (max(1, start - STRETCH),) if start > 1 else None
        start = key[0] if key else 0
        return (min(feed.total, start + STRETCH),) if start < feed.total else None

    return read(rows, order, place, size=ROWS_A_PAGE, edge=edge)
