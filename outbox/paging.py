"""Lists that are read by key, a page at a time in both directions.

Nothing is counted and no row is skipped: a page far inside costs what the first does, and whatever is added
or removed meanwhile, nothing is shown twice and nothing is left out. What no index finds is searched for
stretch by stretch, and a page tells how far it came.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar, cast
from urllib.parse import quote, unquote

from django.core.exceptions import ValidationError
from django.db.models import Field, Model, Q, QuerySet
from django.utils.timezone import is_naive

M = TypeVar("M", bound=Model)
Key = tuple[Any, ...]

STRETCH = 10_000  # rows that are searched at once
PATIENCE = 0.04  # seconds; no further stretch is begun that would end later, if it took as long as the last


@dataclass(frozen=True, slots=True)
class Order:
    """By which fields a list is read, one or two: together they are unique, and none is ever null."""

    fields: tuple[str, ...]
    descending: bool = False

    def by(self, *, backwards: bool = False) -> list[str]:
        sign = "-" if self.descending != backwards else ""
        return [sign + name for name in self.fields]

    def beyond(self, key: Key, *, backwards: bool = False, itself: bool = False) -> Q:
        """What comes after the key; read backwards, before it."""
        than = "lt" if self.descending != backwards else "gt"
        last = f"{than}e" if itself else than
        (name, value), *tied = zip(self.fields, key, strict=True)
        if not tied:
            return Q(**{f"{name}__{last}": value})
        tie, tied_value = tied[0]
        # The first condition is the one that an index takes.
        return Q(**{f"{name}__{than}e": value}) & (
            Q(**{f"{name}__{than}": value}) | Q(**{f"{tie}__{last}": tied_value})
        )


@dataclass(frozen=True, slots=True)
class Page(Generic[M]):
    """Some items of a list, and the places of the pages beside it ("": there is none)."""

    items: list[M] = field(default_factory=list)
    previous: str = ""
    next: str = ""
    is_first: bool = True  # it was asked for without a place
    searched_to: Key = ()  # the search paused there; () where it came to the end, or the page is full


@dataclass(frozen=True, slots=True)
class _Place:
    key: Key
    backwards: bool


# From the key where a search stands (None: the list's end that it comes from) to the last one of the next
# stretch; None when nothing is left.
Edge = Callable[[Key | None, bool], Key | None]


def read(
    rows: QuerySet[M],
    order: Order,
    place: str = "",
    *,
    size: int,
    among: QuerySet[M] | None = None,
    edge: Edge | None = None,
) -> Page[M]:
    """The page of `rows` at that place; the first one for a place that makes no sense.

    `among`: all rows of the list, where no index finds those that are wanted among them. `edge` says where a
    stretch of them ends, if that can be known without looking.
    """
    model = rows.model
    at = _parse(model, order, place)
    backwards = at is not None and at.backwards
    wanted = _Wanted(rows, order, at, backwards)
    reached: Key | None = None
    if among is not None and edge is None:
        edge = _looked_up(among, order)
    items, reached = wanted.searched(size + 1, edge) if edge else (wanted.first(size + 1), None)
    more = len(items) > size
    del items[size:]
    if backwards and not items and reached is None:  # what was before is gone
        return read(rows, order, size=size, among=among, edge=edge)
    if backwards:
        items.reverse()

    def beside(item: M | None, direction: str) -> str:
        key = reached if item is None else tuple(getattr(item, name) for name in order.fields)
        return "" if key is None else f"{direction}:{_written(model, order, key)}"

    first, last = (items[0], items[-1]) if items else (None, None)
    ahead = (first, "before") if backwards else (last, "after")
    behind = (last, "after") if backwards else (first, "before")
    onward = beside(ahead[0] if more else None, ahead[1])
    back = beside(*behind) if at is not None else ""
    return Page(
        items,
        previous=onward if backwards else back,
        next=back if backwards else onward,
        is_first=at is None,
        searched_to=reached or (),
    )


@dataclass(frozen=True, slots=True)
class _Wanted(Generic[M]):
    """What is read from one place on in one direction."""

    rows: QuerySet[M]
    order: Order
    at: _Place | None
    backwards: bool

    def first(self, count: int, after: Key | None = None, to: Key | None = None) -> list[M]:
        key = after if after is not None else self.at.key if self.at else None
        found = self.rows.order_by(*self.order.by(backwards=self.backwards))
        if key is not None:
            found = found.filter(self.order.beyond(key, backwards=self.backwards))
        if to is not None:
            found = found.filter(self.order.beyond(to, backwards=not self.backwards, itself=True))
        return list(found[:count])

    def searched(self, count: int, edge: Edge) -> tuple[list[M], Key | None]:
        """At most so many, and how far was searched, if not to the end."""
        now = time.monotonic()
        ends = now + PATIENCE
        found: list[M] = []
        key = self.at.key if self.at else None
        to = edge(key, self.backwards)
        while to is not None:
            began = now
            found += self.first(count - len(found), key, to)
            if len(found) == count:
                return found, None
            key, to = to, edge(to, self.backwards)
            now = time.monotonic()
            if to is not None and now + (now - began) > ends:
                return found, key
        return found, None


def _looked_up(among: QuerySet[M], order: Order) -> Edge:
    def edge(key: Key | None, backwards: bool) -> Key | None:
        ahead = among.order_by(*order.by(backwards=backwards))
        if key is not None:
            ahead = ahead.filter(order.beyond(key, backwards=backwards))
        keys = ahead.values_list(*order.fields)
        # A stretch is as far as any OFFSET goes; to read all of its keys takes longer than to search it.
        last: list[Key] = list(keys[STRETCH - 1 : STRETCH])
        return last[0] if last else keys.reverse().first()

    return edge


def _parse(model: type[Model], order: Order, place: str) -> _Place | None:
    direction, _, text = place.partition(":")
    parts = text.split(":")
    if direction not in ("after", "before") or len(parts) != len(order.fields) or "\x00" in unquote(text):
        return None
    try:
        key = tuple(
            _value(_field(model, name), unquote(part)) for name, part in zip(order.fields, parts, strict=True)
        )
    except (ValidationError, ValueError, OverflowError):
        return None
    return None if None in key else _Place(key, direction == "before")


def _value(field: "Field[Any, Any]", text: str) -> Any:
    """Raises ValueError or its like for what the database could not compare with."""
    value = field.to_python(text)
    if isinstance(value, datetime):
        if is_naive(value):
            raise ValueError("A time is of a zone.")
        value.astimezone(UTC)
    return value


def _written(model: type[Model], order: Order, key: Key) -> str:
    fields = [_field(model, name) for name in order.fields]
    item = model(**{found.attname: value for found, value in zip(fields, key, strict=True)})
    return ":".join(quote(found.value_to_string(item), safe="") for found in fields)


def _field(model: type[Model], name: str) -> "Field[Any, Any]":
    found = model._meta.pk if name == "pk" else model._meta.get_field(name)
    return cast("Field[Any, Any]", found)
