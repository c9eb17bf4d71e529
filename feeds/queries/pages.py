"""A part of a list: pages are read by key and never counted."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from django.db.models import Model

M = TypeVar("M", bound=Model)


@dataclass(frozen=True, slots=True)
class Page(Generic[M]):
    """Some items of a list, with the key after which the next ones begin ("": these are the last)."""

    items: list[M]
    next_key: str = ""


def cut(items: Iterable[M], size: int, key: str) -> Page[M]:
    """The page of at most `size` items, when one more was read."""
    found = list(items)
    more = len(found) > size
    return Page(found[:size], str(getattr(found[size - 1], key)) if more else "")
