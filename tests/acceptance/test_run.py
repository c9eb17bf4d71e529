"""`manage.py run`: one command starts everything, Ctrl-C stops everything, and a second start goes on."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from tests.acceptance.ledger import arrivals, assert_each_arrived, watch, write_feed
from tests.processes import DIES_WITH_US, Stack
from tests.third_party import ROOT, RunningThirdParty

pytestmark = pytest.mark.processes

SECOND_START = 5.0  # seconds
STOP_WITHIN = 20.0


class Running:
    """`manage.py run`, on the database and broker of a stack that starts nothing itself."""

    def __init__(self, stack: Stack, port: int) -> None:
        # Unbuffered output is not ours to ask for: what `run` prints must reach a pipe by itself.
        self._env = {name: value for name, value in stack.env.items() if name != "PYTHONUNBUFFERED"}
        self._folder = stack.folder
        self.port = port
        self.output = stack.folder / "run.out"

    def __enter__(self) -> Self:
        began = time.monotonic()
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [*DIES_WITH_US, sys.executable, "manage.py", "run", "--port", str(self.port)],
                cwd=ROOT,
                env=self._env,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            watch(self.answers, within=30, until=f"an answer.\n{self.output.read_text()}")
            watch(self.has_said_the_login, within=5, until="the first login to be printed")
        except BaseException:
            self.end()
            raise
        self.answered_after = time.monotonic() - began - self._waited_for_the_processor()
        return self

    def _waited_for_the_processor(self) -> float:
        """Seconds in which the command or the web could have run, and other tests did."""
        waited = 0.0
        for pid in self.processes():
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            if b"manage.py" in command or b"gunicorn" in command:
                waited += int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
        return waited

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def end(self) -> None:
        """Leaves nothing of it, however it ended: its children lead groups of their own."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)

    def has_said_the_login(self) -> bool:
        """Where its output goes into a file, and it runs on."""
        return "First login" in self.output.read_text()

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def processes(self) -> list[int]:
        """Whatever runs with this data folder, beside us."""
        mark = f"VAR_DIR={self._folder}".encode()
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdecimal():
                continue
            try:
                if mark in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
            except OSError:
                continue
        return found

    def ctrl_c(self) -> int:
        """Returns the exit code."""
        os.kill(self.process.pid, signal.SIGINT)
        return self.process.wait(STOP_WITHIN)


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        found: int = probe.getsockname()[1]
        return found


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    with Stack(tmp_path / "stack") as stack:
        yield stack


def test_ctrl_c_stops_all_and_a_second_start_goes_on_where_it_was(
    stack: Stack, third_party: RunningThirdParty, tmp_path: Path, port: int
) -> None:
    # Given everything started with one command
    third_party.behave("started", ms=100)
    with Running(stack, port) as run:
        said = run.output.read_text()
        assert f"http://127.0.0.1:{port}" in said
        assert "First login     admin / " in said
        assert len(run.processes()) >= 6, "run, demo, web, worker, relay and beat"
        # And a sample that goes to the demo third party, as the greeting says
        sample = stack.manage("send", stack.folder / "samples" / "products.csv", "--to", "demo", "--wait")
        assert sample.code in (0, 1), sample.err
        # And a feed on its way
        stack.add_destination("started", third_party.url("/started"), concurrency=8)
        feed = stack.send(write_feed(tmp_path / "feed.csv", 300), to="started")
        watch(lambda: len(arrivals(third_party, "/started").entries) > 40, within=20, until="40 requests")
        stack.close_console()
        # When Ctrl-C is pressed
        assert run.ctrl_c() == 0
        # Then all of it has stopped cleanly
        assert run.processes() == []
        assert "Stopped." in run.output.read_text()
        assert "Traceback" not in run.output.read_text()
    sent = len(arrivals(third_party, "/started").entries)
    assert stack.feed(feed).pending >= 300 - sent > 0
    # And the second start answers soon, keeps the data, and takes the work up
    with Running(stack, port) as run:
        answered_after = run.answered_after
        stack.wait_for_end(feed, within=30)
        assert_each_arrived(arrivals(third_party, "/started"), range(1, 301))
        assert stack.feed(feed).succeeded == 300
        assert len(stack.sql("SELECT id FROM feeds_feed")) == 2
        said = run.output.read_text()
        assert "First login     admin / " in said
        assert run.ctrl_c() == 0
        assert run.processes() == []
    assert answered_after < SECOND_START


def test_a_port_that_is_taken_is_said_so(stack: Stack, port: int) -> None:
    with socket.create_server(("127.0.0.1", port)):
        ran = stack.manage("run", "--port", port)
    assert ran.code == 2
    assert f"Port {port} is in use" in ran.err
    assert "Traceback" not in ran.err
