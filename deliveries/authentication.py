"""How a destination lets us in: what a person chooses and enters, checked, and the headers made of it.

The credentials of a choice are one encrypted value, {field: text}. OAuth2's token is fetched and kept by
`deliveries.tokens`; all others are headers that are the same for every request.
"""

import base64
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from django.db import models

from deliveries.addresses import problem_with_url
from deliveries.wire import FRAMING, problem_with_header

HIDDEN = "••••••••"
# What Rowpost sets itself: another with the same name would go out beside it.
OURS = FRAMING | {
    "content-type", "idempotency-key", "rowpost-feed", "rowpost-row", "rowpost-attempt",
    "webhook-id", "webhook-timestamp", "webhook-signature",
}  # fmt: skip


class Auth(models.TextChoices):
    NONE = "none", "None, or a header of your own"
    BEARER = "bearer", "Bearer token"
    BASIC = "basic", "User name and password (basic)"
    KEY = "key", "Key in a header"
    OAUTH2 = "oauth2", "OAuth2 client credentials"


@dataclass(frozen=True, slots=True)
class Field:
    """One thing to enter for a choice."""

    name: str
    label: str
    secret: bool = False
    needed: bool = True


FIELDS: Mapping[str, tuple[Field, ...]] = {
    Auth.NONE: (),
    Auth.BEARER: (Field("token", "token", secret=True),),
    Auth.BASIC: (Field("user", "user name"), Field("password", "password", secret=True, needed=False)),
    Auth.KEY: (Field("key_header", "name of the header"), Field("key", "key", secret=True)),
    Auth.OAUTH2: (
        Field("token_url", "token URL"),
        Field("client_id", "client id"),
        Field("client_secret", "client secret", secret=True),
        Field("scope", "scope", needed=False),
        Field("audience", "audience", needed=False),
        Field("secret_in_body", "where the secret stands", needed=False),
    ),
}

Credentials = Mapping[str, str]


def problem_with(auth: str, credentials: Credentials, headers: Iterable[str]) -> tuple[str, str]:
    """The field that is wrong and a sentence that says what to do; ("", "") if nothing is."""
    for field in FIELDS[auth]:
        value = credentials.get(field.name, "")
        if field.needed and not value:
            return field.name, f"Enter the {field.label}."
        if not (value.isascii() and value.isprintable()) and auth != Auth.BASIC:
            return field.name, f"The {field.label} may hold ASCII characters only, without line breaks."
    check = _PROBLEMS.get(auth)
    if check and (found := check(credentials)):
        return found
    return _problem_with_headers(headers, auth, credentials)


def _problem_with_headers(headers: Iterable[str], auth: str, credentials: Credentials) -> tuple[str, str]:
    taken = header_name(auth, credentials).lower()
    for name in headers:
        if name.lower() in OURS:
            return "headers", f"Rowpost sets {name} itself: remove the line here."
        if name.lower() == taken:
            label = Auth(auth).label.lower()
            return "headers", f"{name} is set by the authentication ({label}): remove the line here."
    return "", ""


def _problem_with_user(credentials: Credentials) -> tuple[str, str] | None:
    if ":" in credentials["user"]:
        return "user", "A user name cannot contain a colon: the third party would read it as its end."
    return None


def _problem_with_key(credentials: Credentials) -> tuple[str, str] | None:
    name = credentials["key_header"]
    if name.lower() in OURS:
        return "key_header", f"Rowpost sets {name} itself; the key needs another header, such as X-API-Key."
    if problem := problem_with_header(name, "x"):
        return "key_header", problem
    return None


def _problem_with_client(credentials: Credentials) -> tuple[str, str] | None:
    if problem := problem_with_url(credentials["token_url"]):
        return "token_url", problem.replace("The URL", "The token URL")
    return None


_PROBLEMS: Mapping[str, Callable[[Credentials], tuple[str, str] | None]] = {
    Auth.BASIC: _problem_with_user,
    Auth.KEY: _problem_with_key,
    Auth.OAUTH2: _problem_with_client,
}


def header_name(auth: str, credentials: Credentials) -> str:
    """The header that carries the credentials; "" if none does."""
    if auth == Auth.NONE:
        return ""
    return credentials["key_header"] if auth == Auth.KEY else "Authorization"


def fixed_headers(auth: str, credentials: Credentials | None) -> dict[str, str]:
    """What each request carries, as long as the destination is not changed."""
    match auth, credentials or {}:
        case Auth.BEARER, {"token": token}:
            return bearer(token)
        case Auth.BASIC, {"user": user, **rest}:
            return {"Authorization": basic(user, rest.get("password", ""))}
        case Auth.KEY, {"key_header": name, "key": key}:
            return {name: key}
    return {}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
