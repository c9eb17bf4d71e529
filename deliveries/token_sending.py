"""Sending with an OAuth2 token: renewed before it expires, and once for an answer of 401."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace

from django.db import connection

from deliveries.authentication import bearer
from deliveries.blanking import blanks
from deliveries.client import Answer, Client, Request
from deliveries.tokens import Token, TokenUnavailable, obtain

UNAVAILABLE = "no_token"

Send = Callable[[Request], Answer]


class TokenSending:
    """A client's `send` with the destination's token. One for a batch; its threads share it."""

    def __init__(self, destination_id: int, client: Client) -> None:
        """Gets the token, outside any transaction. That there is none is told by `send`."""
        self._destination_id = destination_id
        self._send = client.send
        self._lock = threading.Lock()
        self._home = threading.get_ident()
        self._token: Token | None = None
        self._failure: TokenUnavailable | None = None
        try:
            self._current()
        except TokenUnavailable:
            pass  # `send` tells

    def send(self, request: Request) -> Answer:
        """As `Client.send`. Where no token can be had, an answer without status says so: as transient as a
        network that is down. A 401 with a token that is not fresh is followed by one more request."""
        started = time.monotonic()
        try:
            token = self._current()
            answer = self._send(_with(token, request))
            if answer.status == 401 and not token.is_fresh:
                token = self._current(refused=token.version)
                answer = self._send(_with(token, request))
        except TokenUnavailable as exc:
            passed = time.monotonic() - started
            return Answer(status=None, error=str(exc), error_code=UNAVAILABLE, seconds=passed)
        return blanks(frozenset({token.value})).answer(answer)  # stored nowhere but in its own row

    def _current(self, *, refused: int = -1) -> Token:
        with self._lock:
            if self._failure is not None:
                raise self._failure  # one try a batch: 32 threads would wait one after the other
            token = self._token
            if token is None or token.is_old or token.version <= refused:
                self._token = token = self._obtained(refused)
            return token

    def _obtained(self, refused: int) -> Token:
        try:
            return obtain(self._destination_id, refused=refused)
        except TokenUnavailable as exc:
            self._failure = exc
            raise
        finally:
            if threading.get_ident() != self._home:
                connection.close()  # threads that act have none of their own otherwise


def _with(token: Token, request: Request) -> Request:
    return replace(request, headers={**request.headers, **bearer(token.value)})
