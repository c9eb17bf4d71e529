"""Rows of a feed, and all that is known of one."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Q, TextChoices

from deliveries.ids import delivery_id
from deliveries.models import Attempt, Delivery, Payload, Status
from deliveries.sending import target_url
from feeds.models import Feed, Row
from feeds.queries.pages import cut
from feeds.queries.row_cells import Editing, cells, current_cells, editing, get_row, named
from outbox.models import Handling, OutboxEvent

ROWS_A_PAGE = 50
STRETCH, STRETCHES = 20_000, 6  # rows searched at once, and how often for one page
EVENTS_SHOWN = 200
ATTEMPTS_SHOWN = 100


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


@dataclass(frozen=True, slots=True)
class RowsPage:
    """Some rows; `next_key` is the number after which there may be more."""

    items: list[Row]
    next_key: int = 0
    searched_to: int = 0  # 0: to the end


def rows_page(feed: Feed, *, show: str = Show.ALL, text: str = "", after: int = 0) -> RowsPage:
    """Rows by number. No more than a stretch of the feed is searched at once, so that a page is quick
    even where what it looks for is rare."""
    rows = Row.objects.filter(feed_id=feed.id, **_CHOSEN.get(show, {})).order_by("number")
    if not text and show in (Show.ALL, Show.FAILED):
        page = cut(rows.filter(number__gt=after)[: ROWS_A_PAGE + 1], ROWS_A_PAGE, "number")
        return RowsPage(page.items, int(page.next_key or 0))
    if text:
        rows = rows.filter(
            Q(error__icontains=text) | Q(cells__icontains=text) | Q(mended__icontains=text), outcome="failed"
        )
    found: list[Row] = []
    for start in range(after, after + STRETCHES * STRETCH, STRETCH):
        stretch = rows.filter(number__gt=start, number__lte=start + STRETCH)
        found += stretch[: ROWS_A_PAGE + 1 - len(found)]
        if len(found) > ROWS_A_PAGE:
            return RowsPage(found[:ROWS_A_PAGE], found[ROWS_A_PAGE - 1].number)
        if start + STRETCH >= feed.total:
            return RowsPage(found)
    return RowsPage(found, start + STRETCH, start + STRETCH)


_TITLES = {
    "DeliveryCreated": "The row became a delivery",
    "DeliveryScheduled": "Attempt {occurrence} was scheduled",
    "DeliverySucceeded": "The third party has it",
    "DeliveryAccepted": "The third party accepted it and will tell the outcome",
    "DeliveryAttemptFailed": "Attempt {occurrence} failed",
    "DeliveryFailed": "It was given up",
    "DeliveryReopened": "A person had it sent again",
    "DeliveryCancelled": "It was cancelled",
}
_KINDS = {
    "DeliverySucceeded": "good",
    "DeliveryAttemptFailed": "bad",
    "DeliveryFailed": "bad",
    "DeliveryCancelled": "off",
}


@dataclass(frozen=True, slots=True)
class Moment:
    """One event of a delivery's story, with what its handlers made of it."""

    event: OutboxEvent
    handlings: Sequence[Handling] = field(default_factory=list)

    @property
    def title(self) -> str:
        return _TITLES.get(self.event.type, self.event.type).format(occurrence=self.event.occurrence)

    @property
    def kind(self) -> str:
        return _KINDS.get(self.event.type, "plain")

    @property
    def detail(self) -> str:
        return str(self.event.payload.get("message") or "")


@dataclass(frozen=True, slots=True)
class RowStory:
    """All that is known of one row."""

    row: Row
    cells: Sequence[tuple[str, str | None]]  # column, value as in the file
    mended: Sequence[tuple[str, str | None]] = ()
    editing: Editing | None = None
    delivery: Delivery | None = None
    payload: Payload | None = None
    url: str = ""
    attempts: Sequence[Attempt] = field(default_factory=list)
    moments: Sequence[Moment] = field(default_factory=list)

    @property
    def state(self) -> str:
        """The row's outcome, or what its delivery waits for."""
        if self.row.invalid:
            return "invalid"
        if self.row.outcome or self.delivery is None:
            return self.row.outcome or "pending"
        return (
            "retrying"
            if self.delivery.status == Status.SCHEDULED and self.delivery.attempt > 1
            else "pending"
        )


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
    payload = Payload.objects.filter(delivery_id=id_, revision=delivery.revision).first()
    return RowStory(
        row,
        **known,
        delivery=delivery,
        payload=payload,
        url=target_url(feed.destination.url, payload.path) if payload else "",
        attempts=list(Attempt.objects.filter(delivery_id=id_).order_by("number")[:ATTEMPTS_SHOWN]),
        moments=_moments(feed.id, id_),
    )


def _moments(feed_id: uuid.UUID, id_: uuid.UUID) -> list[Moment]:
    events = list(
        OutboxEvent.objects.filter(conversation_id=feed_id, correlation_id=id_).order_by("id")[:EVENTS_SHOWN]
    )
    handlings: dict[int, list[Handling]] = {}
    for handling in Handling.objects.filter(event_id__in=[event.id for event in events]).select_related(
        "subscription"
    ):
        handlings.setdefault(handling.event_id, []).append(handling)
    return [
        Moment(event, sorted(handlings.get(event.id, []), key=lambda h: h.subscription.handler))
        for event in events
    ]
