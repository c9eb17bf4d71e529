"""Who asks, and for what. The middleware has seen to it that somebody is signed in."""

import uuid
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django_htmx.middleware import HtmxDetails

from feeds import queries


class SignedIn(HttpRequest):
    user: User
    htmx: HtmxDetails


def place_of(request: HttpRequest, name: str = "page") -> str:
    """Which page of a list is asked for; a page with several lists names each."""
    return str(request.GET.get(name, ""))


def text_of(given: QueryDict, name: str) -> str:
    """What was written there, without what no database takes for text."""
    return str(given.get(name, "")).replace("\x00", "").strip()


def for_senders(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """What sends rows of a feed is refused to who may only see it, in a sentence on its page."""

    @wraps(view)
    def checked(request: SignedIn, feed_id: uuid.UUID, *args: Any, **arguments: Any) -> HttpResponse:
        feed = queries.get_feed(request.user, feed_id)
        if queries.may_send(request.user, feed):
            return view(request, feed_id, *args, **arguments)
        messages.warning(
            request,
            f"You may not send to {feed.destination.name} any more, so nothing was done. Ask an admin, "
            f"or somebody of {feed.destination.group}.",
        )
        return redirect("feeds:feed", feed.id)

    return checked


def for_admins(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """The page is refused to everybody else."""

    @wraps(view)
    def checked(request: SignedIn, *args: Any, **arguments: Any) -> HttpResponse:
        if not request.user.is_staff:
            raise PermissionDenied
        return view(request, *args, **arguments)

    return checked
