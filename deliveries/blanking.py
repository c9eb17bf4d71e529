"""Secrets that a third party repeats: dots take their place before anything is shown or stored."""

import base64
import binascii
import html
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from urllib.parse import quote, quote_plus

from deliveries.authentication import FIELDS, HIDDEN, Auth, Credentials, basic
from deliveries.client import (
    STORED_OF_ERROR,
    STORED_OF_FAILURE,
    STORED_OF_HEADER,
    STORED_OF_REASON,
    STORED_OF_SUCCESS,
    Answer,
)
from deliveries.models import Destination
from deliveries.shown_urls import url_secrets

LONG = 6  # characters; a shorter secret is found in words that have nothing to do with it
SHORT = 3  # so it is looked for as a word of its own, and one that is shorter still not at all
# Headers that carry no secret, and whose values stand in many an answer.
OPEN_HEADERS = frozenset(
    {"accept", "accept-charset", "accept-language", "cache-control", "content-type", "prefer", "user-agent"}
)
_AFTER_EQUALS = re.compile(r"=\"?([^;,\s\"]+)")


def secrets_of(destination: Destination) -> frozenset[str]:
    """All that a destination's requests carry and nobody may see: as it was entered and as it is sent."""
    signing: str = destination.signing_secret
    return frozenset(
        {
            *_of_credentials(destination.auth, destination.credentials or {}),
            *_of_headers(destination.headers),
            *url_secrets(destination.url),
            signing,
            signing.removeprefix("whsec_"),
        }
    )


def _of_credentials(auth: str, known: Credentials) -> Iterator[str]:
    for field in FIELDS[auth]:
        if field.secret:
            yield known.get(field.name, "")
    match auth, known:
        case Auth.BASIC, {"user": user}:
            yield _encoded(user, known.get("password", ""))
        case Auth.OAUTH2, {"client_id": client, "client_secret": secret}:
            yield _encoded(quote_plus(client), quote_plus(secret))
            yield from url_secrets(known.get("token_url", ""))


def _encoded(user: str, password: str) -> str:
    return basic(user, password).removeprefix("Basic ")


def _of_headers(headers: Mapping[str, str]) -> Iterator[str]:
    """Of short values none: a header of one's own says such things as `X-Shop: main`."""
    for name, value in headers.items():
        if name.lower() not in OPEN_HEADERS:
            yield from (part for part in _parts(value) if len(part) >= LONG)


def _parts(value: str) -> Iterator[str]:
    """The value, and what of it may be repeated alone: `Bearer …` without its first word, a cookie."""
    yield value
    yield from value.split()[1:]
    yield from _AFTER_EQUALS.findall(value)
    if value.lower().startswith("basic "):
        try:
            yield base64.b64decode(value[6:], validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return


@dataclass(frozen=True, slots=True)
class Blanks:
    """Secrets in every way in which they may be written, and dots for them."""

    long: tuple[str, ...]  # the longest first: one may be a part of another
    beginnings: frozenset[str]  # of the long ones
    short: re.Pattern[str] | None

    def text(self, text: str, limit: int) -> str:
        """The text without them. One that stood at `limit`, where a text is cut, may have lost its end."""
        is_cut = len(text.encode()) > limit - 4  # a character has four bytes at most
        for way in self.long:
            text = text.replace(way, HIDDEN)
            if is_cut:
                text = _without_beginning(text, way)
        return self.short.sub(HIDDEN, text) if self.short else text

    def answer(self, answer: Answer) -> Answer:
        """The answer without them, but for `content`, which is judged and not kept."""
        if not self._may_stand_in(answer):
            return answer
        is_success = answer.status is not None and 200 <= answer.status < 300
        return replace(
            answer,
            reason=self.text(answer.reason, STORED_OF_REASON),
            headers={name: self.text(value, STORED_OF_HEADER) for name, value in answer.headers.items()},
            body=self.text(answer.body, STORED_OF_SUCCESS if is_success else STORED_OF_FAILURE),
            error=self.text(answer.error, STORED_OF_ERROR),
        )

    def _may_stand_in(self, answer: Answer) -> bool:
        """Looked at for each row: most answers repeat nothing. What was cut has its beginning still."""
        text = "\n".join((answer.body, answer.reason, answer.error, *answer.headers.values()))
        return self.short is not None or any(beginning in text for beginning in self.beginnings)


@lru_cache(maxsize=100)
def blanks(secrets: frozenset[str]) -> Blanks:
    ways = {way for secret in secrets if len(secret) >= SHORT for way in _written(secret)}
    short = "|".join(re.escape(way) for way in sorted(ways) if len(way) < LONG)
    return Blanks(
        long=tuple(sorted((way for way in ways if len(way) >= LONG), key=len, reverse=True)),
        beginnings=frozenset(way[:LONG] for way in ways if len(way) >= LONG),
        short=re.compile(rf"(?<!\w)(?:{short})(?!\w)") if short else None,
    )


def _written(secret: str) -> Iterator[str]:
    """As text, in JSON (PHP escapes the slash as well), in a URL or a form, in HTML."""
    in_json = json.dumps(secret)[1:-1]
    yield from (secret, in_json, in_json.replace("/", r"\/"), json.dumps(secret, ensure_ascii=False)[1:-1])
    yield from (quote(secret, safe=""), quote_plus(secret), html.escape(secret))


def _without_beginning(text: str, secret: str) -> str:
    """The text without as much of the secret as stands at its end."""
    for length in range(len(secret) - 1, LONG - 1, -1):
        if text.endswith(secret[:length]):
            return text[:-length] + HIDDEN
    return text
