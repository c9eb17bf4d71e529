"""A whole Rowpost of real processes, in a folder with a database and a broker of its own.

with Stack(tmp_path) as stack:
    stack.start("worker", "relay", "beat")
    sent = stack.manage("send", "feed.csv", "--to", "shop", "--wait", "--json")
    assert sent.code == 0

Nothing that it starts outlives it: each process leads a group that is killed at the end, and dies with us.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from tests.acceptance.stores import ROOT, new_broker, new_database

T = TypeVar("T")

TAIL = 30  # lines of each log shown with a failure
# Without this, what we started would stay when we are killed ourselves.
DIES_WITH_US = ["setpriv", "--pdeathsig", "KILL"]
CELERY = [sys.executable, "-m", "celery", "-A", "config"]
QUIET = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
WORKER = [*CELERY, "worker", "--loglevel", "INFO", *QUIET]
WEB = [
    *(sys.executable, "-m", "gunicorn", "config.wsgi", "--no-control-socket"),
    *("--worker-class", "gthread", "--threads", "8"),
]
COUNTS = ("total", "invalid", "pending", "succeeded", "failed", "cancelled")


@dataclass(frozen=True, slots=True)
class Ran:
    """A management command that has ended."""

    code: int
    out: str
    err: str
    seconds: float

    @property
    def last(self) -> dict[str, Any]:
        """The last line of --json."""
        found: dict[str, Any] = json.loads(self.out.strip().splitlines()[-1])
        return found


class Managing:
    """A management command under way."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self._began = time.monotonic()

    def finish(self, within: float = 60.0) -> Ran:
        out, err = self.process.communicate(timeout=within)
        return Ran(self.process.returncode, out, err, time.monotonic() - self._began)


@dataclass(frozen=True, slots=True)
class FeedState:
    """A feed's ledger, read from the database."""

    status: str
    reason: str
    round: int
    total: int
    invalid: int
    pending: int
    succeeded: int
    failed: int
    cancelled: int

    @property
    def is_over(self) -> bool:
        return self.status in {"completed", "rejected"} or (self.status == "cancelled" and self.pending == 0)


class Stack:
    """Rowpost's processes, by name: "worker", "worker2" and so on, "relay", "beat", "web"."""

    def __init__(self, folder: Path, *, threads: int = 8, broker_url: str = "", **env: str) -> None:
        self.folder = folder
        self._threads = threads
        self._broker_url = broker_url
        self._more_env = env
        self._processes: dict[str, subprocess.Popen[Any]] = {}
        self._managing: list[Managing] = []
        self._console: subprocess.Popen[str] | None = None
        self._door: socket.socket | None = None  # where the web listens; it keeps its port over restarts

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.database = new_database(self.folder)
        self.broker = new_broker(self.folder)
        self.env = os.environ | {
            "VAR_DIR": str(self.folder),
            "DATABASE_URL": self.database.url,
            "BROKER_URL": self._broker_url or self.broker.url,
            "SECRET_KEY": "of the acceptance tests, and of nobody else",
            "ALLOWED_NETWORKS": "127.0.0.0/8",
            "EMAIL_URL": "dummymail://",
            "PYTHONUNBUFFERED": "1",
            **self._more_env,
        }
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name in list(self._processes):
            self.kill(name)
        for managing in self._managing:
            if managing.process.poll() is None:
                _kill_group(managing.process)
                managing.process.communicate()
        self.close_console()
        if self._door is not None:
            self._door.close()
        self.database.close()
        self.broker.close()

    # Processes

    def start(self, *names: str) -> None:
        """Starts them side by side, and waits until all are at work."""
        if "web" in names and self._door is None:
            self._open_door()
        for name in names:
            assert name not in self._processes, f"{name} is running."
            with self._log(name).open("ab") as log:
                self._processes[name] = subprocess.Popen(
                    [*DIES_WITH_US, *self._command(name)],
                    cwd=ROOT,
                    env=self.env,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    pass_fds=[self._door.fileno()] if name == "web" and self._door else [],
                )
        for name in names:
            self.wait(lambda name=name: self._is_up(name), within=30, until=f"{name} to be up")  # type: ignore[misc]

    def _command(self, name: str) -> list[str]:
        if name.startswith("worker"):
            threads = str(self._threads)
            return [*WORKER, "--pool", "threads", "-c", threads, "-X", "outbox.relay", "-n", f"{name}@%h"]
        if name.startswith("relay"):
            return [*WORKER, "--pool", "solo", "-Q", "outbox.relay", "-n", f"{name}@%h"]
        if name.startswith("beat"):
            return [*CELERY, "beat", "--loglevel", "INFO", "--pidfile", ""]
        if name == "web" and self._door is not None:
            return [*WEB, "--bind", f"fd://{self._door.fileno()}"]
        raise ValueError(name)

    def _open_door(self) -> None:
        """A port that nobody else can take, and the static files behind it."""
        self._door = socket.create_server(("127.0.0.1", 0))
        done = self.manage("collectstatic", "--noinput", "--verbosity", "0")
        assert done.code == 0, done.err

    @property
    def address(self) -> str:
        """Where the web is."""
        assert self._door is not None, "No web was started."
        return f"http://127.0.0.1:{self._door.getsockname()[1]}"

    def _is_up(self, name: str) -> bool:
        process = self._processes[name]
        assert process.poll() is None, f"{name} ended with code {process.returncode}.\n{self.tails()}"
        if name.startswith("beat"):
            return True
        if name == "web":
            return self._web_answers()
        return bool(self.sql("SELECT 1 FROM outbox_heartbeat WHERE name LIKE %s", f"%:{process.pid}:%"))

    def _web_answers(self) -> bool:
        try:
            urllib.request.urlopen(f"{self.address}/healthz", timeout=5).close()  # noqa: S310
        except OSError:
            return False
        return True

    def kill(self, name: str) -> None:
        """Like a power cut: SIGKILL, to it and all of its children."""
        process = self._processes.pop(name)
        _kill_group(process)
        process.wait()

    def stop(self, name: str, *, within: float = 40.0) -> None:
        """In good order: SIGTERM, and waits for its end."""
        self.tell_to_stop(name)
        self.wait_until_gone(name, within=within)

    def tell_to_stop(self, name: str) -> None:
        self._processes[name].terminate()

    def wait_until_gone(self, name: str, *, within: float) -> None:
        process = self._processes.pop(name)
        try:
            process.wait(within)
        except subprocess.TimeoutExpired:
            _kill_group(process)
            process.wait()
            raise AssertionError(f"{name} did not stop within {within} s.\n{self.tails()}") from None

    def freeze(self, name: str, *, anywhere: bool = False) -> None:
        """Stops it where it is; unless `anywhere`, not within a transaction, which would hold up all."""
        for _ in range(200):
            os.killpg(self._processes[name].pid, signal.SIGSTOP)
            if anywhere or not (self.database.is_locked() or self.broker.is_locked()):
                return
            self.thaw(name)
            time.sleep(0.01)
        raise AssertionError(f"{name} was in a transaction whenever it was stopped.")

    def thaw(self, name: str) -> None:
        os.killpg(self._processes[name].pid, signal.SIGCONT)

    def pid(self, name: str) -> int:
        return self._processes[name].pid

    # Commands

    def manage(self, *arguments: object, within: float = 60.0) -> Ran:
        """Runs a management command to its end."""
        return self.managing(*arguments).finish(within)

    def managing(
        self, *arguments: object, env: dict[str, str] | None = None, under: Sequence[str] = ()
    ) -> Managing:
        """Starts a management command; `env` goes before the stack's own, `under` before the command."""
        process = subprocess.Popen(
            [*DIES_WITH_US, *under, sys.executable, "manage.py", *map(str, arguments)],
            cwd=ROOT,
            env=self.env | (env or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._managing.append(Managing(process))
        return self._managing[-1]

    def call(self, function: str, *args: Any, **named: Any) -> Any:
        """Calls one of Rowpost's functions, given by its dotted name, in a process of the stack's own."""
        answer = self._ask({"call": function, "args": args, "named": named})
        assert "error" not in answer, f"{function}: {answer['error']}"
        return answer["result"]

    def add_destination(self, name: str, url: str, **settings: Any) -> int:
        """Returns its id."""
        self.call("deliveries.commands.add_destination", name=name, url=url, **settings)
        found: int = self.sql("SELECT id FROM deliveries_destination WHERE name = %s", name)[0][0]
        return found

    def send(self, file: Path, *, to: str, **options: str) -> uuid.UUID:
        """`send FILE --to DESTINATION`, without the start of a process; returns the feed's id."""
        more = [part for name, value in options.items() for part in (f"--{name}", value)]
        answer = self._ask({"manage": ["send", str(file), "--to", to, "--json", *more]})
        assert answer["code"] == 0, answer["err"]
        return uuid.UUID(json.loads(answer["out"].strip().splitlines()[-1])["id"])

    def close_console(self) -> None:
        """Ends the process that `call` and `send` use; the next of them starts another."""
        if self._console is not None:
            _kill_group(self._console)
            self._console.communicate()
            self._console = None

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        if self._console is None:
            with self._log("console").open("ab") as log:
                self._console = subprocess.Popen(
                    [*DIES_WITH_US, sys.executable, "-m", "tests.acceptance.console"],
                    cwd=ROOT,
                    env=self.env | {"DJANGO_SETTINGS_MODULE": "config.settings"},
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    text=True,
                    start_new_session=True,
                )
        to_console, from_console = self._console.stdin, self._console.stdout
        assert to_console is not None
        assert from_console is not None
        to_console.write(json.dumps(request, default=str) + "\n")
        to_console.flush()
        line = from_console.readline()
        assert line, f"The console ended.\n{self.tails()}"
        answer: dict[str, Any] = json.loads(line)
        return answer

    # What there is to see

    def sql(self, statement: str, *params: Any) -> list[tuple[Any, ...]]:
        """Runs a statement with %s places; returns its rows."""
        return self.database.run(statement, params)

    def feed(self, feed_id: uuid.UUID | str) -> FeedState:
        columns = ", ".join(("status", "reason", "round", *COUNTS))
        row = self.sql(f"SELECT {columns} FROM feeds_feed WHERE id = %s", uuid.UUID(str(feed_id)))[0]
        return FeedState(*row)

    def handlings(self) -> dict[str, int]:
        """How many handlings are in each state."""
        return dict(self.sql("SELECT state, count(*) FROM outbox_handling GROUP BY state"))

    def deliveries(self, status: str) -> int:
        """How many deliveries have that status."""
        found: int = self.sql("SELECT count(*) FROM deliveries_delivery WHERE status = %s", status)[0][0]
        return found

    def queues(self) -> Sequence[str]:
        return [row[0] for row in self.sql("SELECT DISTINCT queue FROM outbox_subscription")] + [
            "outbox.relay"
        ]

    def wait(self, condition: Callable[[], T], *, within: float, until: str, every: float = 0.05) -> T:
        """Waits until the condition holds, and returns what it gave; else fails with the logs' tails."""
        ends = time.monotonic() + within
        while not (found := condition()):
            if time.monotonic() > ends:
                raise AssertionError(
                    f"Waited {within:g} s in vain for {until}. {self._picture()}\n{self.tails()}"
                )
            time.sleep(every)
        return found

    def wait_for_end(self, feed_id: uuid.UUID, *, within: float) -> FeedState:
        """Waits until the feed is over, and returns its ledger."""
        self.wait(lambda: self.feed(feed_id).is_over, within=within, until=f"the end of feed {feed_id}")
        return self.feed(feed_id)

    def assert_at_rest(self, *, within: float = 15.0) -> None:
        """Every handling done, no lane with ready work, no lease, nothing unrelayed."""
        self.wait(self._is_at_rest, within=within, until="all work to be done")

    def _is_at_rest(self) -> bool:
        return (
            self.handlings().keys() <= {"done"}
            and not self.sql("SELECT 1 FROM outbox_unrelayed LIMIT 1")
            and not self.sql("SELECT 1 FROM outbox_lease LIMIT 1")
            and not self.sql("SELECT 1 FROM outbox_lane WHERE ready <> 0 LIMIT 1")
        )

    def _picture(self) -> str:
        counts = ", ".join(COUNTS)
        return (
            f"Feeds: {self.sql(f'SELECT status, {counts} FROM feeds_feed ORDER BY id')}. "
            f"Handlings: {self.handlings()}. "
            f"Leases: {self.sql('SELECT handler, state, until FROM outbox_lease')}. "
            f"Lanes: {self.sql('SELECT handler, ready, paused, held_until, probing FROM outbox_lane')}"
        )

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def log(self, name: str) -> str:
        """What the process has written so far."""
        path = self._log(name)
        return path.read_text() if path.exists() else ""

    def tails(self) -> str:
        parts = []
        for path in sorted(self.folder.glob("*.log")):
            lines = path.read_text().splitlines()[-TAIL:]
            parts.append(f"--- {path.stem}\n" + "\n".join(lines))
        return "\n".join(parts)


def _kill_group(process: "subprocess.Popen[Any]") -> None:
    if process.poll() is None:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
