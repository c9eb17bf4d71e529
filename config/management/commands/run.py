"""`manage.py run`: everything that one machine needs, in one terminal. Ctrl-C stops all of it in good order.

In production each of these processes is started by the system's own supervisor (docs/operations.md).
"""

import ctypes
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from argparse import ArgumentParser
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand

from deliveries.commands import add_destination
from deliveries.models import Destination
from outbox.tasks import RELAY_QUEUE

START_WITHIN = 15.0  # seconds
STOP_WITHIN = 40.0  # seconds; a batch under way is finished in less
LARGEST_LOG = 20 * 1024 * 1024  # bytes; a larger one is begun anew at the next start
PR_SET_PDEATHSIG = 1
CALM = 10.0  # seconds after which a process that ends again is restarted at once
SAMPLES = settings.BASE_DIR / "config" / "demo" / "samples"


@dataclass
class Child:
    """One process of Rowpost, started again when it dies."""

    name: str
    command: list[str]
    env: dict[str, str]
    process: "subprocess.Popen[bytes] | None" = None
    started: float = 0.0
    restart_at: float = 0.0

    def start(self) -> None:
        self.log.parent.mkdir(exist_ok=True)
        with self.log.open("ab" if self.started or _is_small(self.log) else "wb") as log:
            self.process = subprocess.Popen(
                self.command,
                env=self.env,
                stdout=log,
                stderr=subprocess.STDOUT,
                # A group of its own: Ctrl-C reaches only us, and we stop the children in order.
                start_new_session=True,
                preexec_fn=_stop_with_parent,
            )
        self.started = time.monotonic()

    @property
    def log(self) -> Path:
        return Path(settings.VAR_DIR) / "log" / f"{self.name}.log"

    def keep_alive(self) -> None:
        if self.process is None or self.process.poll() is None:
            return
        now = time.monotonic()
        if self.restart_at == 0.0:
            code = self.process.returncode
            sys.stderr.write(f"{self.name} ended with code {code} (see {self.log}); starting it again.\n")
            self.restart_at = now if now - self.started > CALM else now + 2.0
        if now >= self.restart_at:
            self.restart_at = 0.0
            self.start()

    def stop(self, *, hard: bool = False) -> None:
        if self.process is not None and self.process.poll() is None:
            try:
                os.killpg(self.process.pid, signal.SIGKILL if hard else signal.SIGTERM)
            except ProcessLookupError:
                pass


class Command(BaseCommand):
    help = "Starts web, workers, relay, beat and a demo third party on this machine."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=int(os.environ.get("PORT", "8000")))
        parser.add_argument("--no-demo", action="store_true", help="start no demo third party")

    def handle(self, *args: Any, **options: Any) -> None:
        port: int = options["port"]
        if _is_taken(port):
            self.stderr.write(
                f"Port {port} is in use. Stop what uses it, or choose another: PORT=8001 make run"
            )
            sys.exit(2)
        call_command("migrate", verbosity=0)
        login = _first_login()
        demo_port = None if options["no_demo"] else _demo_port()
        children = self._children(port, demo_port)
        stopping: list[int] = []

        def ask_to_stop(number: int, frame: FrameType | None) -> None:
            stopping.append(number)

        signal.signal(signal.SIGINT, ask_to_stop)
        signal.signal(signal.SIGTERM, ask_to_stop)
        for child in children:
            child.start()
        _wait_for_answer(port)
        self._welcome(port, demo_port, login)
        while not stopping:
            for child in children:
                child.keep_alive()
            time.sleep(0.2)
        self._stop(children)

    def _children(self, port: int, demo_port: int | None) -> list[Child]:
        python = sys.executable
        env = os.environ | {
            "ALLOWED_NETWORKS": ",".join([*settings.ALLOWED_NETWORKS, "127.0.0.0/8"])
            if demo_port
            else ",".join(settings.ALLOWED_NETWORKS),
            "BASE_URL": os.environ.get("BASE_URL", f"http://127.0.0.1:{port}"),
            "PYTHONUNBUFFERED": "1",
        }
        celery = [python, "-m", "celery", "-A", "config"]
        quiet = ["--loglevel", "WARNING"]
        worker = ["worker", *quiet, "--without-gossip", "--without-mingle", "--without-heartbeat"]
        threads = str(settings.WORKER_THREADS)
        children = [
            Child(
                "web",
                [
                    *(python, "-m", "gunicorn", "config.wsgi", "--bind", f"127.0.0.1:{port}"),
                    *(
                        "--worker-class",
                        "gthread",
                        "--threads",
                        "8",
                        "--timeout",
                        "120",
                        "--no-control-socket",
                    ),
                    *("--log-level", "warning"),
                ],
                env,
            ),
            Child(
                "worker",
                [*celery, *worker, "--pool", "threads", "-c", threads, "-n", "worker@%h", "-X", RELAY_QUEUE],
                env,
            ),
            Child("relay", [*celery, *worker, "--pool", "solo", "-n", "relay@%h", "-Q", RELAY_QUEUE], env),
            Child("beat", [*celery, "beat", *quiet, "--pidfile", ""], env),
        ]
        if demo_port:
            demo = [python, "-m", "config.demo.third_party", "--port", str(demo_port)]
            children.insert(0, Child("demo", demo, env))
        return children

    def _stop(self, children: list[Child]) -> None:
        self.stdout.write("\nStopping: work under way is finished, the rest is taken up at the next start.")
        self.stdout.flush()
        ends = time.monotonic() + STOP_WITHIN
        for child in reversed(children):
            child.stop()
        for child in children:
            if child.process is None:
                continue
            try:
                child.process.wait(max(0.1, ends - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.stop(hard=True)
                child.process.wait()
        self.stdout.write("Stopped.")

    def _welcome(self, port: int, demo_port: int | None, login: tuple[str, str] | None) -> None:
        say = self.stdout.write
        say("")
        say(f"  Rowpost is at   http://127.0.0.1:{port}")
        if login:
            say(f"  First login     {login[0]} / {login[1]}")
        if demo_port:
            samples = _samples()
            say(f"  Third party     a demo on http://127.0.0.1:{demo_port}, known as the destination “demo”")
            say(f"  Sample feeds    {samples}")
            say("")
            say("  Try in the browser: sign in, upload a sample, watch its rows arrive.")
            say("  Or in a second terminal:")
            say(f"    .venv/bin/python manage.py send {samples}/products.csv --to demo --wait")
        say("")
        say(f"  Logs are in {_shown(Path(settings.VAR_DIR) / 'log')}. Ctrl-C stops everything.")
        say("")
        self.stdout.flush()  # into a pipe or a file it would wait for more


def _is_small(log: Path) -> bool:
    return log.exists() and log.stat().st_size < LARGEST_LOG


def _stop_with_parent() -> None:
    """Runs in the child: it is asked to stop when we are killed, and no process is left behind (Linux)."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def _wait_for_answer(port: int) -> None:
    """Returns once the web answers, or after START_WITHIN seconds: its log says why it does not."""
    ends = time.monotonic() + START_WITHIN
    while time.monotonic() < ends:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return


def _first_login() -> tuple[str, str] | None:
    """The first admin, made once; its password is kept beside the data until it is changed."""
    users = get_user_model()
    kept = Path(settings.VAR_DIR) / "first_login"
    if not users.objects.exists():
        password = secrets.token_urlsafe(9)
        users.objects.create_superuser("admin", "admin@localhost", password)
        kept.touch(mode=0o600)
        kept.write_text(password)
    admin = users.objects.filter(username="admin").first()
    if admin is None or not kept.exists():
        return None
    password = kept.read_text()
    return ("admin", password) if admin.check_password(password) else None


def _demo_port() -> int:
    """The port of the demo third party: the one that its destination names, if that is free."""
    destination = Destination.objects.filter(name="demo").first()
    if destination is None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        add_destination(name="demo", url=f"http://127.0.0.1:{port}/demo/products", retry_first=5.0)
        return port
    return int(destination.url.split(":")[2].split("/")[0])


def _samples() -> Path:
    folder = Path(settings.VAR_DIR) / "samples"
    if not folder.exists():
        shutil.copytree(SAMPLES, folder)
    return _shown(folder)


def _shown(path: Path) -> Path:
    """The path as a person in this folder would type it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
