"""Mappings: what a row becomes, with the first requests beside it."""

import uuid

from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from feeds import commands, queries
from feeds.deeds import note_deed
from feeds.errors import MappingChanged, WrongState
from feeds.forms import MappingForm
from feeds.mapping import MappingError
from feeds.mapping.draft import DECIMALS, THOUSANDS, DraftField, DraftRule
from feeds.mapping.spec import METHODS
from feeds.mapping_editor import Editor
from feeds.models import Feed, FeedStatus, Mapping
from feeds.views.access import SignedIn, place_of
from feeds.views.typed import keeps_typed

PICKED_FROM = 60  # unused columns that the page offers as buttons; all are offered where one is typed
TYPES = ("text", "number", "integer", "yes/no", "date", "list")
EMPTY = {
    "text": "empty text",
    "omit": "left out",
    "null": "null",
    "required": "row invalid",
}
SIGNS = {"": "none", " ": "space", "'": "apostrophe", ".": "point", ",": "comma"}
CHOICES = {
    "methods": METHODS,
    "types": TYPES,
    "empties": EMPTY.items(),
    "decimals": [(sign, SIGNS[sign]) for sign in DECIMALS],
    "thousands": [(sign, SIGNS[sign]) for sign in THOUSANDS],
    "blank_field": DraftField(),
    "blank_constant": DraftField("constant"),
    "blank_rule": DraftRule(),
}


def mappings(request: SignedIn) -> HttpResponse:
    return render(
        request,
        "feeds/mappings/list.html",
        {"page": queries.mappings_page(place_of(request))},
    )


@keeps_typed
def add(request: SignedIn) -> HttpResponse:
    choice = _choice(request)
    posted = request.method == "POST"
    return _edit(request, Editor.posted(request.POST) if posted else Editor.started(choice.columns), choice)


@keeps_typed
def change(request: SignedIn, name: str) -> HttpResponse:
    shown = queries.mapping_version(name, request.GET.get("version", ""))
    newest = queries.mapping_version(name)
    if shown is None or newest is None:
        raise Http404
    if request.method == "POST":
        editor = Editor.posted(request.POST)
    else:
        editor = Editor.of(shown.document, as_json=request.GET.get("as") == "json")
    known = {
        "shown": shown,
        "versions": queries.versions_page(name, place_of(request, "versions")),
        "aliases": queries.aliases_page(name, place_of(request, "aliases")),
        "deeds": queries.deeds_of_mapping(name, place_of(request, "deeds")),
    }
    return _edit(request, editor, _choice(request, name), name=name, newest=str(newest), **known)


def _choice(request: SignedIn, name: str = "") -> queries.Choice:
    feed = request.POST.get("feed") or request.GET.get("feed", "")
    return queries.Choice(request.user, feed=feed, pasted=request.POST.get("pasted", ""), mapping=name)


def _edit(
    request: SignedIn,
    editor: Editor,
    choice: queries.Choice,
    *,
    name: str = "",
    newest: str = "",
    **context: object,
) -> HttpResponse:
    form = MappingForm(initial={"name": name})
    meant_for = _meant_for(request)
    seen = request.POST.get("seen", newest)
    if request.method == "POST":
        form = MappingForm({"name": request.POST.get("name", "")} | _document(editor))
        if "do" not in request.POST and not editor.problem and form.is_valid():
            try:
                return _store(request, form, meant_for)
            except MappingChanged as exc:
                if exc.same:  # a double click
                    return _go_on(form.cleaned_data["name"], meant_for)
                editor.blame(str(exc))
                seen = str(exc.newest)
        form.errors.pop("document", None)
        _act(editor, request.POST.get("do", "show"))
    context |= CHOICES | {"form": form, "editor": editor, "choice": choice} | _requests(editor, choice)
    context |= {"seen": seen, "picks": _picks(editor, choice), "meant_for": meant_for}
    return render(request, "feeds/mappings/form.html", context)


def _meant_for(request: SignedIn) -> Feed | None:
    """The feed from whose page somebody came to write a mapping for it, as long as it can be given one."""
    try:
        feed = queries.get_feed(request.user, uuid.UUID(request.GET.get("feed", "")))
    except (ValueError, Http404):
        return None
    can_be_read_again = feed.status in (FeedStatus.READY, FeedStatus.REJECTED)
    return feed if can_be_read_again and queries.may_send(request.user, feed) else None


def _go_on(name: str, meant_for: Feed | None) -> HttpResponse:
    return redirect("feeds:feed", meant_for.id) if meant_for else redirect("feeds:mapping", name)


def _store(request: SignedIn, form: MappingForm, meant_for: Feed | None) -> HttpResponse:
    with transaction.atomic():
        stored = commands.add_mapping(**form.cleaned_data, seen=request.POST.get("seen"))
        detail = f"version {stored.version}"
        note_deed(mapping_name=stored.name, user_id=request.user.pk, what="saved", detail=detail)
    kept = " Feeds that were sent keep the version they had." if stored.version > 1 else ""
    messages.success(request, f"Stored {stored}.{kept}{_use_for(meant_for, stored, request)}")
    return _go_on(stored.name, meant_for)


def _use_for(feed: Feed | None, stored: Mapping, request: SignedIn) -> str:
    """What is said of the feed that the mapping was written for, if it was for one."""
    if feed is None:
        return ""
    try:
        commands.choose_mapping(feed.id, mapping=stored, user_id=request.user.pk)
    except WrongState as exc:
        messages.warning(request, f"{exc} So it keeps what it had.")
        return ""
    return f" {feed.name} is now sent with it: look at its requests, then press Send."


def _act(editor: Editor, action: str) -> None:
    try:
        editor.do(action)
        if action == "show":
            editor.check()
    except MappingError as exc:
        editor.blame(str(exc))


def _document(editor: Editor) -> dict[str, str]:
    try:
        return {"document": editor.document}
    except MappingError as exc:
        editor.blame(str(exc))
        return {"document": ""}


@require_POST
def preview(request: SignedIn) -> HttpResponse:
    """The requests of the first rows under a mapping that is being written."""
    found = _requests(Editor.posted(request.POST), _choice(request))
    return render(request, "feeds/mappings/_preview.html", found)


def _requests(editor: Editor, choice: queries.Choice) -> dict[str, object]:
    sample = choice.sample
    if sample is None:
        return {}
    try:
        return {"sample": sample, "requests": sample.requests(editor.document)}
    except MappingError as exc:
        problem = editor.draft.worded(str(exc)) if editor.draft else str(exc)
        return {"sample": sample, "problem": problem}


def _picks(editor: Editor, choice: queries.Choice) -> list[tuple[str, bool]]:
    """The columns to pick from."""
    draft = editor.draft
    return list(draft.picks(choice.columns))[: PICKED_FROM + len(draft.fields)] if draft else []
