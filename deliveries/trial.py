"""Test send: one request outside of any delivery, so that a person sees the exchange as it was.

It counts for nothing: no health, no limit.
"""

from dataclasses import dataclass

from django.conf import settings

from deliveries.answers import Kind, judge
from deliveries.authentication import Auth, fixed_headers
from deliveries.blanking import blanks, secrets_of
from deliveries.client import Client, Limits, Request
from deliveries.models import Destination, Payload
from deliveries.sending import rule_of, target_url
from deliveries.shown import shown_request
from deliveries.signing import signing_headers
from deliveries.token_sending import TokenSending
from outbox.models import uuid7

LONGEST = 15.0  # seconds: a person waits for it


@dataclass(frozen=True, slots=True)
class Trial:
    """What was sent, without the secrets, and what came back. Plain values: it can be kept as JSON."""

    method: str
    url: str
    headers: list[tuple[str, str]]
    body: str
    status: int | None  # None: no answer came
    seconds: float
    answer_headers: dict[str, str]
    answer_body: str
    succeeded: bool
    message: str  # what the answer means, or why there is none; "" of a plain success


def send(
    destination: Destination, *, method: str, path: str = "", content_type: str = "", body: str = ""
) -> Trial:
    """Sends it once. Never raises for what the third party, the network or the data does."""
    key = f"test-{uuid7()}"
    content = body.encode()
    ours = {"Idempotency-Key": key, "Rowpost-Attempt": "1"}
    if destination.signing_secret:
        ours |= signing_headers(destination.signing_secret, message_id=key, body=content)
    url = target_url(destination.url, path)
    client = Client(
        allowed_networks=settings.ALLOWED_NETWORKS,
        pool_size=1,
        limits=Limits.within(min(destination.timeout, LONGEST)),
    )
    headers = destination.headers | fixed_headers(destination.auth, destination.credentials)
    if content_type:
        headers["Content-Type"] = content_type
    try:
        sending = TokenSending(destination.id, client) if destination.auth == Auth.OAUTH2 else client
        answer = sending.send(Request(method, url, headers | ours, content))
    finally:
        client.close()
    answer = blanks(secrets_of(destination)).answer(answer)
    verdict = judge(answer, rule_of(destination))
    payload = Payload(method=method, path=path, content_type=content_type, body=body)
    shown = shown_request(destination, payload, ours)
    return Trial(
        method=method,
        url=shown.url,
        headers=shown.headers,
        body=body,
        status=answer.status,
        seconds=answer.seconds,
        answer_headers=dict(answer.headers),
        answer_body=answer.body,
        succeeded=verdict.kind in (Kind.SUCCEEDED, Kind.ACCEPTED),
        message=verdict.message or answer.error,
    )
