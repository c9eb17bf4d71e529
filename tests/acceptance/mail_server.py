"""A mail server of the tests' own, as small as SMTP allows."""

import socketserver
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import Message
from types import TracebackType
from typing import Self


class MailServer:
    """Takes mails on a port of its own, which it keeps while it is away.

    with MailServer() as server:
        server.refuse("olga@example.com")
        ...
        assert server.letters == Counter({("anna@example.com", "[Rowpost] shop is paused"): 1})
    """

    def __init__(self) -> None:
        self.letters: Counter[tuple[str, str]] = Counter()  # taken, by recipient and subject
        self.asked: Counter[str] = Counter()  # recipients that were named, also those that were refused
        self.refused: dict[str, str] = {}
        self.hold: threading.Event | None = None  # while it is not set, a mail is taken and that not said
        self._port = 0
        self._server: socketserver.ThreadingTCPServer | None = None

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self.close()

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self._port}"

    def open(self) -> None:
        self._server = _Listening(("127.0.0.1", self._port), _talk_with(self))
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()
        self._server = None

    @contextmanager
    def away(self) -> Iterator[None]:
        """Nobody listens for a while."""
        self.close()
        yield
        self.open()

    def refuse(self, address: str, answer: str = "550 5.1.1 Nobody of that name lives here.") -> None:
        self.refused[address] = answer

    def take(self, recipients: list[str], data: bytes) -> None:
        subject = _subject(message_from_bytes(data))
        self.letters.update((recipient, subject) for recipient in recipients)
        if self.hold is not None:
            self.hold.wait(60)

    def about(self, what: str) -> dict[str, int]:
        """How many mails each had whose subject ends so."""
        return {to: count for (to, subject), count in self.letters.items() if subject.endswith(what)}


class _Listening(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


def _subject(message: Message) -> str:
    return str(make_header(decode_header(message["Subject"])))


def _talk_with(server: MailServer) -> type[socketserver.StreamRequestHandler]:
    class Talk(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self._say("220 localhost")
            recipients: list[str] = []
            while line := self.rfile.readline().decode().strip():
                verb = line[:4].upper()
                if verb == "RCPT":
                    address = line.partition("<")[2].partition(">")[0]
                    server.asked[address] += 1
                    if refusal := server.refused.get(address):
                        self._say(refusal)
                        continue
                    recipients.append(address)
                elif verb == "DATA":
                    self._say("354 Go on")
                    server.take(recipients, self._data())
                    recipients = []
                elif verb == "QUIT":
                    self._say("221 Bye")
                    return
                self._say("250 Fine")

        def _data(self) -> bytes:
            lines = []
            while (line := self.rfile.readline()) not in (b".\r\n", b""):
                lines.append(line)
            return b"".join(lines)

        def _say(self, answer: str) -> None:
            self.wfile.write(f"{answer}\r\n".encode())

    return Talk
