"""What every page is sent with, and what takes the place of a page that cannot be shown."""

from collections.abc import Callable
from urllib.parse import urlsplit, urlunsplit

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.contrib.auth.views import redirect_to_login
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseNotAllowed,
    HttpResponseRedirect,
)
from django.shortcuts import resolve_url
from django.template.loader import render_to_string
from django.utils.http import url_has_allowed_host_and_scheme

from config import error_pages
from feeds.views import typed

View = Callable[[HttpRequest], HttpResponse]

POLICY = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' data:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)

# Whatever was asked for, and whatever of it was to be taken.
IN_PLACE = {"HX-Retarget": "#signed-out", "HX-Reswap": "innerHTML", "HX-Reselect": "#signed-out-note"}


def content_security_policy(get_response: View) -> View:
    """No inline scripts or styles, and nothing from another host."""

    def respond(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response.headers.setdefault("Content-Security-Policy", POLICY)
        return response

    return respond


def no_blank_page(get_response: View) -> View:
    """An address that only takes what a button sends says so, should a browser come back to it."""

    def respond(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if not isinstance(response, HttpResponseNotAllowed):
            return response
        told = error_pages.not_shown(request)
        told.headers["Allow"] = response.headers["Allow"]
        return told

    return respond


def gone_meanwhile(get_response: View) -> View:
    """A page asks for a part of itself that was deleted: the whole page is loaded anew, and says so."""

    def respond(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if "HX-Request" in request.headers and response.status_code == 404:
            return HttpResponse(status=204, headers={"HX-Refresh": "true"})
        return response

    return respond


def sign_in_again(get_response: View) -> View:
    """A page that was left open over night asks for a part of itself: it is told so in place, and kept."""

    def respond(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        login = resolve_url(settings.LOGIN_URL)
        if "HX-Request" in request.headers and response.headers.get("Location", "").startswith(login):
            # Else this answer, should it come late, would take away the cookie of a new sign-in.
            request.COOKIES.pop(settings.SESSION_COOKIE_NAME, None)
            told = render_to_string("_signed_out.html", {"login": login})
            return HttpResponse(told, headers=IN_PLACE)
        return response

    return respond


class SignInFirst(LoginRequiredMiddleware):
    """Who was signed out when they pressed a button is told, and led back to the page that has it."""

    def handle_no_permission(
        self, request: HttpRequest, view_func: Callable[..., HttpResponseBase]
    ) -> HttpResponseRedirect:
        if request.method != "POST" or "HX-Request" in request.headers:
            return super().handle_no_permission(request, view_func)
        if typed.keep(request):
            messages.warning(
                request,
                "You were signed out meanwhile: nothing was stored. What you typed is there again "
                "once you have signed in.",
            )
            return redirect_to_login(request.get_full_path(), self.get_login_url(view_func))
        messages.warning(
            request, "You were signed out meanwhile: nothing was done. Sign in, and do it once more."
        )
        return redirect_to_login(_page_before(request), self.get_login_url(view_func))


def _page_before(request: HttpRequest) -> str:
    """The page of ours whose button was pressed: what its form is sent to is often no page. Or the first."""
    before = request.headers.get("Referer", "")
    if not url_has_allowed_host_and_scheme(before, {request.get_host()}, require_https=request.is_secure()):
        return resolve_url(settings.LOGIN_REDIRECT_URL)
    return urlunsplit(("", "", *urlsplit(before)[2:4], ""))
