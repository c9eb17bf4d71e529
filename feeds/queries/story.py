"""All that is known of one row, for its page."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from deliveries.ids import delivery_id
from deliveries.models import OPEN, Attempt, Delivery, Payload, Status
from deliveries.shown import ShownRequest, request_of, shown_target
from feeds.models import Feed
from feeds.models import Row as FeedRow
from feeds.queries.row_cells import Cell, Editing, compared, editing, get_row
from feeds.queries.rows import outcome_of
from feeds.queries.timeline import Timeline, timeline
from outbox.paging import Order, Page, read

ATTEMPTS_A_PAGE = 25  # each with a request and up to 8 KiB of an answer


@dataclass(frozen=True, slots=True)
class Exchange:
    """One attempt: what was sent and what was answered."""

    attempt: Attempt
    request: ShownRequest | None  # None: its payload is gone


@dataclass(frozen=True, slots=True)
class RowStory:
    """One row: its cells, its requests and answers, its timeline."""

    row: FeedRow
    compared: Sequence[Cell]
    mended: bool = False  # a person changed cells
    after: int = 0  # the number of the next row, if there is one
    editing: Editing | None = None
    delivery: Delivery | None = None
    payload: Payload | None = None
    url: str = ""
    exchanges: Sequence[Exchange] = field(default_factory=list)
    attempts: Page[Attempt] = field(default_factory=Page)  # of which these are the exchanges
    timeline: Timeline | None = None

    @property
    def state(self) -> str:
        """The row's outcome, or what its delivery waits for."""
        if self.row.invalid or not self._is_open:
            return outcome_of(self.row)
        retrying = self.delivery and self.delivery.status == Status.SCHEDULED and self.delivery.attempt > 1
        return "retrying" if retrying else "waiting"

    @property
    def _is_open(self) -> bool:
        return self.delivery is not None and self.delivery.status in OPEN

    @property
    def moves(self) -> bool:
        """The page asks again."""
        return self._is_open or not (self.row.outcome or self.delivery is None)

    @property
    def before(self) -> int:
        return self.row.number - 1


def row_story(
    feed: Feed, number: int, *, entered: Sequence[str] | None = None, attempts: str = "", steps: str = ""
) -> RowStory:
    """`entered`: what a person wrote in a form that was not taken. `attempts` and `steps` are the places of
    their pages. Raises Http404 when the row is not there (yet)."""
    row = get_row(feed, number)
    known: dict[str, Any] = {
        "compared": compared(feed, row),
        "mended": row.mended is not None,
        "after": number + 1 if number < _reached(feed) else 0,
        "editing": editing(feed, row, entered),
    }
    id_ = delivery_id(feed.id, number)
    delivery = Delivery.objects.filter(id=id_).first()
    if delivery is None:
        return RowStory(row, **known)
    delivery.destination = feed.destination
    payloads = {payload.revision: payload for payload in Payload.objects.filter(delivery_id=id_)}
    payload = payloads.get(delivery.revision)
    page = read(
        Attempt.objects.filter(delivery_id=id_),
        Order(("number",), descending=True),
        attempts,
        size=ATTEMPTS_A_PAGE,
    )
    return RowStory(
        row,
        **known,
        delivery=delivery,
        payload=payload,
        url=shown_target(feed.destination, payload.path) if payload else "",
        exchanges=_exchanges(page.items, delivery, payloads),
        attempts=page,
        timeline=timeline(feed, id_, steps),
    )


def _reached(feed: Feed) -> int:
    """A row up to which all can be looked at."""
    return feed.total if feed.import_done else feed.created


def _exchanges(
    attempts: Sequence[Attempt], delivery: Delivery, payloads: dict[int, Payload]
) -> list[Exchange]:
    found = []
    for attempt in attempts:
        payload = payloads.get(attempt.revision or delivery.revision)
        request = request_of(attempt, delivery, payload) if payload else None
        found.append(Exchange(attempt, request))
    return found
