"""A third party with OAuth2: gives tokens, and takes rows only with one that is good."""

import base64
import json
import threading
import time
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs

CLIENT, SECRET = "rowpost", "s3cret: of/the client"


class TokenServer:
    """`/token` and `/rows` on a free port. What it gave, and what it was asked, stands in its lists."""

    def __init__(self) -> None:
        self.lasts: float | None = 3600
        self.latency = 0.0
        self.answers: deque[tuple[int, bytes]] = deque()  # of the token URL, before it is well again
        self.given: list[str] = []
        self.forms: list[dict[str, str]] = []
        self.rows: list[tuple[str, int]] = []  # header Authorization, status
        self.good: set[str] = set()
        self.takes_rows = True
        self.refuses_with = 401
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        handler = type("Handler", (_Handler,), {"party": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def revoke(self) -> None:
        """Every token given so far is refused from now on."""
        self.good.clear()

    def token(self, form: dict[str, str], authorization: str) -> tuple[int, bytes]:
        time.sleep(self.latency)
        with self._lock:
            self.forms.append(form)
            if self.answers:
                return self.answers.popleft()
            in_header = base64.b64decode(authorization.removeprefix("Basic ")).decode()
            if in_header != "rowpost:s3cret%3A+of%2Fthe+client" and form.get("client_secret") != SECRET:
                told = f"The secret {form.get('client_secret', in_header)} is wrong"
                answer = {"error": "invalid_client", "error_description": told}
                return 401, json.dumps(answer).encode()
            token = f"token-number-{len(self.given) + 1}"
            self.given.append(token)
            self.good.add(token)
            document: dict[str, Any] = {"access_token": token, "token_type": "Bearer"}
            if self.lasts is not None:
                document["expires_in"] = self.lasts
            return 200, json.dumps(document).encode()

    def row(self, authorization: str) -> tuple[int, bytes]:
        with self._lock:
            is_good = self.takes_rows and authorization.removeprefix("Bearer ") in self.good
            status = 201 if is_good else self.refuses_with
            self.rows.append((authorization, status))
            return status, json.dumps({"you_sent": authorization}).encode()


class _Handler(BaseHTTPRequestHandler):
    party: TokenServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        authorization = self.headers.get("Authorization", "")
        if self.path == "/token":
            form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
            status, content = self.party.token(form, authorization)
        else:
            status, content = self.party.row(authorization)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        pass
