"""How numbers, times and statuses are written on the pages."""

import json
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django import template
from django.http import QueryDict
from django.urls import reverse
from django.utils import timezone
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe

from feeds.models import Feed, Row
from feeds.queries.preview import FirstRequest
from feeds.queries.rows import outcome_of
from outbox.heartbeats import missing
from outbox.models import Handling

register = template.Library()

NOTHING = "\N{EN DASH}"

# As deliveries.answers puts it.
_ANSWERED = re.compile(r"(?P<source>The third party answered \d{3}[^:,]*): (?P<gist>.+)", re.DOTALL)

_OPENING, _CLOSING = frozenset("[{"), frozenset("]}")
_TOKENS = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{},:]|[^\s\[\]{},:"]+')

# Of a body: what is shown whole, and how much of what is longer.
LONG_LINES, LONG = 24, 1500
SHOWN_LINES, SHOWN = 16, 900
LONG_ADDRESS = 34  # characters that have room beside the method in a third of a page

_JOINTS = re.compile(r"(?<=[_-])(?=\w)|(?=\.\w)")
_SLASH = re.compile(r"(?<![:/])/(?!/)")

_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


@register.filter
def number(value: int | None) -> str:
    """12345 → 12,345."""
    return NOTHING if value is None else f"{value:,}"


@register.filter
def duration(seconds: float | None) -> str:
    """5400 → 1 h 30 min; the two largest units."""
    if seconds is None:
        return NOTHING
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms" if seconds >= 0.0005 else "no time"
    if seconds < 10:
        return f"{seconds:.1f} s"
    left = round(seconds)
    parts: list[str] = []
    for size, name in _UNITS:
        if left >= size and len(parts) < 2:
            parts.append(f"{left // size} {name}")
            left %= size
    return " ".join(parts)


@register.filter
def roughly(seconds: float) -> str:
    """As `duration`, of what nobody can tell to the millisecond: behind the word "about"."""
    if seconds < 1.5:
        return "a second"
    return f"{seconds:.0f} s" if seconds < 10 else duration(seconds)


@register.filter
def moment(value: datetime | None) -> SafeString | str:
    """A point in time, in UTC; the page's script shows it in the reader's own zone."""
    if value is None:
        return NOTHING
    today = value.date() == timezone.now().date()
    text = f"{value:%H:%M:%S}" if today else f"{value:%Y-%m-%d %H:%M}"
    return format_html('<time datetime="{}" data-local>{} UTC</time>', value.isoformat(), text)


@register.filter
def rate(value: float | None) -> str:
    """Requests a second; a minute, where there is less than one a second."""
    if value is None:
        return NOTHING
    if 0 < value < 1:
        return f"{60 * value:.2g}/min"
    return f"{value:,.0f}/s" if value >= 10 or not value else f"{value:.1f}/s"


@register.filter
def pretty(text: str) -> str:
    """JSON over several lines, with each value as it was written; anything else as it is."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return text
    return _indented(_TOKENS.findall(text))


def _indented(pieces: Iterable[str]) -> str:
    """Not by way of numbers: where 1.50 is sent, 1.5 would be another text."""
    parts: list[str] = []
    depth, before = 0, ""
    for piece in pieces:
        depth -= piece in _CLOSING
        if before == "," or (before in _OPENING) != (piece in _CLOSING):
            parts.append("\n" + "  " * depth)
        parts.append(": " if piece == ":" else piece)
        depth += piece in _OPENING
        before = piece
    return "".join(parts)


class Folded(NamedTuple):
    """A text with as much of its beginning as a page shows before somebody asks for all of it."""

    text: str
    beginning: str  # "": the text is short
    lines: int


@register.filter
def folded(text: str) -> Folded:
    lines = text.splitlines()
    if len(lines) <= LONG_LINES and len(text) <= LONG:
        return Folded(text, "", len(lines))
    return Folded(text, f"{chr(10).join(lines[:SHOWN_LINES])[:SHOWN]}\n…", len(lines))


@register.filter
def breakable(address: str) -> SafeString:
    """A URL that, if it is long, is broken over lines at the slashes of its path rather than anywhere."""
    if len(address) < LONG_ADDRESS:
        return escape(address)
    return mark_safe(_SLASH.sub("/<wbr>", escape(address)))  # noqa: S308


@register.filter
def in_joints(name: str) -> SafeString:
    """The name of a file, broken over lines where its parts join rather than in the middle of one."""
    return mark_safe(_JOINTS.sub("<wbr>", escape(name)))  # noqa: S308


@register.filter
def shared_headers(requests: Iterable[FirstRequest]) -> Sequence[tuple[str, str]]:
    """Those that are the same in each of the requests: no row makes them."""
    first, *others = [request.headers for request in requests if not request.error] or [[]]
    return [header for header in first if all(header in headers for headers in others)]


@register.filter
def own_headers(request: FirstRequest, shared: Sequence[tuple[str, str]]) -> Sequence[tuple[str, str]]:
    return [header for header in request.headers if header not in shared]


class Said(NamedTuple):
    """An error in two pieces: what a person has to know, and who says so."""

    gist: str
    source: str


@register.filter
def said(error: str) -> Said:
    """People look for the third party's own words first, and for its status second."""
    text = error.replace("….", "…")
    answered = _ANSWERED.fullmatch(text)
    return Said(answered["gist"], answered["source"]) if answered else Said(text, "")


@register.filter
def words(code: str) -> str:
    """too_few_cells → too few cells."""
    return code.replace("_", " ")


@register.filter
def shown(text: str) -> str:
    """A cell's value, so that emptiness is seen."""
    return text if text.strip() else "(empty)" if not text else "(blank)"


@register.filter
def bar(feed: Feed) -> list[tuple[str, int, int]]:
    """The ledger as pieces of a bar of 1000: (kind, from, width). However little of a kind, it is seen."""
    pieces, x = [], 0
    for kind in ("succeeded", "failed", "cancelled"):
        count: int = getattr(feed, kind)
        if count and feed.total:
            width = min(1000 - x, max(6, round(1000 * count / feed.total)))
            pieces.append((kind, x, width))
            x += width
    return pieces


@register.filter
def not_processed(feed: Feed) -> int:
    return feed.pending + feed.cancelled


@register.filter
def row_cells(row: Row) -> str:
    """The first cells of a row, on one line."""
    return " · ".join(str(cell) for cell in json.loads(row.cells)[:6])


@register.filter
def outcome(row: Row) -> str:
    return outcome_of(row)


@register.filter
def age(value: datetime | None, now: datetime) -> str:
    """How long ago it was."""
    return NOTHING if value is None else duration(max(0.0, (now - value).total_seconds()))


@register.filter
def ago(value: datetime, now: datetime) -> str:
    """As `age`; what was a moment ago is now, so that the page does not flicker."""
    return "now" if (now - value).total_seconds() < 5 else f"{age(value, now)} ago"


@register.inclusion_tag("feeds/_pages.html", takes_context=True)
def pages(
    context: dict[str, Any], page: Any, *, name: str = "page", first: str, previous: str, next: str
) -> dict[str, Any]:
    """The links to the pages beside one, in words; `name` is the list's in the address, and its heading's."""

    def leads_to(place: str) -> str:
        query: QueryDict = context["request"].GET.copy()
        query.pop(name, None)
        if place:
            query[name] = place
        return "?" + query.urlencode(safe=":") + ("" if name == "page" else f"#{name}-head")

    return {
        "first_url": "" if page.is_first else leads_to(""),
        "previous_url": leads_to(page.previous) if page.previous else "",
        "next_url": leads_to(page.next) if page.next else "",
        "first": first,
        "previous": previous,
        "next": next,
        "is_small": name != "page",
    }


@register.inclusion_tag("feeds/_banner.html", takes_context=True)
def banner(context: dict[str, Any]) -> dict[str, Any]:
    """What stands still by our fault, for admins."""
    request = context.get("request")
    if not getattr(context.get("user"), "is_staff", False) or (
        request is not None and request.path == reverse("feeds:overview")  # which says it itself
    ):
        return {}
    return {"missing": missing(), "parked": Handling.objects.parked().exists()}
