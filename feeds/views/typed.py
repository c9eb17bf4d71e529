"""What somebody had typed when they turned out to be signed out: it waits in their session for the sign-in.

A view that can show its form again with what was typed says so by `keeps_typed`, and its form says whose it
is: the next one who signs in in that browser may be somebody else. What is kept is encrypted, for it may hold
secrets, and sessions are rows of a table.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlsplit

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict, UnreadablePostError
from django.urls import Resolver404, resolve

from deliveries.secret_fields import decrypted, encrypted

View = Callable[..., HttpResponse]

KEPT = "typed"
WHOSE = "whose"  # field of a form: who had it before them
LONGEST = 200_000  # characters of a form


def keeps_typed(view: View) -> View:
    """The view's form is shown again, as if asked for with do=show, when a sign-in came between."""

    @wraps(view)
    def kept(request: HttpRequest, *args: Any, **arguments: Any) -> HttpResponse:
        waiting = request.session.get(KEPT, {}) if request.method == "GET" else {}
        if waiting and waiting.get("whose") != str(request.user.pk):
            del request.session[KEPT]
        elif waiting and waiting["path"] == request.get_full_path():
            del request.session[KEPT]
            request.method, request.POST = "POST", QueryDict(decrypted(waiting["form"]) + "&do=show")
            messages.info(request, "This is what you had typed. Nothing of it is stored yet.")
        return view(request, *args, **arguments)

    kept.keeps_typed = True  # type: ignore[attr-defined]
    return kept


def keep(request: HttpRequest) -> bool:
    """Keeps the form that was sent, if it came from a page of ours and its view takes it up again."""
    try:
        view = resolve(request.path_info).func
    except Resolver404:
        return False
    if not getattr(view, "keeps_typed", False) or not _came_from_us(request):
        return False
    try:
        form = request.POST.copy()
    except UnreadablePostError:  # the client broke off on the way; asked for again, the form is empty
        return False
    whose = form.get(WHOSE, "")
    for name in ("csrfmiddlewaretoken", "do", WHOSE):
        form.pop(name, None)
    text = form.urlencode()
    if not whose or len(text) > LONGEST:
        return False
    request.session[KEPT] = {"whose": whose, "path": request.get_full_path(), "form": encrypted(text)}
    return True


def _came_from_us(request: HttpRequest) -> bool:
    """No other site puts words into a person's form."""
    page = request.headers.get("Origin") or request.headers.get("Referer", "")
    return urlsplit(page).netloc == request.get_host()
