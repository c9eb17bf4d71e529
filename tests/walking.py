"""Through a list page by page, as a person goes: by the links that the pages have."""

from collections.abc import Callable
from typing import Any

Look = Callable[[str], Any]  # the page at a place


def forward(look: Look, *, between: Callable[[], object] = lambda: None) -> list[Any]:
    """All pages from the first to the last; `between` happens after each."""
    pages = [look("")]
    while pages[-1].next:
        between()
        pages.append(look(pages[-1].next))
    return pages


def backward(look: Look, last: Any, *, between: Callable[[], object] = lambda: None) -> list[Any]:
    """All pages from the one before `last` to the first, in this order."""
    pages, place = [], last.previous
    while place:
        between()
        pages.append(look(place))
        place = pages[-1].previous
    return pages


def items(pages: list[Any]) -> list[Any]:
    return [item for page in pages for item in page.items]
