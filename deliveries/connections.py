"""Connections that keep to a request's time limits and to the permitted addresses.

urllib3's connection and pool classes by their own hooks: a connection opens its socket here (`_new_conn`), a
pool makes the exchange itself (`urlopen`). Every wait for the outside ends with the request's total, so a
server which drips its answer byte by byte holds a thread no longer than one which is silent.
"""

import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any, Self, cast

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util.wait import wait_for_read

from deliveries.addresses import AddressError, AddressRules, permitted_addresses
from deliveries.wire import (
    AnswerReader,
    BrokenAnswer,
    ConnectionLost,
    Received,
    UnfitRequest,
    request_bytes,
)

# Many servers close a connection that was idle for 5 s. One that is closed while our request is on its way
# leaves the outcome unknown, so a connection is not used again shortly before that.
LONGEST_IDLE = 4.0


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a request may take, in seconds."""

    connect: float = 5.0  # until the connection can be used: name look-up, TCP and TLS
    read: float = 10.0  # without a single byte of the answer
    total: float = 10.0  # from beginning to end, whatever goes on

    @classmethod
    def within(cls, seconds: float) -> Self:
        """A request of so many seconds in all, at most five of them to connect."""
        return cls(connect=min(5.0, seconds), read=seconds, total=seconds)


class ExchangeFailed(Exception):
    """The request got no answer."""

    def __init__(self, code: str, sentence: str, *, outcome_unknown: bool = False) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence
        self.outcome_unknown = outcome_unknown


class Exchange:
    """One request and its answer: what is left of its time, and how far it came."""

    __slots__ = ("connect_until", "heard", "limits", "sent", "until", "written")

    def __init__(self, limits: Limits) -> None:
        now = monotonic()
        self.limits = limits
        self.until = now + limits.total
        self.connect_until = now + min(limits.connect, limits.total)
        self.sent = False  # a byte of the request may have left
        self.written = False  # all of them have
        self.heard = False  # a byte of an answer came

    def left(self) -> float:
        """Seconds left of the total; TimeoutError if none are."""
        if (left := self.until - monotonic()) <= 0:
            raise TimeoutError
        return left

    def left_to_connect(self) -> float:
        if (left := self.connect_until - monotonic()) <= 0:
            raise TimeoutError
        return left

    def write(self, sock: socket.socket, data: bytes) -> None:
        view = memoryview(data)
        while view:
            sock.settimeout(self.left())
            try:
                count = sock.send(view)
            except TimeoutError:
                self.sent = True  # TLS may have passed on a part
                raise
            self.sent = True
            view = view[count:]
        self.written = True

    def receive_from(self, sock: socket.socket) -> Callable[[int], bytes]:
        def receive(size: int) -> bytes:
            sock.settimeout(min(self.limits.read, self.left()))
            data = sock.recv(size)
            self.heard = True
            return data

        return receive


def _connected(address: str, port: int, seconds: float) -> socket.socket:
    # Not `socket.create_connection`, which asks the resolver again.
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.settimeout(seconds)
        sock.connect((address, port))
    except BaseException:
        sock.close()
        raise
    return sock


class _Connection(HTTPConnection):
    rules: AddressRules
    exchange: Exchange
    used_at: float = 0.0

    def _new_conn(self) -> socket.socket:
        """A socket to the first permitted address that takes it; each is given its share of the time."""
        host, port, exchange = self._dns_host.strip("[]"), self.port, self.exchange
        addresses = permitted_addresses(self.rules, host, port, seconds=exchange.left_to_connect())
        for index, address in enumerate(addresses):
            share = exchange.left_to_connect() / (len(addresses) - index)
            try:
                sock = _connected(address, port, share)
            except OSError:
                if index + 1 == len(addresses):
                    raise
            else:
                break
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # TLS shakes hands within this.
        sock.settimeout(max(exchange.connect_until - monotonic(), 0.001))
        return sock

    @property
    def is_connected(self) -> bool:
        if self.sock is None or monotonic() - self.used_at > LONGEST_IDLE:
            return False
        if isinstance(self.sock, ssl.SSLSocket) and self.sock.pending():
            return False  # bytes that nobody asked for
        return not wait_for_read(self.sock, timeout=0.0)


class _TLSConnection(_Connection, HTTPSConnection):
    pass


class Pool(HTTPConnectionPool):
    """The connections to one host and port that are kept for the next request."""

    ConnectionCls = _Connection
    default_port = 80

    def __init__(
        self, host: str, port: int, *, rules: AddressRules, limits: Limits, maxsize: int, **more: Any
    ) -> None:
        super().__init__(host, port, maxsize=maxsize, block=False, **more)
        self.rules = rules
        self.limits = limits
        name = f"[{host}]" if ":" in host else host
        self.host_header = name if port == self.default_port else f"{name}:{port}"

    def urlopen(  # type: ignore[override]
        self,
        method: str,
        url: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        **_: Any,
    ) -> Received:
        """One exchange, never repeated. Raises ExchangeFailed only."""
        try:
            data = request_bytes(method, url, self.host_header, (headers or {}).items(), body or b"")
        except UnfitRequest as exc:
            raise ExchangeFailed("bad_request", str(exc)) from exc
        exchange = Exchange(self.limits)
        connection = cast(_Connection, self._get_conn())
        connection.rules, connection.exchange = self.rules, exchange
        answer: Received | None = None
        try:
            self._connect(connection)
            answer = _exchange(connection, method, data)
            return answer
        finally:
            if answer is None or not answer.reusable:
                connection.close()
            connection.used_at = monotonic()
            self._put_conn(connection)

    def _connect(self, connection: _Connection) -> None:
        if connection.sock is not None:
            return
        try:
            connection.connect()
        except AddressError as exc:
            raise ExchangeFailed(exc.code, exc.sentence) from exc
        except TimeoutError as exc:
            sentence = f"{self.host_header} took no connection within {self._connect_limit():g} s."
            raise ExchangeFailed("timeout_connect", sentence) from exc
        except ssl.SSLError as exc:
            raise ExchangeFailed("tls_failed", _tls_sentence(self.host_header, exc)) from exc
        except OSError as exc:
            reason = exc.strerror or str(exc) or type(exc).__name__
            sentence = f"{self.host_header} took no connection ({reason})."
            raise ExchangeFailed("connect_failed", sentence) from exc
        except Exception as exc:  # urllib3's own, for a certificate or a name that it cannot use
            raise ExchangeFailed("tls_failed", _tls_sentence(self.host_header, exc)) from exc

    def _connect_limit(self) -> float:
        return min(self.limits.connect, self.limits.total)


class TLSPool(Pool, HTTPSConnectionPool):
    ConnectionCls = _TLSConnection
    default_port = 443


def _tls_sentence(host: str, exc: Exception) -> str:
    if isinstance(exc, ssl.SSLCertVerificationError):
        return f"The certificate of {host} is not accepted ({exc.verify_message})."
    reason = getattr(exc, "reason", None) or exc
    return f"No secure connection to {host} could be made ({reason})."


def _exchange(connection: _Connection, method: str, data: bytes) -> Received:
    """Writes the request and reads its answer; what went wrong after the status line is no failure."""
    exchange, sock = connection.exchange, cast(socket.socket, connection.sock)
    reader = AnswerReader(exchange.receive_from(sock), method=method)
    try:
        try:
            exchange.write(sock, data)
        except TimeoutError:
            raise
        except OSError:
            # It may have answered without reading all of the body, as with 413.
            if not exchange.sent:
                raise
        return reader.read()
    except (OSError, ConnectionLost, BrokenAnswer) as exc:
        if reader.answer is not None:
            return reader.answer
        code, sentence = _what_went_wrong(exchange, exc)
        raise ExchangeFailed(code, sentence, outcome_unknown=exchange.sent) from exc


def _what_went_wrong(exchange: Exchange, exc: Exception) -> tuple[str, str]:
    limits = exchange.limits
    if isinstance(exc, BrokenAnswer):
        return "broken_answer", "The third party's answer is not HTTP."
    if not isinstance(exc, TimeoutError):
        when = "without an answer" if exchange.sent else "before the request was sent"
        return "connection_lost", f"The third party closed the connection {when}."
    if not exchange.written:
        return "timeout_send", f"The third party did not take the whole request within {limits.total:g} s."
    if exchange.heard and monotonic() >= exchange.until:
        return "timeout_total", f"The third party had not answered in full after {limits.total:g} s."
    return "timeout_read", f"The third party did not answer within {min(limits.read, limits.total):g} s."
