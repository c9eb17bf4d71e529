"""The table of rows, and one row with all that became of it."""

import uuid

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from feeds import commands, queries
from feeds.errors import WrongState
from feeds.mapping import MappingError, RowError
from feeds.views.access import SignedIn


def rows(request: SignedIn, feed_id: uuid.UUID) -> HttpResponse:
    feed = queries.get_feed(request.user, feed_id)
    show, text = request.GET.get("show", "all"), request.GET.get("q", "").strip()
    if number := _number(request.GET.get("number", "")):
        return redirect("feeds:row", feed.id, number)
    page = queries.rows_page(feed, show=show, text=text, after=_number(request.GET.get("after", "")))
    context = {"feed": feed, "page": page, "show": show, "text": text, "shows": queries.Show.choices}
    return render(request, "feeds/rows.html", context)


def row(request: SignedIn, feed_id: uuid.UUID, number: int) -> HttpResponse:
    feed = queries.get_feed(request.user, feed_id)
    return render(request, "feeds/row.html", {"feed": feed, "story": queries.row_story(feed, number)})


@require_POST
def edit(request: SignedIn, feed_id: uuid.UUID, number: int) -> HttpResponse:
    """Sends a failed row again with other cells."""
    feed = queries.get_feed(request.user, feed_id)
    cells = [request.POST.get(f"cell-{index}", "") for index in range(len(feed.columns))]
    try:
        commands.edit_row(feed.id, number, cells=cells, user_id=request.user.pk)
    except (RowError, MappingError) as exc:
        messages.error(request, f"Nothing was sent: {exc}")
    except WrongState as exc:
        messages.warning(request, f"{exc} This is how it stands now.")
    else:
        messages.success(request, "The row is sent again as you changed it, under a new key.")
    return redirect("feeds:row", feed.id, number)


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 12 else 0
