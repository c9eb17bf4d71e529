"""The pages for what went wrong: what happened, what it means for the rows, what to do now.

They need neither the database nor a session, which may be what is broken.
"""

import errno
import sys

from django.conf import settings
from django.core.exceptions import RequestDataTooBig, TooManyFilesSent
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.loader import render_to_string

from feeds.views import typed

_FULL = (errno.ENOSPC, errno.EDQUOT)


def page(status: int, title: str, *sentences: str) -> HttpResponse:
    """A page that says what happened and what to do."""
    context = {"title": title, "sentences": sentences, "status": status}
    return HttpResponse(render_to_string("errors/page.html", context), status=status)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if isinstance(exception, RequestDataTooBig):
        return page(
            413, "This upload is too large", str(exception), "Nothing was stored and nothing is sent."
        )
    if isinstance(exception, TooManyFilesSent):
        return page(
            413,
            "These are too many files at once",
            f"Up to {settings.DATA_UPLOAD_MAX_NUMBER_FILES} files are taken together. Nothing was stored.",
            "Upload them in several goes.",
        )
    return page(400, "This request cannot be read", "Go back, reload the page, and try once more.")


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    return page(403, "This page is not open to you", "Ask an admin if you need it for your work.")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return page(
        404,
        "There is nothing here",
        "The address is mistyped, what it showed was deleted, or it belongs to somebody else.",
    )


def not_shown(request: HttpRequest) -> HttpResponse:
    return page(
        405,
        "There is nothing to see here",
        "This address only takes what a button sends. Nothing was done.",
        "Go back to the page with the button.",
    )


def csrf_failed(request: HttpRequest, reason: str = "") -> HttpResponse:
    if typed.keep(request):
        return redirect(request.get_full_path())
    return page(
        403,
        "This page was open for too long",
        "Nothing was done. Go back, reload the page, and press the button once more.",
    )


def failed(request: HttpRequest) -> HttpResponse:
    """Called while the exception is being handled."""
    error = sys.exc_info()[1]
    if isinstance(error, OperationalError | InterfaceError):
        done = getattr(error, "__notes__", ())  # the view says so, where that is less or more than nothing
        return page(
            503,
            "The database cannot be used right now",
            *(done or ["What you just asked for was not done, and nothing was half-written."]),
            "Feeds that were accepted are safe and go on by themselves. Try again in a minute.",
        )
    if isinstance(error, OSError) and error.errno in _FULL:
        return page(
            507,
            "The disk is full",
            "The file was not stored, and nothing of it is left behind.",
            "Feeds that were accepted are safe. Ask an admin to make room, then upload the file again.",
        )
    return page(
        500,
        "Something went wrong on our side",
        "What you just asked for was not done. Feeds that were accepted go on by themselves.",
        "Try once more; if it happens again, tell an admin when it happened.",
    )
