"""HTTP/1.1 on the wire: a request as bytes, and an answer read from bytes.

In place of `http.client` for two reasons. The request leaves in one piece, and the answer's head is not read
by the e-mail parser: with `http.client` a small request took three times the processor time. And what a third
party gets wrong is forgiven or refused here on purpose: once the status line is there it stands, whatever
becomes of the rest.
"""

import re
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

CHUNK = 65536
LONGEST_HEAD = 65536
LONGEST_BODY = 65536

# The client writes these itself; a destination's own would contradict the connection or the body.
FRAMING = frozenset({"host", "content-length", "transfer-encoding", "connection", "expect", "te", "upgrade"})

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch
_FORBIDDEN_IN_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]").search
_FORBIDDEN_IN_TARGET = re.compile(r"[^!-~]").search
_STATUS_LINE = re.compile(rb"HTTP/1\.(\d)[ \t]+(\d{3})(?:[ \t]+(.*))?").fullmatch
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;.*)?").fullmatch


class UnfitRequest(Exception):
    """The request cannot be written as HTTP."""


class BrokenAnswer(Exception):
    """The answer is not HTTP."""


class ConnectionLost(Exception):
    """The connection was closed before the end of the answer."""


@dataclass(slots=True)
class Received:
    """One answer as it was on the wire."""

    status: int
    reason: bytes
    headers: dict[str, bytes] = field(default_factory=dict)  # by lower-case name; the first of several
    body: bytes = b""  # at most LONGEST_BODY, as it was sent: chunks joined, content-encoding not undone
    broken: bool = True  # the connection failed, or HTTP was broken, between status line and end of body
    reusable: bool = False  # the connection is at the start of a next answer


def request_bytes(
    method: str, target: str, host: str, headers: Iterable[tuple[str, str]], body: bytes
) -> bytes:
    """The request, ready to be sent in one piece. UnfitRequest for what would smuggle anything into it."""
    if not _TOKEN(method):
        raise UnfitRequest(f"The method {method!r} is not one of HTTP.")
    if _FORBIDDEN_IN_TARGET(target):
        raise UnfitRequest("The path of the request contains characters that must be percent-encoded.")
    lines = [f"{method} {target} HTTP/1.1\r\nHost: {host}"]
    for name, value in headers:
        if name.lower() in FRAMING:
            continue
        if problem := problem_with_header(name, value):
            raise UnfitRequest(problem)
        lines.append(f"{name}: {value}")
    if body or method in {"POST", "PUT", "PATCH"}:
        lines.append(f"Content-Length: {len(body)}")
    lines.append("\r\n")
    try:
        return "\r\n".join(lines).encode("latin-1") + body
    except UnicodeEncodeError as exc:
        raise UnfitRequest("A header contains characters beyond Latin-1, which HTTP does not allow.") from exc


def problem_with_header(name: str, value: str) -> str:
    """What keeps a header from being sent, in one sentence; "" if nothing does."""
    if _TOKEN(name) and not _FORBIDDEN_IN_VALUE(value):
        return ""
    return f"The header {name!r} contains characters that HTTP does not allow."


class AnswerReader:
    """Reads one answer; `receive(n)` gives at most n bytes of it, b"" at the end of the connection."""

    def __init__(self, receive: Callable[[int], bytes], *, method: str) -> None:
        self._receive = receive
        self._method = method
        self._buffer = b""
        self._at = 0
        self._head_left = LONGEST_HEAD
        self.answer: Received | None = None

    def read(self) -> Received:
        """The whole answer. If it raises after the status line, `answer` holds what had come until then."""
        minor, status, reason = self._final_status_line()
        answer = self.answer = Received(status, reason)
        self._read_headers(answer.headers)
        framed = self._read_body(answer)
        answer.broken = False
        answer.reusable = framed and self._is_kept_alive(minor, answer) and self._at == len(self._buffer)
        return answer

    def _final_status_line(self) -> tuple[bytes, int, bytes]:
        while True:
            line = self._line()
            match = _STATUS_LINE(line)
            if match is None:
                raise BrokenAnswer
            minor, status, reason = match.groups(b"")
            if not status.startswith(b"1") or status == b"101":
                return minor, int(status), reason.strip()
            self._read_headers({})

    def _read_headers(self, headers: dict[str, bytes]) -> None:
        name = ""
        while line := self._line():
            if line[0] in b" \t":  # a folded line goes on with the one before it
                if name:
                    headers[name] += b" " + line.strip()
                continue
            raw, colon, value = line.partition(b":")
            name = raw.decode("latin-1").strip().lower() if colon else ""
            if name in headers:
                # Two lengths that differ are no length; of anything else the first will do.
                if name == "content-length" and headers[name] != value.strip():
                    headers[name] = b"?"
                elif name in {"connection", "transfer-encoding"}:
                    headers[name] += b", " + value.strip()
            elif name:
                headers[name] = value.strip()

    def _read_body(self, answer: Received) -> bool:
        """Reads the body; true if its end was marked and reached, so that another answer may follow."""
        headers = answer.headers
        if self._method == "HEAD" or answer.status in {204, 304}:
            return True
        if coding := headers.get("transfer-encoding"):
            if coding.lower().rpartition(b",")[2].strip() != b"chunked":
                return self._read_to_end(answer)
            return self._read_chunks(answer) and "content-length" not in headers
        if (length := headers.get("content-length")) is None:
            return self._read_to_end(answer)
        if not length.isdigit() or len(length) > 18:
            raise BrokenAnswer
        return self._read_exactly(answer, int(length))

    def _read_exactly(self, answer: Received, length: int) -> bool:
        """Adds the next `length` bytes to the body; false if that is more than a body may have."""
        while length:
            room = LONGEST_BODY - len(answer.body)
            if not room:
                return False
            piece = self._some(min(length, room))
            answer.body += piece
            length -= len(piece)
        return True

    def _read_chunks(self, answer: Received) -> bool:
        self._head_left = LONGEST_HEAD
        while True:
            match = _CHUNK_SIZE(self._line())
            if match is None:
                raise BrokenAnswer
            size = int(match[1], 16)
            if not size:
                self._read_headers({})
                return True
            if not self._read_exactly(answer, size):
                return False
            if self._line():
                raise BrokenAnswer

    def _read_to_end(self, answer: Received) -> bool:
        try:
            while self._read_exactly(answer, CHUNK):
                pass
        except ConnectionLost:
            pass  # which is how such a body ends
        return False

    def _is_kept_alive(self, minor: bytes, answer: Received) -> bool:
        wish = answer.headers.get("connection", b"").lower()
        return answer.status != 101 and (b"keep-alive" in wish if minor == b"0" else b"close" not in wish)

    def _line(self) -> bytes:
        """The next line without its end."""
        while (end := self._buffer.find(b"\n", self._at)) < 0:
            if len(self._buffer) - self._at > self._head_left:
                raise BrokenAnswer
            self._fill()
        line = self._buffer[self._at : end]
        self._head_left -= end + 1 - self._at
        if self._head_left < 0:
            raise BrokenAnswer
        self._at = end + 1
        return line[:-1] if line.endswith(b"\r") else line

    def _some(self, most: int) -> bytes:
        if self._at == len(self._buffer):
            self._fill()
        piece = self._buffer[self._at : self._at + most]
        self._at += len(piece)
        return piece

    def _fill(self) -> None:
        data = self._receive(CHUNK)
        if not data:
            raise ConnectionLost
        self._buffer = self._buffer[self._at :] + data
        self._at = 0


def decoded(body: bytes, content_encoding: bytes) -> bytes:
    """The body with gzip or deflate undone, at most LONGEST_BODY of it; as it is when that cannot be done."""
    if content_encoding.strip().lower() not in {b"gzip", b"x-gzip", b"deflate"}:
        return body
    try:
        return zlib.decompressobj(wbits=47).decompress(body, LONGEST_BODY)
    except zlib.error:
        return body
