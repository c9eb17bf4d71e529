"""The heart of a process: a heartbeat of its own, whatever other processes call themselves."""

import os
import threading

from config.heart import Heart
from outbox import heartbeats


def test_processes_of_one_host_and_number_have_a_heartbeat_each(monkeypatch):
    """As in containers that share a host's name: each has a process 1, and after a restart once more."""
    told: dict[str, str] = {}
    gone: list[str] = []
    beaten = threading.Event()

    def beat(name: str, *, kind: str) -> None:
        told[name] = kind
        beaten.set()

    monkeypatch.setattr(os, "getpid", lambda: 1)
    monkeypatch.setattr(heartbeats, "beat", beat)
    monkeypatch.setattr(heartbeats, "stopped", gone.append)
    for described in ({"kind": "worker"}, {"kind": "beat"}):
        beaten.clear()
        heart = Heart(described.copy)
        heart.start()
        assert beaten.wait(5)
        heart.stop()
    assert sorted(told.values()) == ["beat", "worker"]
    assert gone == list(told), "each ends its own alone"
