"""The embedded broker with Celery's own workers."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from celery import Celery

from tests.config.test_embedded_broker.conftest import (
    ROOT,
    count,
    delete_file,
    environment,
    eventually,
    locked,
)

pytestmark = pytest.mark.processes


@contextmanager
def worker(path, *options, **more):
    log = path.with_suffix(".log").open("a")
    with (
        log,
        subprocess.Popen(
            [
                sys.executable,
                "-m",
                "celery",
                "-A",
                "tests.config.tiny_celery",
                "worker",
                "-l",
                "INFO",
                "--without-gossip",
                "--without-mingle",
                "--without-heartbeat",
                *options,
            ],
            cwd=ROOT,
            env=environment(path, **more),
            stdout=log,
            stderr=log,
            start_new_session=True,
        ) as running,
    ):
        try:
            yield running
        finally:
            try:
                os.killpg(running.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass


@pytest.fixture
def app(path):
    with Celery("sender", broker=f"embedded://{path}", set_as_current=False) as app:
        app.conf.update(task_ignore_result=True, task_publish_retry=False)
        yield app


def ran(path):
    try:
        return [int(line) for line in Path(f"{path}.ran").read_text().split()]
    except FileNotFoundError:
        return []


@pytest.mark.parametrize("pool", [("--pool", "prefork", "-c", "2"), ("--pool", "threads", "-c", "8")])
def test_a_worker_ends_its_work_on_term_and_gives_the_rest_back(path, app, pool):
    for number in range(40):
        app.send_task("leave_a_line", (number, 0.1))
    with worker(path, *pool) as running:
        eventually(lambda: len(ran(path)) > 2)
        running.send_signal(signal.SIGTERM)
        assert running.wait(15) == 0
    left = ran(path)
    assert len(left) == len(set(left)) == 40 - count(path)
    assert 0 < count(path) < 40


def test_a_killed_worker_loses_no_task(path, app):
    for number in range(60):
        app.send_task("leave_a_line", (number, 0.02))
    with worker(path, "--pool", "prefork", "-c", "2"):
        eventually(lambda: len(ran(path)) > 10)
    with worker(path, "--pool", "threads", "-c", "4"):
        eventually(lambda: set(ran(path)) == set(range(60)))
    assert len(ran(path)) <= 62


def test_a_worker_outlives_whatever_happens_to_the_file_and_answers_remote_control(path, app):
    with worker(path, "--pool", "threads", "-c", "2", REMOTE_CONTROL="1") as running:
        app.send_task("leave_a_line", (1,))
        eventually(lambda: 1 in ran(path))
        delete_file(path)
        app.send_task("leave_a_line", (2,))
        eventually(lambda: 2 in ran(path))
        with locked(path):
            time.sleep(3)
        app.send_task("leave_a_line", (3,))
        eventually(lambda: 3 in ran(path))
        delete_file(path)
        path.write_bytes(b"rubbish" * 5000)
        eventually(lambda: path.with_name(f"{path.name}.unreadable").exists())
        time.sleep(0.5)
        app.send_task("leave_a_line", (4,))
        eventually(lambda: 4 in ran(path))
        assert app.control.ping(timeout=5, limit=1)
        assert running.poll() is None
