"""Deeds: who did what, written in the transaction of what was done."""

import uuid
from datetime import datetime

from django.utils import timezone

from deliveries.events import BreakerClosed, BreakerOpened, DestinationPaused
from feeds.models import Deed, Doer
from outbox.notices import OutboxChanged

Recorded = DestinationPaused | BreakerOpened | BreakerClosed | OutboxChanged
UPLOADED = "uploaded"
LONGEST_DETAIL = 300  # characters


def note_deed(
    feed_id: uuid.UUID | None = None,
    *,
    what: str,
    detail: str = "",
    user_id: int | None = None,
    by: Doer = Doer.PERSON,
    destination_id: int | None = None,
    mapping_name: str = "",
    at: datetime | None = None,
) -> None:
    """Records what was done with a feed, a destination, a mapping, or with Rowpost itself; `at` is now."""
    Deed.objects.create(
        feed_id=feed_id,
        destination_id=destination_id,
        mapping_name=mapping_name,
        user_id=user_id,
        by=by,
        what=what,
        detail=detail[:LONGEST_DETAIL],
        at=at or timezone.now(),
    )


def record(event: Recorded) -> None:
    """The deed that an event of deliveries or of the outbox tells of; they know no deeds."""
    match event:
        case DestinationPaused(by_person=True):
            return  # whose command wrote it down
        case DestinationPaused():
            _by_rowpost(event, "paused", _because(event.reason))
        case BreakerOpened():
            _by_rowpost(event, "held", _because(event.reason))
        case BreakerClosed():
            _by_rowpost(event, "resumed", "it, because a request went through")
        case OutboxChanged():
            by = Doer.PERSON if event.user_id is not None else Doer.COMMAND_LINE
            note_deed(
                what=event.what, detail=event.detail, user_id=event.user_id, by=by, at=event.occurred_at
            )


def _by_rowpost(event: DestinationPaused | BreakerOpened | BreakerClosed, what: str, detail: str) -> None:
    note_deed(
        destination_id=event.destination_id, by=Doer.ROWPOST, what=what, detail=detail, at=event.occurred_at
    )


def _because(reason: str) -> str:
    """A sentence of the destination's health, as the end of one."""
    return f"it, because {reason[:1].lower()}{reason[1:]}"
