"""Mappings: what a row becomes, with the first requests beside it."""

import json
import uuid

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from feeds import commands, queries
from feeds.forms import MappingForm
from feeds.mapping import MappingError
from feeds.models import Feed
from feeds.queries.preview import FirstRequest
from feeds.views.access import SignedIn

REQUESTS = 3


def mappings(request: SignedIn) -> HttpResponse:
    return render(request, "feeds/mappings/list.html", {"mappings": queries.newest_mappings()})


def add(request: SignedIn) -> HttpResponse:
    feed = _sample(request, request.POST.get("feed") or request.GET.get("feed", ""))
    start = _text(queries.start_document(feed))
    return _edit(request, MappingForm(request.POST or None, initial={"document": start}), feed)


def change(request: SignedIn, name: str) -> HttpResponse:
    versions = list(queries.mapping_versions(name))
    if not versions:
        raise Http404
    shown = next((each for each in versions if str(each.version) == request.GET.get("version")), versions[0])
    initial = {"name": name, "document": _text(shown.document)}
    feed = _sample(request, request.POST.get("feed") or request.GET.get("feed", ""))
    form = MappingForm(request.POST or None, initial=initial)
    aliases = queries.aliases_of(name)
    return _edit(request, form, feed, versions=versions, shown=shown, aliases=aliases)


def _edit(request: SignedIn, form: MappingForm, feed: Feed | None, **context: object) -> HttpResponse:
    document = str(form["document"].value() or "")
    if request.method == "POST" and "preview" not in request.POST and form.is_valid():
        stored = commands.add_mapping(name=form.cleaned_data["name"], document=document)
        messages.success(request, f"Stored {stored}. Feeds that were sent keep the version they had.")
        return redirect("feeds:mapping", stored.name)
    context |= {"form": form, "feed": feed, "feeds": queries.sample_feeds(request.user)}
    return render(request, "feeds/mappings/form.html", context | _requests(document, feed))


@require_POST
def preview(request: SignedIn) -> HttpResponse:
    """The requests of the first rows under a document that is being written."""
    feed = _sample(request, request.POST.get("feed", ""))
    found = _requests(request.POST.get("document", ""), feed)
    return render(request, "feeds/mappings/_preview.html", found | {"feed": feed})


def _requests(document: str, feed: Feed | None) -> dict[str, object]:
    if feed is None:
        return {}
    records = [record for record in queries.first_records(feed, 50) if not record.error]
    requests: list[FirstRequest] = []
    try:
        requests = queries.first_requests(document, feed.columns, records[:REQUESTS], feed.destination)
    except MappingError as exc:
        return {"problem": str(exc)}
    return {"requests": requests}


def _sample(request: SignedIn, feed_id: str) -> Feed | None:
    """The feed that was chosen, else the newest one."""
    try:
        return queries.get_feed(request.user, uuid.UUID(feed_id))
    except (ValueError, Http404):
        return next(iter(queries.sample_feeds(request.user)), None)


def _text(document: object) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False)
