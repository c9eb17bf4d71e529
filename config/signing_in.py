"""Who tries to sign in, from where, and what is told after too many failures."""

import ipaddress
import math

from axes.models import AccessAttempt
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from config.error_pages import page

LONGEST_NAME = 150  # characters, as users have them


def client_address(request: HttpRequest) -> str | None:
    """The address that our own proxies saw; what stands before it in the header, anybody can write."""
    address = str(request.META.get("REMOTE_ADDR", ""))
    if settings.PROXIES:
        passed = request.headers.get("X-Forwarded-For", "").split(",")
        address = passed[-min(settings.PROXIES, len(passed))].strip() or address
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        return None  # a socket has none: then it is the name alone that is counted


def name_tried(request: HttpRequest, credentials: dict[str, str] | None) -> str:
    """The name that failures are counted under, no longer than where they are kept."""
    given = credentials or request.POST
    return str(given.get("username", ""))[:LONGEST_NAME]


def locked_out(request: HttpRequest, response: object, credentials: dict[str, str]) -> HttpResponse:
    """The page after too many failures for a name from one address."""
    name = name_tried(request, credentials)
    minutes = _minutes_left(name, client_address(request))
    return page(
        429,
        "Too many sign-ins have failed",
        f"After {settings.AXES_FAILURE_LIMIT} wrong passwords nobody can sign in as {name} from your address "
        f"for a while. Try again in {minutes} {'minute' if minutes == 1 else 'minutes'}.",
        "If you have forgotten the password, have a new one sent by mail meanwhile: the sign-in page has a "
        "link. Feeds go on by themselves.",
    )


def _minutes_left(name: str, address: str | None) -> int:
    last = AccessAttempt.objects.filter(username=name, ip_address=address).order_by("-attempt_time").first()
    since = last.attempt_time if last else timezone.now()
    left = (since + settings.AXES_COOLOFF_TIME - timezone.now()).total_seconds()
    return max(1, math.ceil(left / 60))
