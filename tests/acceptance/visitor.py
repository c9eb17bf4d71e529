"""Somebody who uses the pages over HTTP, as a browser without scripts does."""

import http.client
import re
from collections.abc import Iterator
from typing import Any, Self
from urllib.parse import urlsplit

import requests

from tests.processes import Stack

PASSWORD = "correct horse battery"
TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')
TAGS = re.compile(r"<[^>]+>")
BOUNDARY = "so-it-is-divided"
BLOCK = 256 * 1024


def add_person(stack: Stack, name: str, *, admin: bool = False) -> None:
    stack.call("tests.acceptance.console.add_person", name, PASSWORD, admin=admin)


def words(page: str) -> str:
    """A page as it is read."""
    return " ".join(TAGS.sub(" ", page).split())


class Visitor:
    """One who is signed in."""

    def __init__(self, stack: Stack, name: str) -> None:
        self.address = stack.address
        self.browser = requests.Session()
        self.press("/accounts/login/", username=name, password=PASSWORD)
        assert "sessionid" in self.browser.cookies, "The sign-in failed."

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.browser.close()

    def page(self, path: str) -> str:
        answer = self.browser.get(self.address + path, timeout=20)
        assert answer.status_code == 200, answer.text
        return answer.text

    def read(self, path: str) -> str:
        return words(self.page(path))

    def token(self, path: str) -> str:
        """What a form of that page proves with that it is ours."""
        found = TOKEN.search(self.page(path))
        assert found, f"There is no form on {path}."
        return found[1]

    def press(self, path: str, *, seen_on: str = "", **fields: Any) -> requests.Response:
        """Sends a form to `path` that was `seen_on` another page, or on that one."""
        said = fields | {"csrfmiddlewaretoken": self.token(seen_on or path)}
        return self.browser.post(self.address + path, data=said, timeout=20)

    def uploading(
        self, files: list[tuple[str, int]], *, said_length: int | None = None, **fields: Any
    ) -> "Upload":
        """Begins to upload files of that many bytes, which are made as they go."""
        return Upload(self, files, fields | {"csrfmiddlewaretoken": self.token("/feeds/new/")}, said_length)


class Upload:
    """The form of an upload on its way, in blocks; its length is said first, as browsers do."""

    def __init__(
        self, visitor: Visitor, files: list[tuple[str, int]], fields: dict[str, Any], said_length: int | None
    ) -> None:
        self._parts = [(_field(name, value), 0) for name, value in fields.items()]
        self._parts += [(_head_of(name), size) for name, size in files]
        length = sum(len(head) + size + 2 for head, size in self._parts) + len(_END)
        place = urlsplit(visitor.address)
        self.connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=60)
        self.connection.putrequest("POST", "/feeds/new/")
        cookies = "; ".join(f"{each.name}={each.value}" for each in visitor.browser.cookies)
        for name, value in (
            ("Cookie", cookies),
            ("Content-Type", f"multipart/form-data; boundary={BOUNDARY}"),
            ("Content-Length", str(said_length or length)),
        ):
            self.connection.putheader(name, value)
        self.connection.endheaders()

    def blocks(self) -> Iterator[bytes]:
        for head, size in self._parts:
            yield head
            yield from _csv(size)
            yield b"\r\n"
        yield _END

    def send(self, *, at_most: int | None = None) -> int:
        """Sends what there is to send, or the first so many bytes; returns how many."""
        sent = 0
        for block in self.blocks():
            if at_most is not None and sent >= at_most:
                break
            self.connection.send(block)
            sent += len(block)
        return sent

    def answer(self) -> tuple[int, str, str]:
        """The status, where it leads to, and the page as it is read."""
        answer = self.connection.getresponse()
        page = answer.read().decode()
        self.connection.close()
        return answer.status, answer.headers.get("Location", ""), words(page)

    def finish(self) -> tuple[int, str, str]:
        self.send()
        return self.answer()


def _field(name: str, value: object) -> bytes:
    return f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}'.encode()


def _head_of(name: str) -> bytes:
    disposition = f'Content-Disposition: form-data; name="file"; filename="{name}"'
    return f"--{BOUNDARY}\r\n{disposition}\r\nContent-Type: text/csv\r\n\r\n".encode()


_END = f"--{BOUNDARY}--\r\n".encode()
_LINE = b"SKU-000001,Thing,10.50\n"


def _csv(size: int) -> Iterator[bytes]:
    """A feed of so many bytes."""
    head = b"sku,name,price\n"
    if size:
        yield head[:size]
    left = size - len(head)
    block = (_LINE * (BLOCK // len(_LINE) + 1))[:BLOCK]
    while left > 0:
        yield block[:left]
        left -= len(block)
