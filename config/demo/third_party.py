"""A third party to send to: an HTTP server that answers as it is told, and keeps a ledger.

    python -m config.demo.third_party --port 8900 --ledger var/third_party.jsonl

For the demo (`/demo/products`) and for tests, so it is fast and does on purpose what servers do by mistake:
see `config/demo/script.py`. Its own pages: `GET /_ledger` (JSON lines), `GET /_stats`, `DELETE /_ledger`, and
`PUT` or `DELETE /_behaviour/NAME`.
"""

import argparse
import asyncio
import signal
import socket
import ssl
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import cast

import orjson

from config.demo.ledger import Ledger
from config.demo.script import Reaction, Script, Seen, answer_bytes

LARGEST_BODY = 64 * 1024 * 1024
FLUSHED_EVERY = 0.1


class ThirdParty:
    """What all connections share."""

    def __init__(self, script: Script, ledger: Ledger) -> None:
        self.script = script
        self.ledger = ledger

    def own_page(self, seen: Seen) -> bytes:
        """The answer to a request that is about the server itself."""
        parts = seen.path.split("/")
        match (seen.method, parts[1]):
            case ("GET", "_ledger"):
                return answer_bytes(200, self.ledger.lines(), {"Content-Type": "application/jsonl"})
            case ("DELETE", "_ledger"):
                self.ledger.clear()
                return answer_bytes(204, b"")
            case ("GET", "_stats"):
                return answer_bytes(200, orjson.dumps(self.ledger.stats()))
            case ("PUT", "_behaviour"):
                try:
                    self.script.say(parts[2], orjson.loads(seen.body))
                except (ValueError, TypeError, AttributeError, LookupError) as exc:
                    return answer_bytes(400, orjson.dumps({"error": str(exc)}))
                return answer_bytes(204, b"")
            case ("DELETE", "_behaviour"):
                self.script.unsay(parts[-1])
                return answer_bytes(204, b"")
        return answer_bytes(404, b"{}")


class Connection(asyncio.Protocol):
    """One connection: requests one after the other, each answered before the next is read."""

    def __init__(self, third_party: ThirdParty) -> None:
        self._third_party = third_party
        self._loop = asyncio.get_running_loop()
        self._buffer = b""
        self._current: Seen | None = None  # being answered
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._third_party.ledger.connected()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._current is None:
            self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._done()

    def _next(self) -> None:
        while self._current is None and not self._transport.is_closing():
            seen = self._take()
            if seen is None:
                return
            if seen.path.startswith("/_"):
                self._transport.write(self._third_party.own_page(seen))
                continue
            reaction = self._third_party.script.react(seen)
            self._third_party.ledger.arrived(seen, reaction.status)
            self._current = seen
            if reaction.delay:
                self._timer = self._loop.call_later(reaction.delay, self._answer_late, reaction)
            else:
                self._answer(reaction)

    def _take(self) -> Seen | None:
        """The next whole request of the buffer; None while it is not there."""
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return None
        lines = self._buffer[:end].decode("latin-1").split("\r\n")
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        method = target = ""
        try:
            method, target, _ = lines[0].split(" ")
            length = int(headers.get("content-length", "0"))
        except ValueError:
            length = -1
        if not 0 <= length <= LARGEST_BODY or not target.startswith("/") or "transfer-encoding" in headers:
            self._transport.write(answer_bytes(400, b'{"error": "not a request that is read here"}'))
            self._transport.close()
            return None
        start, stop = end + 4, end + 4 + length
        if len(self._buffer) < stop:
            if headers.get("expect", "").lower() == "100-continue" and len(self._buffer) == start:
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            return None
        body, self._buffer = self._buffer[start:stop], self._buffer[stop:]
        path, _, query = target.partition("?")
        return Seen(method, path, query, headers, body)

    def _answer_late(self, reaction: Reaction) -> None:
        self._answer(reaction)
        self._next()

    def _answer(self, reaction: Reaction) -> None:
        if reaction.data:
            self._transport.write(reaction.data)
        if reaction.dripped:
            self._timer = self._loop.call_later(reaction.drip, self._drip, reaction, 0)
        else:
            self._end(reaction.ending)

    def _drip(self, reaction: Reaction, at: int) -> None:
        if at == len(reaction.dripped):
            self._end(reaction.ending)
            self._next()
            return
        self._transport.write(reaction.dripped[at : at + 1])
        self._timer = self._loop.call_later(reaction.drip, self._drip, reaction, at + 1)

    def _end(self, ending: str) -> None:
        if ending == "hang":
            return
        self._done()
        if ending == "close":
            self._transport.close()
        elif ending == "reset":
            sock = self._transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._transport.abort()

    def _done(self) -> None:
        if self._current is not None:
            self._third_party.ledger.left(self._current)
            self._current = None


async def serve(
    third_party: ThirdParty,
    *,
    host: str,
    port: int,
    tls: ssl.SSLContext | None,
    ready: Callable[[str], None],
    until_stdin_closes: bool = False,
) -> None:
    """Serves until the process is told to stop; `ready` gets the address."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    if until_stdin_closes:
        loop.add_reader(sys.stdin.fileno(), stopped.set)
    server = await loop.create_server(lambda: Connection(third_party), host, port, ssl=tls, backlog=1024)
    flushing = asyncio.create_task(_flush_for_ever(third_party.ledger))
    ready(f"{'https' if tls else 'http'}://{host}:{server.sockets[0].getsockname()[1]}")
    await stopped.wait()
    flushing.cancel()
    server.close()


async def _flush_for_ever(ledger: Ledger) -> None:
    while True:
        await asyncio.sleep(FLUSHED_EVERY)
        ledger.flush()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m config.demo.third_party", description="A third party to send to."
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8900, help="0 takes a free one")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before each answer")
    parser.add_argument(
        "--ledger", type=Path, help="file to which every request is appended as a line of JSON"
    )
    parser.add_argument("--keep", type=int, default=20_000, help="requests that are remembered in full")
    parser.add_argument("--bodies", action="store_true", help="remember bodies and more headers too")
    parser.add_argument("--cert", type=Path, help="certificate (PEM): speak TLS")
    parser.add_argument(
        "--until-stdin-closes", action="store_true", help="end with the process that started it"
    )
    parser.add_argument("--key", type=Path, help="its key (PEM)")
    return parser.parse_args()


def main() -> None:
    given = _arguments()
    tls = None
    if given.cert:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(given.cert, given.key)
    ledger = Ledger(path=given.ledger, keep=given.keep, bodies=given.bodies)
    third_party = ThirdParty(Script(latency=given.latency), ledger)
    try:
        asyncio.run(
            serve(
                third_party,
                host=given.host,
                port=given.port,
                tls=tls,
                ready=_say_ready,
                until_stdin_closes=given.until_stdin_closes,
            )
        )
    finally:
        ledger.close()


def _say_ready(address: str) -> None:
    sys.stdout.write(f"The third party listens on {address}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
