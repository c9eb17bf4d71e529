"""The list of feeds, the upload, and a feed's own page."""

import uuid
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from django.contrib import messages
from django.contrib.staticfiles.finders import find
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.datastructures import MultiValueDict
from django.views.decorators.http import require_POST
from django_htmx.http import HttpResponseClientRedirect, reswap, retarget

from feeds import commands, errands, queries
from feeds.deeds import note_deed
from feeds.errors import WrongState
from feeds.forms import CorrectionForm, MappingChoiceForm, UploadForm
from feeds.models import Feed, FeedStatus
from feeds.named_choices import suggested
from feeds.views.access import SignedIn, for_senders, place_of, text_of

SAMPLE = "samples/products.csv"  # among the static files


def home(request: HttpRequest) -> HttpResponse:
    return redirect("feeds:list")


def list_feeds(request: SignedIn) -> HttpResponse:
    search, status = text_of(request.GET, "q"), request.GET.get("status", "")
    page = queries.feeds_page(request.user, search=search, status=status, place=place_of(request))
    context: dict[str, object] = {"page": page, "search": search, "status": status, "statuses": FeedStatus}
    context["closed"] = queries.closed_destinations(page.items)
    return render(request, "feeds/list.html", context)


def upload(request: SignedIn) -> HttpResponse:
    form = UploadForm(*_entered(request), user=request.user)
    if request.method == "POST" and form.is_valid():
        feeds: list[Feed] = []
        try:
            feeds.extend(form.create_feeds(owner_id=request.user.pk))
        except OSError as exc:
            form.add_error(None, _not_stored(exc, feeds))
        except (OperationalError, InterfaceError) as exc:
            if feeds:  # the page of the error tells what of the request was done for all that
                then = "Look at the list of feeds once it is back, and upload what is missing there."
                exc.add_note(f"{_uploaded(feeds)} {then}")
            raise
        else:
            return _after_upload(request, feeds)
    form.propose(destination=text_of(request.GET, "destination"), mapping=text_of(request.GET, "mapping"))
    status = 422 if form.is_bound and form.errors and not request.htmx else 200
    context = {
        "form": form,
        "newcomer": not queries.visible_feeds(request.user).exists(),
        "may_add": queries.may_add(request.user),
    }
    return render(request, "feeds/upload.html", context, status=status)


def _entered(request: SignedIn) -> tuple[QueryDict | None, MultiValueDict[str, Any] | None]:
    """What was chosen and said; or the sample, for who has no file at hand. It is never sent unseen."""
    if "sample" not in request.POST:
        return request.POST or None, request.FILES or None
    said = request.POST.copy()
    said["send_at_once"] = ""
    content = Path(str(find(SAMPLE))).read_bytes()
    return said, MultiValueDict({"file": [SimpleUploadedFile(Path(SAMPLE).name, content)]})


def names(request: SignedIn, chosen: str) -> HttpResponse:
    """Destinations or mappings that match what was typed of a name so far."""
    choices: dict[str, QuerySet[Any]] = {
        "destination": queries.visible_destinations(request.user),
        "mapping": queries.newest_mappings(),
    }
    if chosen not in choices:
        raise Http404
    found = suggested(choices[chosen], text_of(request.GET, chosen))
    return render(request, "feeds/_names.html", {"names": found})


def _not_stored(error: OSError, stored: list[Feed]) -> str:
    """What is told of files of which not all could be stored: else those that were would be sent twice."""
    why = error.strerror or error
    if not stored:
        return (
            f"The file could not be stored ({why}). Nothing of it was kept and nothing is sent. "
            f"Ask an admin to make room, then upload it again."
        )
    return (
        f"{_uploaded(stored)} What follows them could not be stored ({why}), and nothing of it was "
        f"kept. Ask an admin to make room, then upload only the rest again."
    )


def _uploaded(feeds: list[Feed]) -> str:
    return f"These are uploaded: {', '.join(feed.name for feed in feeds)}."


def _after_upload(request: SignedIn, feeds: list[Feed]) -> HttpResponse:
    url = reverse("feeds:feed", args=[feeds[0].id]) if len(feeds) == 1 else reverse("feeds:list")
    if len(feeds) > 1:
        messages.success(request, f"{len(feeds)} files are uploaded and being read.")
    return HttpResponseClientRedirect(url) if request.htmx else redirect(url)


def show(request: SignedIn, feed_id: uuid.UUID) -> HttpResponse:
    feed = queries.get_feed(request.user, feed_id)
    return render(request, "feeds/feed.html", _all_of(feed, request))


def _all_of(feed: Feed, request: SignedIn) -> dict[str, object]:
    """What its page shows in the stage that it is in."""
    context: dict[str, object] = {"feed": feed, "live": queries.Live(feed)}
    context["mails"] = queries.feed_mails(feed, request.user, place_of(request, "mails"))
    context["deeds"] = deeds = queries.deeds_of_feed(feed, place_of(request, "deeds"))
    context["keeps"] = queries.keeps(request.user, feed)
    context["upload"] = queries.upload_of(feed) if deeds.next else deeds.items[-1]
    if feed.status in (FeedStatus.READY, FeedStatus.REJECTED):
        whole = queries.whole_line(feed)
        proposed = {"delimiter": whole.delimiter} if whole else {}
        context["correction"] = CorrectionForm.of(feed, **proposed)
        context |= {"missing": queries.missing_columns(feed), "whole_line": whole}
    if feed.status == FeedStatus.READY:
        context["preview"] = queries.preview(feed, request.user)
        context["choice"] = MappingChoiceForm.of(feed)
    else:
        context["chart"] = queries.chart(feed)
        context["groups"] = queries.failed_groups(feed, whole="reasons" in request.GET)
    return context


def live(request: SignedIn, feed_id: uuid.UUID) -> HttpResponse:
    """The part of the page that moves; all that is about the feed once it has come to another stage."""
    feed = queries.get_feed(request.user, feed_id)
    if request.GET.get("stage") != feed.stage:
        page = render(request, "feeds/_stage.html", _all_of(feed, request))
        return retarget(reswap(page, "outerHTML"), "#feed")
    context = {"feed": feed, "live": queries.Live(feed), "chart": queries.chart(feed)}
    return render(request, "feeds/_news.html", context)


def groups(request: SignedIn, feed_id: uuid.UUID) -> HttpResponse:
    """Why rows failed, while they do."""
    feed = queries.get_feed(request.user, feed_id)
    found = queries.failed_groups(feed, whole="reasons" in request.GET)
    context = {"feed": feed, "groups": found, "live": queries.Live(feed)}
    return render(request, "feeds/_groups.html", context)


class Button(NamedTuple):
    """What a button does, and how it is told."""

    command: Callable[[uuid.UUID], None]
    done: str
    sentence: str
    detail: str = ""

    def press(self, request: SignedIn, feed: Feed) -> HttpResponse:
        """A second press, or somebody else's a moment earlier, is told and does nothing."""
        try:
            with transaction.atomic():
                self.command(feed.id)
                note_deed(feed.id, user_id=request.user.pk, what=self.done, detail=self.detail)
        except WrongState as exc:
            messages.warning(request, f"{exc} This is how it stands now.")
        except Feed.DoesNotExist as exc:
            raise Http404 from exc
        else:
            messages.success(request, self.sentence)
        return redirect("feeds:feed", feed.id)


# A message stays in sight while the feed goes on: each tells what has happened, not what happens.
SENDING = {
    "send": Button(commands.release, "sent", "Sending has begun."),
    "try": Button(
        commands.try_first,
        "tried",
        "Sending the first rows has begun. The others wait until you send the rest.",
        "the first rows",
    ),
    "rest": Button(commands.release_rest, "sent", "Sending the rest has begun.", "the rest"),
    "resume": Button(commands.resume, "resumed", "The feed was resumed."),
}
STOPPING = {
    "pause": Button(commands.pause, "paused", "The feed is paused. Rows that are not sent yet wait."),
    "cancel": Button(commands.cancel, "cancelled", "The feed is cancelled. What had arrived stays arrived."),
}


@require_POST
def act(request: SignedIn, feed_id: uuid.UUID, action: str) -> HttpResponse:
    if action in SENDING:
        return send(request, feed_id, action)
    if action not in STOPPING:
        raise Http404
    return STOPPING[action].press(request, queries.get_feed(request.user, feed_id))


@for_senders
def send(request: SignedIn, feed_id: uuid.UUID, action: str) -> HttpResponse:
    return SENDING[action].press(request, queries.get_feed(request.user, feed_id))


@require_POST
@for_senders
def retry(request: SignedIn, feed_id: uuid.UUID) -> HttpResponse:
    """Has failed rows sent again: all, or those of one group."""
    group = text_of(request.POST, "group")[:16]
    button = Button(
        partial(errands.retry_failed, group=group),
        "retried",
        "The failed rows are sent again. You need not wait here.",
        "one reason" if group else "what had failed",
    )
    return button.press(request, queries.get_feed(request.user, feed_id))


@require_POST
def give_up(request: SignedIn, feed_id: uuid.UUID) -> HttpResponse:
    """Ends what still retries."""
    button = Button(
        partial(errands.give_up, by=request.user.get_username()),
        "gave up",
        "What still retries is given up. These rows can be retried at any time.",
        "what was still retried",
    )
    return button.press(request, queries.get_feed(request.user, feed_id))


@require_POST
@for_senders
def correct(request: SignedIn, feed_id: uuid.UUID) -> HttpResponse:
    """Reads the file again as the person says that it is written."""
    feed = queries.get_feed(request.user, feed_id)
    form = CorrectionForm(request.POST)
    if not form.is_valid():
        messages.warning(request, "Give the lines before the header as a number from 0 to 1000.")
        return redirect("feeds:feed", feed.id)
    try:
        with transaction.atomic():
            commands.correct(feed.id, said=form.said())
            note_deed(feed.id, user_id=request.user.pk, what="corrected", detail="how it is read")
    except WrongState as exc:
        messages.warning(request, f"{exc} This is how it stands now.")
    return redirect("feeds:feed", feed.id)


@require_POST
@for_senders
def choose_mapping(request: SignedIn, feed_id: uuid.UUID) -> HttpResponse:
    """Has the rows become something else, as long as none was sent."""
    feed = queries.get_feed(request.user, feed_id)
    form = MappingChoiceForm(request.POST)
    if not form.is_valid():
        messages.warning(request, str(form.errors["mapping"][0]))
        return redirect("feeds:feed", feed.id)
    mapping = form.cleaned_data["mapping"]
    try:
        commands.choose_mapping(feed.id, mapping=mapping, user_id=request.user.pk)
    except WrongState as exc:
        messages.warning(request, f"{exc} This is how it stands now.")
    else:
        messages.success(request, "These are the requests that the rows become now.")
    return redirect("feeds:feed", feed.id)
