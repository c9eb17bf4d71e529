"""Test send: one request outside of any delivery, so that a person sees the exchange as it was.

It counts for nothing: no health, no limit, no record.
"""

from dataclasses import dataclass

from django.conf import settings

from deliveries.answers import Verdict, judge
from deliveries.authentication import HIDDEN, Auth, fixed_headers
from deliveries.blanking import blanks, secrets_of
from deliveries.client import Answer, Client, Limits, Request
from deliveries.models import Destination
from deliveries.sending import rule_of, target_url
from deliveries.shown import hidden_names
from deliveries.signing import signing_headers
from deliveries.token_sending import TokenSending
from outbox.models import uuid7

LONGEST = 15.0  # seconds: a person waits for it


@dataclass(frozen=True, slots=True)
class Trial:
    """What was sent, without the secrets, and what came back."""

    method: str
    url: str
    headers: list[tuple[str, str]]
    body: str
    answer: Answer
    verdict: Verdict

    @property
    def succeeded(self) -> bool:
        return self.verdict.kind in ("succeeded", "accepted")


def send(
    destination: Destination, *, method: str, path: str = "", content_type: str = "", body: str = ""
) -> Trial:
    """Sends it once. Never raises for what the third party, the network or the data does."""
    key = f"test-{uuid7()}"
    content = body.encode()
    open_headers = {"Idempotency-Key": key, "Rowpost-Attempt": "1"}
    if content_type:
        open_headers["Content-Type"] = content_type
    if destination.signing_secret:
        open_headers |= signing_headers(destination.signing_secret, message_id=key, body=content)
    url = target_url(destination.url, path)
    client = Client(
        allowed_networks=settings.ALLOWED_NETWORKS,
        pool_size=1,
        limits=Limits.within(min(destination.timeout, LONGEST)),
    )
    secret_headers = destination.headers | fixed_headers(destination.auth, destination.credentials)
    try:
        sending = TokenSending(destination.id, client) if destination.auth == Auth.OAUTH2 else client
        answer = sending.send(Request(method, url, {**secret_headers, **open_headers}, content))
    finally:
        client.close()
    answer = blanks(secrets_of(destination)).answer(answer)
    return Trial(
        method=method,
        url=url,
        headers=[(name, HIDDEN) for name in hidden_names(destination)] + list(open_headers.items()),
        body=body,
        answer=answer,
        verdict=judge(answer, rule_of(destination)),
    )
