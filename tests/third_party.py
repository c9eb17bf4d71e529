"""The third party of the tests: a real server in a process of its own."""

import base64
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import orjson
import urllib3

ROOT = Path(__file__).resolve().parent.parent


class RunningThirdParty:
    """Starts `config.demo.third_party` on a free port, and stops it.

    with RunningThirdParty() as third_party:
        third_party.behave("shop", fail_first=2)
        deliver_to(third_party.url("/shop/orders"))
        assert third_party.stats()["count"] == 3
    """

    def __init__(
        self,
        *,
        latency: float = 0.0,
        ledger: Path | None = None,
        keep: int = 200_000,
        bodies: bool = True,
        cert: Path | None = None,
        key: Path | None = None,
        port: int = 0,
    ) -> None:
        self._cert = cert
        self._command = [sys.executable, "-m", "config.demo.third_party", f"--port={port}"]
        self._command += [f"--latency={latency}", f"--keep={keep}", "--until-stdin-closes"]
        self._command += ["--bodies"] if bodies else []
        self._command += [f"--ledger={ledger}"] if ledger else []
        self._command += [f"--cert={cert}", f"--key={key}"] if cert else []

    def __enter__(self) -> Self:
        # Its standard input is closed when this process ends, however it ends.
        self.process = subprocess.Popen(
            self._command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "The third party did not start."
        self.address = line.split()[-1]
        parts = urlsplit(self.address)
        assert parts.port
        self.port: int = parts.port
        pool_class: type[urllib3.HTTPConnectionPool] = urllib3.HTTPConnectionPool
        more: dict[str, Any] = {}
        if parts.scheme == "https":
            pool_class = urllib3.HTTPSConnectionPool
            more = {"ca_certs": str(self._cert), "server_hostname": "localhost"}
        self._pool = pool_class("127.0.0.1", self.port, maxsize=1, retries=False, **more)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.close()
        self.stop()

    def stop(self) -> None:
        self.process.terminate()
        self.process.communicate(timeout=10)

    def url(self, path: str) -> str:
        return self.address + path

    def behave(self, name: str, **behaviour: Any) -> None:
        """From now on `/NAME` behaves so; the fields are those of `config.demo.script.Behaviour`.

        Bytes may be given as `body` or as `raw` (the whole answer; the connection is closed after it unless
        `drop` is "keep").
        """
        if isinstance(body := behaviour.get("body"), bytes):
            behaviour["body_base64"] = base64.b64encode(body).decode()
            del behaviour["body"]
        if "raw" in behaviour:
            behaviour["raw_base64"] = base64.b64encode(behaviour.pop("raw")).decode()
        self._ask("PUT", f"/_behaviour/{name}", orjson.dumps(behaviour))

    def forget(self, name: str) -> None:
        """`/NAME` behaves again as it did before anything was said about it."""
        self._ask("DELETE", f"/_behaviour/{name}")

    def ledger(self) -> list[dict[str, Any]]:
        """The requests that arrived, in their order."""
        return [orjson.loads(line) for line in self._ask("GET", "/_ledger").splitlines()]

    def stats(self) -> dict[str, Any]:
        stats: dict[str, Any] = orjson.loads(self._ask("GET", "/_stats"))
        return stats

    def clear(self) -> None:
        """Empties ledger and counts."""
        self._ask("DELETE", "/_ledger")

    def _ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        answer = self._pool.request(method, path, body=body)
        assert answer.status < 300, answer.data
        return answer.data
