"""A process's heart: it says every few seconds that the process lives, and at its end that it has gone."""

import logging
import os
import secrets
import socket
import threading
from collections.abc import Callable
from typing import Any

logger = logging.getLogger(__name__)


class Heart:
    """Beats in a thread of its own. `describe` says what is alive; `first` runs before the first beat, and
    again until it succeeds."""

    def __init__(
        self, describe: Callable[[], dict[str, Any]], first: Callable[[], object] | None = None
    ) -> None:
        self._describe = describe
        self._first = first
        self._quit = threading.Event()
        # Containers may share a name, each has a process 1, and after a restart it is another one.
        self._whose = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(2)}"
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._quit.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def _run(self) -> None:
        from django.db import connection

        from outbox import heartbeats

        while True:
            try:
                if self._first is not None:
                    self._first()
                    self._first = None
                heartbeats.beat(self._whose, **self._describe())
            except Exception as exc:
                logger.warning("heartbeat.failed The database did not take a heartbeat (%s).", exc)
                connection.close()
            if self._quit.wait(heartbeats.EVERY):
                break
        try:
            heartbeats.stopped(self._whose)
        except Exception as exc:
            logger.info("heartbeat.left A last heartbeat was not removed (%s); it grows old.", exc)
        connection.close()
