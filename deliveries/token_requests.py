"""The request for an OAuth2 access token (RFC 6749, section 4.4), over the guarded client."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus, urlencode

import orjson
from django.conf import settings

from deliveries.authentication import basic
from deliveries.blanking import blanks, secrets_of
from deliveries.client import Answer, Client, Limits, Request
from deliveries.errors import DeliveryError
from deliveries.models import Destination
from deliveries.said import said
from deliveries.wire import problem_with_header

LIMIT = 10.0  # seconds for a token in all
LASTS = 3600.0  # seconds, where the answer does not say
LONGEST = 30 * 86400.0
LONGEST_TOKEN = 16_000


class TokenUnavailable(DeliveryError):
    """a destination's access token cannot be had right now; the text says why."""


@dataclass(frozen=True, slots=True)
class Granted:
    value: str
    seconds: float  # until it expires


def fetch(destination: Destination) -> Granted:
    """Asks the token URL once; raises TokenUnavailable with a sentence in which no secret stands."""
    credentials: dict[str, str] = destination.credentials or {}
    if not credentials.get("token_url"):
        raise TokenUnavailable("The destination does not authenticate with OAuth2 any more.")
    client = Client(
        allowed_networks=settings.ALLOWED_NETWORKS,
        pool_size=1,
        limits=Limits.within(LIMIT),
    )
    try:
        answer = client.send(_request(credentials))
    finally:
        client.close()
    return _granted(blanks(secrets_of(destination)).answer(answer))


def _request(credentials: dict[str, str]) -> Request:
    client_id, secret = credentials["client_id"], credentials["client_secret"]
    form = {"grant_type": "client_credentials"}
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
    if credentials.get("secret_in_body"):
        form |= {"client_id": client_id, "client_secret": secret}
    else:
        headers["Authorization"] = basic(quote_plus(client_id), quote_plus(secret))
    form |= {name: credentials[name] for name in ("scope", "audience") if credentials.get(name)}
    return Request("POST", credentials["token_url"], headers, urlencode(form).encode())


def _granted(answer: Answer) -> Granted:
    if answer.status is None:
        raise TokenUnavailable(f"No access token could be fetched: {answer.error}")
    if answer.status != 200:
        words = said(answer.body)
        status = f"{answer.status} {answer.reason}".strip()
        told = f"No access token could be fetched: the token URL answered {status}"
        raise TokenUnavailable(f"{told}: {words}." if words else f"{told}.")
    try:
        document = orjson.loads(answer.content)
    except ValueError:
        document = None
    value = document.get("access_token") if isinstance(document, dict) else None
    if not isinstance(value, str) or not _is_sendable(value):
        raise TokenUnavailable("The token URL answered 200, but with no access token that could be sent.")
    kind = document.get("token_type", "bearer")
    if str(kind).lower() != "bearer":
        raise TokenUnavailable("The token URL gives tokens of another type than bearer.")
    return Granted(value, _seconds(document.get("expires_in")))


def _is_sendable(value: str) -> bool:
    return (
        0 < len(value) <= LONGEST_TOKEN
        and value.isascii()
        and value.isprintable()
        and not problem_with_header("Authorization", value)
    )


def _seconds(given: Any) -> float:
    try:
        return min(max(float(given), 1.0), LONGEST)
    except (TypeError, ValueError):
        return LASTS
