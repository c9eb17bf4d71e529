"""The broker without a server, tested as a broker: in this process, and in others that die."""

import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from config import broker_file
from tests.config.tiny_celery import Client

ROOT = Path(__file__).parents[3]


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.setattr(broker_file, "TEND_SECONDS", 0.05)
    monkeypatch.setattr(broker_file, "BUSY_SECONDS", 0.3)
    path = tmp_path / "broker.sqlite3"
    yield path
    broker_file.broker_file(str(path)).close()


@pytest.fixture
def client(path):
    clients = []

    def connect():
        clients.append(Client(path))
        return clients[-1]

    yield connect
    for one in clients:
        one.close()


def environment(path, **more):
    # BROKER_URL, where the suite runs on a server, would go before the app's own on Celery's command line.
    not_ours = {"DJANGO_SETTINGS_MODULE", "BROKER_URL"}
    rest = {name: value for name, value in os.environ.items() if name not in not_ours}
    return rest | {"BROKER_FILE": str(path), "PYTHONWARNINGS": "default"} | more


@contextmanager
def process(path, code):
    """Another process that runs the code with `client`; it ends with the block, by SIGKILL at the latest."""
    start = (
        "import json, os, sys, time\n"
        f"from tests.config.tiny_celery import Client\nclient = Client({str(path)!r})\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", start + code],
        cwd=ROOT,
        env=environment(path),
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        try:
            yield running
        finally:
            running.kill()


def eventually(condition, seconds=15):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


@contextmanager
def locked(path):
    """Somebody else's transaction over the file."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def fill(path, queue, number):
    """Many copies of a message that waits in the queue."""
    with closing(sqlite3.connect(path)) as other, other:
        other.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
            " INSERT INTO message (queue, payload) SELECT ?, (SELECT payload FROM message LIMIT 1) FROM n",
            (number, queue),
        )


def delete_file(path):
    for one in path.parent.glob(f"{path.name}*"):
        one.unlink()


def count(path):
    with closing(sqlite3.connect(path)) as other:
        return other.execute("SELECT count(*) FROM message").fetchone()[0]
