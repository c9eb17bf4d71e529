"""All that is known of one row, for its page."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from deliveries.ids import delivery_id
from deliveries.models import Attempt, Delivery, Payload, Status
from deliveries.sending import target_url
from deliveries.shown import ShownRequest, request_of
from feeds.models import Feed
from feeds.models import Row as FeedRow
from feeds.queries.row_cells import Editing, cells, current_cells, editing, get_row, named
from feeds.queries.timeline import Timeline, timeline

ATTEMPTS_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Exchange:
    """One attempt: what was sent and what was answered."""

    attempt: Attempt
    request: ShownRequest | None  # None: its payload is gone


@dataclass(frozen=True, slots=True)
class RowStory:
    """One row: its cells, its requests and answers, its timeline."""

    row: FeedRow
    cells: Sequence[tuple[str, str | None]]  # column, value as in the file
    mended: Sequence[tuple[str, str | None]] = ()
    editing: Editing | None = None
    delivery: Delivery | None = None
    payload: Payload | None = None
    url: str = ""
    exchanges: Sequence[Exchange] = field(default_factory=list)
    timeline: Timeline | None = None

    @property
    def state(self) -> str:
        """The row's outcome, or what its delivery waits for."""
        if self.row.invalid:
            return "invalid"
        if self.row.outcome or self.delivery is None:
            return self.row.outcome or "pending"
        retrying = self.delivery.status == Status.SCHEDULED and self.delivery.attempt > 1
        return "retrying" if retrying else "pending"


def row_story(feed: Feed, number: int, *, entered: Sequence[str] | None = None) -> RowStory:
    """`entered`: what a person wrote in a form that was not taken. Raises Http404 when the row is not there
    (yet)."""
    row = get_row(feed, number)
    known: dict[str, Any] = {
        "cells": named(feed, cells(row)),
        "mended": named(feed, current_cells(row)) if row.mended is not None else (),
        "editing": editing(feed, row, entered),
    }
    id_ = delivery_id(feed.id, number)
    delivery = Delivery.objects.filter(id=id_).first()
    if delivery is None:
        return RowStory(row, **known)
    delivery.destination = feed.destination
    payloads = {payload.revision: payload for payload in Payload.objects.filter(delivery_id=id_)}
    payload = payloads.get(delivery.revision)
    return RowStory(
        row,
        **known,
        delivery=delivery,
        payload=payload,
        url=target_url(feed.destination.url, payload.path) if payload else "",
        exchanges=_exchanges(delivery, payloads),
        timeline=timeline(feed, id_),
    )


def _exchanges(delivery: Delivery, payloads: dict[int, Payload]) -> list[Exchange]:
    attempts = Attempt.objects.filter(delivery_id=delivery.id).order_by("-number")[:ATTEMPTS_SHOWN]
    found = []
    for attempt in attempts:
        payload = payloads.get(attempt.revision or delivery.revision)
        request = request_of(attempt, delivery, payload) if payload else None
        found.append(Exchange(attempt, request))
    return found
