"""A wire between Rowpost and its broker that can be cut."""

import select
import socket
import threading
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit, urlunsplit

BLOCK = 65536


class Proxy:
    """Passes connections on to a server; `cut()` drops them all and takes no new ones until `mend()`.
    After `freeze()` nothing passes any more, and nobody is told."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname
        assert parts.port
        self._server = (parts.hostname, parts.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        login = parts.netloc.rpartition("@")[0]
        place = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.url = urlunsplit(parts._replace(netloc=f"{login}@{place}" if login else place))
        self._is_cut = threading.Event()
        self._is_frozen = threading.Event()
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def cut(self) -> None:
        self._is_cut.set()

    def mend(self) -> None:
        self._is_cut.clear()

    def freeze(self) -> None:
        self._is_frozen.set()

    def _accept(self) -> None:
        while not self._over.is_set():
            if not select.select([self._listener], [], [], 0.05)[0]:
                continue
            client = self._listener.accept()[0]
            if self._is_cut.is_set():
                client.close()
                continue
            thread = threading.Thread(target=self._pass_on, args=(client,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _pass_on(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._server) as server:
            other = {client: server, server: client}
            while not (self._over.is_set() or self._is_cut.is_set()):
                for source in select.select([client, server], [], [], 0.05)[0]:
                    if self._is_frozen.is_set():
                        self._over.wait(0.05)
                        continue
                    try:
                        if not (data := source.recv(BLOCK)):
                            return
                        other[source].sendall(data)
                    except OSError:
                        return
