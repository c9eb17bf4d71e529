"""The HTTP client: one request to a third party, and what became of it as something that can be stored.

`Client.send` gives an Answer for whatever the outside does. It follows no redirect, keeps no cookie, uses no
proxy, reads nothing from the environment, and never sends a request a second time: a repeated send is a new
attempt with a number of its own, decided elsewhere. A connection that the third party dropped while it was
idle is noticed before it is used; one that breaks afterwards leaves the outcome unknown.
"""

import re
import ssl
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from time import monotonic
from typing import Any, cast
from urllib.parse import quote, urlsplit

import certifi
import idna
from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter

from deliveries.addresses import AddressRules
from deliveries.connections import ExchangeFailed, Limits, Pool, TLSPool
from deliveries.retry_after import retry_after_seconds
from deliveries.storable import header_text, storable, storable_bytes
from deliveries.wire import Received, decoded

__all__ = ["Answer", "Client", "Limits", "Request"]

STORED_OF_FAILURE = 8192
STORED_OF_SUCCESS = 1024
STORED_OF_HEADER = 500
STORED_OF_REASON = 200
STORED_OF_ERROR = 500

# What helps a person, or decides when to send again; the rest is not kept.
KEPT_HEADERS = (
    "content-type",
    "date",
    "idempotency-replayed",
    "location",
    "retry-after",
    "server",
    "www-authenticate",
    "x-correlation-id",
    "x-request-id",
    "request-id",
)

DEFAULT_HEADERS = {"User-Agent": "Rowpost", "Accept": "*/*", "Accept-Encoding": "identity"}

_URL = re.compile(r"(https?://[^/?#]+)([^#]*)", re.IGNORECASE).match
_CHARSET = re.compile(r"charset=[\"']?([\w.:-]{1,40})", re.IGNORECASE).search
# What a URL may contain beside letters and digits; "%" too, for it is taken to be encoded already.
_SAFE_IN_TARGET = "!#$%&'()*+,/:;=?@[]~"
_NOT_IN_TARGET = re.compile(r"[^!-~]").search


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a request. All text in it can be stored as it is."""

    status: int | None  # None: no answer
    reason: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)  # those of KEPT_HEADERS, by lower-case name
    body: str = ""  # cut: 1 KiB of a success, 8 KiB of anything else
    error: str = ""  # a sentence; "" when there is an answer
    error_code: str = ""  # stable; "" when there is an answer
    seconds: float = 0.0
    outcome_unknown: bool = False  # there is no answer, but the request may have reached the third party
    retry_after: float | None = None  # seconds, at most 24 hours
    content: bytes = field(default=b"", repr=False)  # the body to be judged, at most 64 KiB; not to be stored
    broken: bool = False  # the connection failed after the status line, so `content` may lack its end


class Client:
    """Sends requests to one destination, over connections that are kept open. Threads may share it."""

    def __init__(
        self, *, allowed_networks: Iterable[str], pool_size: int, limits: Limits, ca_file: str = ""
    ) -> None:
        """`pool_size`: how many threads send at once. `ca_file`: certificates to trust beside the usual ones.

        `allowed_networks` as the setting ALLOWED_NETWORKS lists them ("10.0.0.0/8"); ValueError for others.
        """
        self._adapter = _Adapter(AddressRules(allowed_networks), pool_size, limits, ca_file)

    def send(self, request: Request) -> Answer:
        """Sends the request once. Never raises for what the third party, the network or the data does."""
        started = monotonic()
        try:
            received = cast(Received, self._adapter.send(_prepared(request)).raw)
        except ExchangeFailed as failure:
            return Answer(
                status=None,
                error=storable(failure.sentence, STORED_OF_ERROR),
                error_code=failure.code,
                seconds=monotonic() - started,
                outcome_unknown=failure.outcome_unknown,
            )
        return _answer(received, monotonic() - started)

    def close(self) -> None:
        """Closes the idle connections; those in use are closed when their request has ended."""
        self._adapter.close()


class _Adapter(HTTPAdapter):
    """requests' adapter over our own pools, which know the permitted addresses and the time limits."""

    def __init__(self, rules: AddressRules, pool_size: int, limits: Limits, ca_file: str) -> None:
        super().__init__()
        self._rules = rules
        self._pool_size = pool_size
        self._limits = limits
        self._ca_file = ca_file
        self._lock = threading.Lock()
        self._pools: dict[str, Pool] = {}

    def get_connection_with_tls_context(self, request: PreparedRequest, *_: Any, **__: Any) -> Pool:
        origin, _target = _split(request.url or "")
        pool = self._pools.get(origin)
        if pool is None:
            with self._lock:
                pool = self._pools.get(origin)
                if pool is None:
                    pool = self._pools[origin] = self._new_pool(origin)
        return pool

    def cert_verify(self, *_: Any) -> None:
        """Nothing: the pool's TLS context does it."""

    def request_url(self, request: PreparedRequest, proxies: object) -> str:
        _origin, target = _split(request.url or "")
        return target

    def build_response(self, req: PreparedRequest, resp: Any) -> Response:
        response = Response.__new__(Response)  # its own beginning makes cookies and headers that nobody reads
        response.raw = resp
        return response

    def close(self) -> None:
        with self._lock:
            for pool in self._pools.values():
                pool.close()

    def _new_pool(self, origin: str) -> Pool:
        try:
            parts = urlsplit(origin)
            host, port = parts.hostname or "", parts.port
            if not host.isascii():
                host = idna.encode(host, uts46=True).decode("ascii")
        except ValueError as exc:  # idna's errors are ValueErrors
            raise ExchangeFailed("bad_request", "The host or port of the URL cannot be read.") from exc
        if not host or "@" in parts.netloc:
            raise ExchangeFailed("bad_request", "The URL must name a host, and no user or password.")
        common: dict[str, Any] = {"rules": self._rules, "limits": self._limits, "maxsize": self._pool_size}
        if parts.scheme.lower() == "https":
            return TLSPool(host, port or 443, ssl_context=_tls_context(self._ca_file), **common)
        return Pool(host, port or 80, **common)


def _split(url: str) -> tuple[str, str]:
    """A URL as its origin and its request target, percent-encoded where it must be."""
    match = _URL(url)
    if match is None:
        raise ExchangeFailed("bad_request", "The URL must start with http:// or https:// and a host.")
    origin, target = match.groups()
    if not target.startswith("/"):
        target = f"/{target}"
    if _NOT_IN_TARGET(target):
        target = quote(target, safe=_SAFE_IN_TARGET, errors="replace")
    return origin, target


@lru_cache(maxsize=32)
def _tls_context(ca_file: str) -> ssl.SSLContext:
    # The system's certificates (a company adds its own there) beside certifi's, for a system that has none.
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    if ca_file:
        context.load_verify_locations(ca_file)
    return context


def _prepared(request: Request) -> PreparedRequest:
    prepared = PreparedRequest()  # by hand: `Session.prepare_request` costs as much as the exchange itself
    prepared.method = request.method
    prepared.url = request.url
    prepared.headers = _headers(request.headers)  # type: ignore[assignment]
    prepared.body = request.body
    return prepared


def _headers(given: Mapping[str, str]) -> dict[str, str]:
    names = {name.lower() for name in given}
    return {**{name: value for name, value in DEFAULT_HEADERS.items() if name.lower() not in names}, **given}


def _answer(received: Received, seconds: float) -> Answer:
    raw = received.headers
    headers = {name: header_text(raw[name], STORED_OF_HEADER) for name in KEPT_HEADERS if name in raw}
    charset = _CHARSET(headers.get("content-type", ""))
    content = decoded(received.body, raw["content-encoding"]) if "content-encoding" in raw else received.body
    stored = STORED_OF_SUCCESS if 200 <= received.status < 300 else STORED_OF_FAILURE
    retry_after = None
    if "retry-after" in headers:
        retry_after = retry_after_seconds(headers["retry-after"], date=headers.get("date", ""))
    return Answer(
        status=received.status,
        reason=header_text(received.reason, STORED_OF_REASON),
        headers=headers,
        body=storable_bytes(content, stored, charset=charset[1] if charset else ""),
        seconds=seconds,
        retry_after=retry_after,
        content=content,
        broken=received.broken,
    )
