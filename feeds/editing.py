"""Changing a row by hand: other cells for one that failed, or that was invalid and so never sent."""

import uuid
from collections.abc import Sequence

import orjson
from django.db import transaction

from deliveries.commands import Parcel, create_deliveries, revise_delivery
from deliveries.ids import delivery_id
from feeds.commands import locked
from feeds.deeds import note_deed
from feeds.errors import WrongState
from feeds.grouping import Failure, regroup
from feeds.judging import bound_mapping, repeats_among
from feeds.mapping import BoundMapping, RowError
from feeds.mapping.rules import not_unique
from feeds.models import Feed, FeedStatus, Row
from feeds.reading import Record
from feeds.results import UNMENDED, is_unmended

EDITABLE = (FeedStatus.DELIVERING, FeedStatus.PAUSED, FeedStatus.COMPLETED)
NEVER_SENT = 0  # as a revision: there is no payload yet


def edit_row(
    feed_id: uuid.UUID, number: int, *, cells: Sequence[str], revision: int, user_id: int | None = None
) -> None:
    """Sends a row with other cells, rendered by the feed's mapping; what the file had stays.

    A failed row is sent again under another key, an invalid one (revision NEVER_SENT) for the first time.
    `revision` is the one that the person saw: whoever clicks twice, or saw an old page, sends nothing.

    Raises RowError when the mapping cannot render these cells, WrongState when the row, or its feed, is
    not (any more) as it was seen.
    """
    feed = Feed.objects.select_related("destination").get(id=feed_id)
    parcel = _rendered(feed, number, cells)
    with transaction.atomic():
        if revision == NEVER_SENT:
            said = f"{_send_invalid(feed_id, parcel, cells)} and sent it"
        else:
            _send_failed(feed_id, parcel, cells, revision)
            said = "and sent it again"
        note_deed(feed_id, user_id=user_id, what="edited", detail=f"row {number} {said}")


def _rendered(feed: Feed, number: int, cells: Sequence[str]) -> Parcel:
    if is_unmended(cells):
        raise RowError("", *UNMENDED)
    if any("\x00" in cell for cell in cells):
        raise RowError("", "nul", "A cell has a NUL character in it; write it without.")
    bound = bound_mapping(feed)
    made = bound.render(cells)
    _check_unique(feed, bound, number, cells)
    return Parcel(number, made.method, made.path, made.content_type, made.body.decode())


def _check_unique(feed: Feed, bound: BoundMapping, number: int, cells: Sequence[str]) -> None:
    """A row that repeats an earlier one needs another value, also once it was mended and failed. Whether a
    row has the new one is not known."""
    row = Row.objects.filter(feed_id=feed.id, number=number).first()
    if row is None:
        return
    record = Record(number, row.line, tuple(orjson.loads(row.cells)), "", "")
    for repeat in repeats_among(feed, bound, [record]).values():
        column, index = bound.unique[repeat.which]
        if index < len(record.cells) and cells[index] == record.cells[index]:
            raise not_unique(column, cells[index], repeat.first)


def _send_failed(feed_id: uuid.UUID, parcel: Parcel, cells: Sequence[str], revision: int) -> None:
    """The row is locked before its feed, as where progress is tracked; and the feed, so that no cancellation
    has passed this row when it is sent again."""
    _keep(feed_id, parcel.number, cells)
    _check(locked(feed_id).status)
    if not revise_delivery(delivery_id(feed_id, parcel.number), parcel, revision=revision):
        raise WrongState(f"Row {parcel.number} is not failed, or was changed meanwhile: nothing is sent.")


def _send_invalid(feed_id: uuid.UUID, parcel: Parcel, cells: Sequence[str]) -> str:
    """An invalid row becomes a delivery like any other; returns why it was invalid.

    The feed is locked before its row. Nobody meets us there the other way round: whoever locks rows
    first looks for those that have a delivery, and an invalid one has none.
    """
    feed = locked(feed_id)
    _check(feed.status)
    row = Row.objects.filter(feed_id=feed_id, number=parcel.number, invalid=True).first()
    if row is None:
        raise WrongState(f"Row {parcel.number} is not invalid any more: nothing is sent.")
    _keep(feed_id, parcel.number, cells, invalid=False, outcome="", code="", error="")
    feed.invalid -= 1
    feed.failed -= 1
    feed.pending += 1
    feed.created += 1
    if feed.status == FeedStatus.COMPLETED:
        feed.status, feed.ended_at = FeedStatus.DELIVERING, None
    feed.save(update_fields=["status", "ended_at", "invalid", "failed", "pending", "created"])
    regroup(feed_id, left=[Failure(row.number, row.http_status, row.code, row.error, row.invalid)])
    create_deliveries(
        group_id=feed.id, destination_id=feed.destination_id, lane_id=feed.lane_id, parcels=[parcel]
    )
    return f"({row.code})"


def _check(status: str) -> None:
    if status not in EDITABLE:
        raise WrongState(f"The feed is {FeedStatus(status).value}, and its rows cannot be sent.")


def _keep(feed_id: uuid.UUID, number: int, cells: Sequence[str], **values: object) -> None:
    """Keeps what a person made of the row beside what the file had."""
    mended = orjson.dumps(list(cells)).decode()
    Row.objects.filter(feed_id=feed_id, number=number).update(mended=mended, **values)
