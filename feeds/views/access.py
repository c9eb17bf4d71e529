"""Who asks, and for what. The middleware has seen to it that somebody is signed in."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, QueryDict
from django_htmx.middleware import HtmxDetails


class SignedIn(HttpRequest):
    user: User
    htmx: HtmxDetails


def text_of(given: QueryDict, name: str) -> str:
    """What was written there, without what no database takes for text."""
    return str(given.get(name, "")).replace("\x00", "").strip()


def for_admins(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """The page is refused to everybody else."""

    @wraps(view)
    def checked(request: SignedIn, *args: Any, **arguments: Any) -> HttpResponse:
        if not request.user.is_staff:
            raise PermissionDenied
        return view(request, *args, **arguments)

    return checked
