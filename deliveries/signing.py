"""Signatures by which a third party knows that a request is ours (Standard Webhooks)."""

import base64
import binascii
import secrets
import time

from standardwebhooks.webhooks import hmac_data

PREFIX = "whsec_"
# The specification's bounds, in bytes.
SHORTEST_SECRET, LONGEST_SECRET = 24, 64


def signing_headers(
    secret: str, *, message_id: str, body: bytes, timestamp: float | None = None
) -> dict[str, str]:
    """The headers for one request; `message_id` stays the same when it is sent again, the timestamp does not.

    `secret` is "whsec_" and base64; ValueError for others. `timestamp` in seconds since 1970, by default now.
    """
    moment = str(int(time.time() if timestamp is None else timestamp))
    # Not `Webhook.sign`, which takes text: what is signed is the body's bytes, whatever they are.
    signature = hmac_data(_key(secret), f"{message_id}.{moment}.".encode() + body)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": moment,
        "webhook-signature": f"v1,{base64.b64encode(signature).decode()}",
    }


def new_secret() -> str:
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def problem_with_secret(secret: str) -> str:
    """What is wrong with a secret typed by a person, in one sentence; "" if nothing is."""
    if not secret.startswith(PREFIX):
        return f"A signing secret starts with {PREFIX}."
    try:
        key = _key(secret)
    except ValueError:
        return f"After {PREFIX} a signing secret is base64."
    if not SHORTEST_SECRET <= len(key) <= LONGEST_SECRET:
        return f"A signing secret holds {SHORTEST_SECRET} to {LONGEST_SECRET} bytes, not {len(key)}."
    return ""


def _key(secret: str) -> bytes:
    text = secret.removeprefix(PREFIX)
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, UnicodeError) as exc:
        raise ValueError("The signing secret is not base64.") from exc
