"""What the third party answers: a script of behaviours, chosen by the first part of the path.

One server stands for many destinations: `/ok`, `/status/503`, `/slow?ms=50` and so on each behave in their
own way, any field of a behaviour can be given in the query (`/ok?ms=5`; what is no field is ignored), and
`/NAME` behaves as was last said for NAME, at any time.
"""

import base64
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

from config.demo.products import product_answer

REMEMBERED = 1000


@dataclass(frozen=True, slots=True)
class Seen:
    """A request as the script sees it."""

    method: str
    path: str  # without the query
    query: str
    headers: Mapping[str, str]  # by lower-case name
    body: bytes

    @property
    def name(self) -> str:
        """The first part of the path, which chooses the behaviour."""
        return self.path.split("/", 2)[1]

    @property
    def row(self) -> str:
        return self.headers.get("rowpost-row", "")

    @property
    def key(self) -> str:
        return self.headers.get("idempotency-key", "")


@dataclass(frozen=True, slots=True)
class Reaction:
    """What the server does about one request."""

    status: int | None  # None: nothing that could be taken for an answer
    data: bytes = b""
    delay: float = 0.0  # seconds before the first byte
    dripped: bytes = b""  # what follows byte by byte
    drip: float = 0.0  # seconds before each of them
    ending: str = "keep"  # the connection afterwards: keep, close, reset, hang


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How requests to one name are answered. Each field can be given in JSON or in a query."""

    status: int = 200
    ms: float = 0.0  # latency
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = '{"ok": true}'
    body_base64: str = ""  # in place of body
    raw_base64: str = ""  # in place of the whole answer; closes the connection unless drop is "keep"
    fail_first: int = 0  # tries of each key that fail
    fail_next: int = 0  # requests that fail from now on
    every: int = 0  # each n-th request fails
    fail_status: int = 503
    rate: float = 0.0  # requests in a second beyond which the answer is 429
    retry_after: str = ""  # header of 429 and of failures
    drop: str = ""  # hang, reset, lost, close, garbage, short, drip_status, drip_head, drip_body
    drip_ms: float = 50.0
    rows: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # other fields for rows, by number


BUILT_IN = {
    "ok": Behaviour(),
    "slow": Behaviour(ms=50),
    "status": Behaviour(),
    "hang": Behaviour(drop="hang"),
    "drip": Behaviour(drop="drip_body"),
    "reset": Behaviour(drop="reset"),
    "lost": Behaviour(drop="lost"),
    "close": Behaviour(drop="close"),
    "flaky": Behaviour(every=10, fail_status=500),
    "throttle": Behaviour(rate=10, retry_after="1"),
    "garbage": Behaviour(drop="garbage"),
    "short": Behaviour(drop="short"),
    "redirect": Behaviour(status=302, headers={"Location": "/ok"}),
    "unauthorized": Behaviour(
        status=401, headers={"WWW-Authenticate": "Bearer"}, body='{"error": "no token"}'
    ),
}

_NUMBERS = {"status", "fail_first", "fail_next", "every", "fail_status", "ms", "rate", "drip_ms"}
_FIELDS = {each.name for each in fields(Behaviour)}


def behaviour_from(given: Mapping[str, Any], *, basis: Behaviour | None = None) -> Behaviour:
    """The basis with the given fields in place of its own; ValueError for a field that there is not."""
    changed = {("ms" if name == "latency_ms" else name): value for name, value in given.items()}
    if unknown := changed.keys() - _FIELDS:
        raise ValueError(f"A behaviour has no {', '.join(sorted(unknown))}.")
    for name in _NUMBERS & changed.keys():
        changed[name] = float(changed[name]) if name in {"ms", "rate", "drip_ms"} else int(changed[name])
    return replace(basis or Behaviour(), **changed)


class Scene:
    """One behaviour at work: it counts what it has seen."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self._plain = _reaction(behaviour, behaviour.status)
        self._seen = 0
        self._tries: Counter[str] = Counter()
        self._second = 0
        self._in_second = 0

    def react(self, seen: Seen) -> Reaction:
        behaviour = self.behaviour
        if behaviour.rows and (other := behaviour.rows.get(seen.row)):
            return _reaction(behaviour_from(other, basis=replace(behaviour, rows={})), None)
        self._seen += 1
        if behaviour.rate and self._is_too_fast():
            return _reaction(behaviour, 429)
        if self._is_to_fail(seen.key):
            return _reaction(behaviour, behaviour.fail_status)
        return self._plain

    def _is_too_fast(self) -> bool:
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._in_second = second, 0
        self._in_second += 1
        return self._in_second > self.behaviour.rate

    def _is_to_fail(self, key: str) -> bool:
        behaviour = self.behaviour
        if self._seen <= behaviour.fail_next or (behaviour.every and self._seen % behaviour.every == 0):
            return True
        if behaviour.fail_first:
            self._tries[key] += 1
            return self._tries[key] <= behaviour.fail_first
        return False


class Script:
    """All scenes of one server."""

    def __init__(self, *, latency: float = 0.0) -> None:
        self._latency = latency
        self._said: dict[str, Scene] = {}
        self._variants: dict[tuple[str, tuple[tuple[str, str], ...]], Scene] = {}
        self._found: dict[tuple[str, str], Scene] = {}

    def say(self, name: str, given: Mapping[str, Any]) -> None:
        """From now on `/NAME` behaves so; its counters start anew. ValueError for nonsense."""
        behaviour = behaviour_from(given, basis=Behaviour(ms=self._latency * 1000))
        for other in behaviour.rows.values():
            behaviour_from(other)
        self._said[name] = Scene(behaviour)

    def unsay(self, name: str) -> None:
        self._said.pop(name, None)

    def react(self, seen: Seen) -> Reaction:
        name = seen.name
        if scene := self._said.get(name):
            return scene.react(seen)
        if name == "demo":
            status, body = product_answer(
                seen.body, row=seen.row, attempt=seen.headers.get("rowpost-attempt", "")
            )
            return Reaction(status, answer_bytes(status, body), delay=self._latency or 0.02)
        return self._variant(seen, name).react(seen)

    def _variant(self, seen: Seen, name: str) -> Scene:
        place = (seen.path if name == "status" else name, seen.query)
        scene = self._found.get(place)
        if scene is None:
            given = tuple(pair for pair in parse_qsl(seen.query) if pair[0] in _FIELDS)
            variant = (place[0], given)
            if variant not in self._variants:
                self._variants[variant] = Scene(self._built_in(seen, name, dict(given)))
            scene = self._found[place] = self._variants[variant]
            if len(self._found) > REMEMBERED:  # a query of its own for each row
                self._found.clear()
        return scene

    def _built_in(self, seen: Seen, name: str, given: Mapping[str, str]) -> Behaviour:
        basis = BUILT_IN.get(name)
        if basis is None:
            return Behaviour(status=404, body='{"error": "nothing is scripted for this path"}')
        if self._latency and not basis.ms:
            basis = replace(basis, ms=self._latency * 1000)
        try:
            if name == "status":
                basis = replace(basis, status=int(seen.path.split("/")[-1]))
            return behaviour_from(given, basis=basis)
        except ValueError:
            return Behaviour(status=400, body='{"error": "the path or query says no behaviour"}')


def answer_bytes(
    status: int, body: bytes, headers: Mapping[str, str] | None = None, *, length: int = -1
) -> bytes:
    """An answer on the wire; `length` in place of the body's own."""
    return _head(status, headers or {}, len(body) if length < 0 else length) + body


def _head(status: int, headers: Mapping[str, str], length: int) -> bytes:
    phrase = HTTPStatus(status).phrase if status in set(HTTPStatus) else ""
    lines = [f"HTTP/1.1 {status} {phrase}".rstrip()]
    if "content-type" not in {name.lower() for name in headers}:
        lines.append("Content-Type: application/json")
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if status not in {204, 304}:
        lines.append(f"Content-Length: {length}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")


def _reaction(behaviour: Behaviour, status: int | None) -> Reaction:
    status = behaviour.status if status is None else status
    delay = behaviour.ms / 1000
    if behaviour.raw_base64:
        return Reaction(
            status, base64.b64decode(behaviour.raw_base64), delay, ending=behaviour.drop or "close"
        )
    headers = dict(behaviour.headers)
    if behaviour.retry_after and status >= 400:
        headers["Retry-After"] = behaviour.retry_after
    if behaviour.body_base64:
        body = base64.b64decode(behaviour.body_base64)
    else:
        body = behaviour.body.encode("utf-8", "surrogatepass")
    if status in {204, 304}:
        body = b""
    return _dropped(behaviour, status, headers, body) or Reaction(
        status, answer_bytes(status, body, headers), delay
    )


def _dropped(behaviour: Behaviour, status: int, headers: Mapping[str, str], body: bytes) -> Reaction | None:
    """The reaction of a behaviour that drops something; None if it does not."""
    delay, drip = behaviour.ms / 1000, behaviour.drip_ms / 1000
    whole = answer_bytes(status, body, headers)
    status_line, rest = whole.split(b"\r\n", 1)
    match behaviour.drop:
        case "hang":
            return Reaction(None, delay=delay, ending="hang")
        case "reset":
            return Reaction(None, delay=delay, ending="reset")
        case "lost":
            return Reaction(None, delay=delay, ending="close")
        case "close":
            return Reaction(status, whole, delay, ending="close")
        case "garbage":
            return Reaction(None, b"\x00\xff this is not HTTP\r\n\r\n", delay, ending="close")
        case "short":
            data = answer_bytes(status, body, headers, length=len(body) + 100)
            return Reaction(status, data, delay, ending="close")
        case "drip_status":
            return Reaction(status, b"", delay, dripped=whole, drip=drip)
        case "drip_head":
            return Reaction(status, status_line + b"\r\n", delay, dripped=rest, drip=drip)
        case "drip_body":
            dripped = whole[len(whole) - len(body) :]
            return Reaction(status, whole[: len(whole) - len(body)], delay, dripped=dripped, drip=drip)
    return None
