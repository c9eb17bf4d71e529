"""A request as an attempt sent it, or will send it, derived anew for people to look at.

Stored of it is the payload, revision by revision; key, feed, row and attempt follow from ids. Secrets are
not read: of the headers that a destination adds, the names alone are told, and these, like its URL, are
those of today.
"""

from dataclasses import dataclass
from urllib.parse import urlsplit

from deliveries.authentication import HIDDEN, header_name
from deliveries.client import DEFAULT_HEADERS
from deliveries.ids import request_key
from deliveries.models import Attempt, Delivery, Destination, Payload
from deliveries.sending import target_url
from deliveries.shown_urls import shown_path, shown_url

SIGNED_THEN = "the second in which it was sent"


@dataclass(frozen=True, slots=True)
class ShownRequest:
    """One request, without its secrets."""

    method: str
    url: str
    headers: list[tuple[str, str]]
    body: str
    revision: int


def request_of(attempt: Attempt, delivery: Delivery, payload: Payload) -> ShownRequest:
    """What that attempt sent, or, while it is not made, would send now."""
    return shown_request(delivery.destination, payload, _ours(attempt, delivery, payload.revision))


def shown_request(destination: Destination, payload: Payload, ours: dict[str, str]) -> ShownRequest:
    """What is sent there with this payload; `ours` are the headers that name key, feed, row and attempt."""
    url = shown_target(destination, payload.path)
    hidden = dict.fromkeys(hidden_names(destination), HIDDEN)
    own = {name.lower() for name in hidden}
    headers = {"Host": urlsplit(url).netloc.rpartition("@")[2]}
    headers |= {name: value for name, value in DEFAULT_HEADERS.items() if name.lower() not in own}
    headers |= hidden
    if payload.content_type:
        headers["Content-Type"] = payload.content_type
    headers |= ours
    if payload.body:
        headers["Content-Length"] = str(len(payload.body.encode()))
    return ShownRequest(payload.method, url, list(headers.items()), payload.body, payload.revision)


def shown_target(destination: Destination, path: str) -> str:
    """Where a row is sent, without what lets us in there."""
    return target_url(shown_url(destination.url), shown_path(path))


def hidden_names(destination: Destination) -> list[str]:
    """The headers that may carry secrets: the destination's own, and that of its authentication."""
    name = header_name(destination.auth, destination.credentials or {})
    return list(destination.headers) + ([name] if name else [])


def _ours(attempt: Attempt, delivery: Delivery, revision: int) -> dict[str, str]:
    key = request_key(delivery.id, revision)
    headers = {
        "Idempotency-Key": key,
        "Rowpost-Feed": str(delivery.group_id),
        "Rowpost-Row": str(delivery.number),
        "Rowpost-Attempt": str(attempt.number),
    }
    if delivery.destination.signing_secret:
        headers |= {"webhook-id": key, "webhook-timestamp": SIGNED_THEN, "webhook-signature": HIDDEN}
    return headers
