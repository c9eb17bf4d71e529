"""The list of feeds, the upload, and a feed's own page."""

import uuid
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST
from django_htmx.http import HttpResponseClientRedirect, HttpResponseClientRefresh

from feeds import commands, errands, queries
from feeds.errors import WrongState
from feeds.forms import CorrectionForm, UploadForm
from feeds.models import Feed, FeedStatus
from feeds.views.access import SignedIn, for_senders, text_of


def home(request: HttpRequest) -> HttpResponse:
    return redirect("feeds:list")


def list_feeds(request: SignedIn) -> HttpResponse:
    search, status = text_of(request.GET, "q"), request.GET.get("status", "")
    page = queries.feeds_page(
        request.user, search=search, status=status, before=request.GET.get("before", "")
    )
    context = {"page": page, "search": search, "status": status, "statuses": FeedStatus}
    return render(request, "feeds/list.html", context)


def upload(request: SignedIn) -> HttpResponse:
    form = UploadForm(request.POST or None, request.FILES or None, user=request.user)
    if request.method == "POST" and form.is_valid():
        feeds: list[Feed] = []
        try:
            feeds.extend(form.create_feeds(owner_id=request.user.pk))
        except OSError as exc:
            form.add_error(None, _not_stored(exc, feeds))
        else:
            return _after_upload(request, feeds)
    status = 422 if form.is_bound and form.errors and not request.htmx else 200
    context = {"form": form, "newcomer": not queries.visible_feeds(request.user).exists()}
    return render(request, "feeds/upload.html", context, status=status)


def _not_stored(error: OSError, stored: list[Feed]) -> str:
    """What is told of files of which not all could be stored: else those that were would be sent twice."""
    why = error.strerror or error
    if not stored:
        return (
            f"The file could not be stored ({why}). Nothing of it was kept and nothing is sent. "
            f"Ask an admin to make room, then upload it again."
        )
    names = ", ".join(feed.name for feed in stored)
    return (
        f"These are uploaded: {names}. What follows them could not be stored ({why}), and nothing of it was "
        f"kept. Ask an admin to make room, then upload only the rest again."
    )


def _after_upload(request: SignedIn, feeds: list[Feed]) -> HttpResponse:
    url = reverse("feeds:feed", args=[feeds[0].id]) if len(feeds) == 1 else reverse("feeds:list")
    if len(feeds) > 1:
        messages.success(request, f"{len(feeds)} files are uploaded and being read.")
    return HttpResponseClientRedirect(url) if request.htmx else redirect(url)


def show(request: SignedIn, feed_id: uuid.UUID) -> HttpResponse:
    feed = queries.get_feed(request.user, feed_id)
    context: dict[str, object] = {"feed": feed, "live": queries.Live(feed)}
    context |= {"mails": queries.feed_mails(feed, request.user), "deeds": queries.deeds_of_feed(feed)}
    if feed.status in (FeedStatus.READY, FeedStatus.REJECTED):
        whole = queries.whole_line(feed)
        proposed = {"delimiter": whole.delimiter} if whole else {}
        context["correction"] = CorrectionForm.of(feed, **proposed)
        context |= {"missing": queries.missing_columns(feed), "whole_line": whole}
    if feed.status == FeedStatus.READY:
        context["preview"] = queries.preview(feed, request.user)
    else:
        context["chart"] = queries.chart(feed)
        context["groups"] = queries.failed_groups(feed)
    return render(request, "feeds/feed.html", context)


def live(request: SignedIn, feed_id: uuid.UUID) -> HttpResponse:
    """The part of the page that moves; the whole page again once the feed has come to another status."""
    feed = queries.get_feed(request.user, feed_id)
    if request.GET.get("stage") != feed.stage:
        return HttpResponseClientRefresh()
    context = {"feed": feed, "live": queries.Live(feed), "chart": queries.chart(feed)}
    return render(request, "feeds/_news.html", context)


def groups(request: SignedIn, feed_id: uuid.UUID) -> HttpResponse:
    """Why rows failed, while they do."""
    feed = queries.get_feed(request.user, feed_id)
    context = {"feed": feed, "groups": queries.failed_groups(feed), "live": queries.Live(feed)}
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
                commands.note_deed(feed.id, user_id=request.user.pk, what=self.done, detail=self.detail)
        except WrongState as exc:
            messages.warning(request, f"{exc} This is how it stands now.")
        except Feed.DoesNotExist as exc:
            raise Http404 from exc
        else:
            messages.success(request, self.sentence)
        return redirect("feeds:feed", feed.id)


SENDING = {
    "send": Button(commands.release, "sent", "The feed is on its way."),
    "try": Button(
        commands.try_first,
        "tried",
        "The first rows are on their way. The others wait until you send the rest.",
        "the first rows",
    ),
    "rest": Button(commands.release_rest, "sent", "The rest is on its way.", "the rest"),
    "resume": Button(commands.resume, "resumed", "The feed goes on."),
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
            commands.note_deed(feed.id, user_id=request.user.pk, what="corrected", detail="how it is read")
    except WrongState as exc:
        messages.warning(request, f"{exc} This is how it stands now.")
    return redirect("feeds:feed", feed.id)
