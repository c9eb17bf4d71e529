"""The table of rows, and one row with all that became of it."""

import uuid

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from feeds import queries
from feeds.editing import edit_row
from feeds.errors import WrongState
from feeds.mapping import MappingError, RowError
from feeds.models import Feed
from feeds.queries.row_cells import Editing
from feeds.views.access import SignedIn, for_senders, place_of, text_of
from feeds.views.typed import keeps_typed


def rows(request: SignedIn, feed_id: uuid.UUID) -> HttpResponse:
    feed = queries.get_feed(request.user, feed_id)
    show, text = request.GET.get("show", "all"), text_of(request.GET, "q")
    if number := _number(request.GET.get("number", "")):
        if missing := queries.why_no_row(feed, number):
            messages.info(request, missing)
            return redirect("feeds:rows", feed.id)
        return redirect("feeds:row", feed.id, number)
    page = queries.rows_page(feed, show=show, text=text, place=place_of(request))
    context = {"feed": feed, "page": page, "show": show, "text": text, "shows": queries.Show.choices}
    context["unsearched"] = text and show in queries.UNSEARCHED
    return render(request, "feeds/rows.html", context)


def row(request: SignedIn, feed_id: uuid.UUID, number: int) -> HttpResponse:
    feed = queries.get_feed(request.user, feed_id)
    places = {name: place_of(request, name) for name in ("attempts", "steps")}
    story = queries.row_story(feed, number, **places)
    return render(request, "feeds/row.html", {"feed": feed, "story": story})


@keeps_typed
@require_POST
@for_senders
def edit(request: SignedIn, feed_id: uuid.UUID, number: int) -> HttpResponse:
    """Sends a failed or invalid row with other cells."""
    feed = queries.get_feed(request.user, feed_id)
    editing = queries.editing(feed, queries.get_row(feed, number))
    if editing is None:
        messages.warning(request, f"Row {number} is neither failed nor invalid now: nothing was sent.")
        return redirect("feeds:row", feed.id, number)
    cells = _entered(request, editing)
    if "do" in request.POST:  # as it was typed before a sign-in
        story = queries.row_story(feed, number, entered=cells)
        return render(request, "feeds/row.html", {"feed": feed, "story": story})
    if not editing.certain and "checked" not in request.POST:
        problem = "tick that each value stands beside its column."
        return _not_taken(request, feed, number, cells, problem)
    try:
        edit_row(
            feed.id,
            number,
            cells=cells,
            revision=_number(request.POST.get("revision", "")),
            user_id=request.user.pk,
        )
    except (RowError, MappingError) as exc:
        return _not_taken(request, feed, number, cells, str(exc))
    except WrongState as exc:
        messages.warning(request, f"{exc} This is how it stands now.")
    else:
        key = "" if editing.never_sent else ", under a new key"
        messages.success(request, f"The row is sent{' again' if key else ''} as you changed it{key}.")
    return redirect("feeds:row", feed.id, number)


def _entered(request: SignedIn, editing: Editing) -> list[str]:
    given = request.POST
    return [
        queries.as_entered(given.get(f"cell-{index}", ""), entry.value)
        for index, entry in enumerate(editing.entries)
    ]


def _not_taken(request: SignedIn, feed: Feed, number: int, cells: list[str], problem: str) -> HttpResponse:
    """The page again, with what was entered."""
    messages.error(request, f"Nothing was sent: {problem}")
    story = queries.row_story(feed, number, entered=cells)
    return render(request, "feeds/row.html", {"feed": feed, "story": story}, status=422)


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 12 else 0
