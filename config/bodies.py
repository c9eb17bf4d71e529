"""What people send arrives whole, or is not taken."""

from collections.abc import Callable, Iterable
from typing import Any

Answer = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Whole:
    """A request's body, of a length that was said before. Raises ConnectionAbortedError where it ends early.

    Servers give an early end like any other, and Django then takes a form of which the last fields are
    missing, or of several files those that had come.
    """

    def __init__(self, stream: Any, length: int) -> None:
        self._stream = stream
        self._left = length

    def read(self, size: int | None = -1) -> bytes:
        wanted = self._left if size is None or size < 0 else min(size, self._left)
        data: bytes = self._stream.read(wanted) if wanted else b""
        return self._counted(data, is_short=len(data) < wanted)

    def readline(self, size: int | None = -1) -> bytes:
        wanted = self._left if size is None or size < 0 else min(size, self._left)
        data: bytes = self._stream.readline(wanted) if wanted else b""
        return self._counted(data, is_short=not data and wanted > 0)

    def _counted(self, data: bytes, *, is_short: bool) -> bytes:
        self._left -= len(data)
        if is_short:
            raise ConnectionAbortedError("The client broke off in the middle of a request.")
        return data


def taken_whole(answer: Answer) -> Answer:
    def take(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        length = environ.get("CONTENT_LENGTH", "")
        if length.isdecimal():
            environ["wsgi.input"] = Whole(environ["wsgi.input"], int(length))
        return answer(environ, start_response)

    return take
