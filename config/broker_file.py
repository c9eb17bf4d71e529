"""The file of the broker without a server, as one process uses it (embedded_broker.py shows it to Celery).

A message is a row; a process claims it by writing its owner number into it, and acknowledging deletes it.
Each process holds a file lock for its owner number, which ends with the process however it ends; whoever
sees a claim without its lock gives the message back. All processes run on one machine: SQLite and the
locks need one kernel, not a network file system.
"""

import atexit
import fcntl
import json
import logging
import os
import secrets
import sqlite3
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, time, time_ns

logger = logging.getLogger(__name__)

# How long a locked file may hold up a caller; a publisher may be a web request.
BUSY_SECONDS = 2.0
TEND_SECONDS = 1.0
PASSING_ERRORS = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL}
UNREADABLE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}

# Ids start at the time of creation, so that an acknowledgement that outlived a deleted file can never
# meet a message of the next one.
SCHEMA = """
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS message (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    queue TEXT NOT NULL,
    owner INTEGER,
    redelivered INTEGER NOT NULL DEFAULT 0,
    expires_at REAL,
    payload TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS message_ready ON message (queue, id) WHERE owner IS NULL;
CREATE INDEX IF NOT EXISTS message_claimed ON message (owner) WHERE owner IS NOT NULL;
CREATE INDEX IF NOT EXISTS message_expires ON message (expires_at) WHERE expires_at IS NOT NULL;
CREATE TABLE IF NOT EXISTS binding (
    exchange TEXT, routing_key TEXT, pattern TEXT, queue TEXT,
    PRIMARY KEY (exchange, routing_key, pattern, queue)
) WITHOUT ROWID;
INSERT INTO sqlite_sequence (name, seq)
    SELECT 'message', {first_id} WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence);
COMMIT;
"""
# One look at the head of each queue, in the given order: however many wait, and wherever.
CLAIM = """
UPDATE message SET owner = ? WHERE id = (
    SELECT head FROM (
        SELECT wanted.key AS turn,
            (SELECT id FROM message WHERE queue = wanted.value AND owner IS NULL ORDER BY id LIMIT 1) AS head
        FROM json_each(?) AS wanted
    ) WHERE head IS NOT NULL ORDER BY turn LIMIT 1
) RETURNING id, queue, redelivered, payload
"""

# exchange, routing key, pattern, queue
Binding = tuple[str, str, str, str]


class BrokerFile:
    """The broker's file as one process uses it: one connection, shared by all of its threads."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.bindings: set[Binding] = set()
        self.generation = 0
        self._reset()

    def _reset(self) -> None:
        # Reentrant, because the garbage collector may close a channel in the middle of anything.
        self._mutex = threading.RLock()
        self._changed = threading.Condition()
        self._connection: sqlite3.Connection | None = None
        self._inode: int | None = None
        self._owner = secrets.randbits(62)
        self._lock_fd: int | None = None
        self._tend_at = 0.0
        self._owed: deque[tuple[str, tuple[int, ...]]] = deque()

    # What channels ask for

    def put(self, queue: str, payload: str, expires_at: float | None) -> None:
        with self._connected() as connection:
            connection.execute(
                "INSERT INTO message (queue, payload, expires_at) VALUES (?, ?, ?)",
                (queue, payload, expires_at),
            )
        self.wake()

    def claim(self, queues: list[str]) -> tuple[int, str, int, str] | None:
        """The oldest message of the first of these queues that has one."""
        with self._connected() as connection:
            rows = connection.execute(CLAIM, (self._owner, json.dumps(queues))).fetchall()
        return rows[0] if rows else None

    def delete(self, message_id: int) -> None:
        self._settle("DELETE FROM message WHERE id = ? AND owner = ?", message_id, self._owner)

    def give_back(self, message_id: int) -> None:
        """Ready again, in its old place."""
        self._settle(
            "UPDATE message SET owner = NULL, redelivered = 1 WHERE id = ? AND owner = ?",
            message_id,
            self._owner,
        )

    def purge(self, queue: str) -> int:
        with self._connected() as connection:
            return connection.execute(
                "DELETE FROM message WHERE queue = ? AND owner IS NULL", (queue,)
            ).rowcount

    def size(self, queue: str) -> int:
        with self._connected() as connection:
            sql = "SELECT count(*) FROM message WHERE queue = ? AND owner IS NULL"
            return int(connection.execute(sql, (queue,)).fetchone()[0])

    def bind(self, binding: Binding) -> None:
        self.bindings.add(binding)
        with self._connected() as connection:
            connection.execute("INSERT OR IGNORE INTO binding VALUES (?, ?, ?, ?)", binding)

    def forget(self, queue: str) -> None:
        self.bindings = {binding for binding in self.bindings if binding[3] != queue}
        with self._connected() as connection:
            connection.execute("DELETE FROM binding WHERE queue = ?", (queue,))
            connection.execute("DELETE FROM message WHERE queue = ?", (queue,))

    def table(self, exchange: str) -> list[tuple[str, str, str]]:
        with self._connected() as connection:
            sql = "SELECT routing_key, pattern, queue FROM binding WHERE exchange = ?"
            return connection.execute(sql, (exchange,)).fetchall()

    def version(self) -> tuple[int, int]:
        """Changes whenever a message may have become ready: by this process, or by any other."""
        with self._connected() as connection:
            return self.generation, int(connection.execute("PRAGMA data_version").fetchone()[0])

    def wake(self) -> None:
        with self._changed:
            self.generation += 1
            self._changed.notify_all()

    def wait(self, generation: int, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self.generation != generation, seconds)

    def check(self) -> None:
        with self._connected():
            pass

    def close(self) -> None:
        """Close the connection; whoever still needs it opens it again. The claims stay ours."""
        with self._mutex:
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.close()

    # The file, and what can happen to it

    def _settle(self, sql: str, *parameters: int) -> None:
        # Celery only logs an acknowledgement that fails, and the message would stay claimed as long as
        # the process lives. So it cannot fail: what the file does not take now is owed to it.
        self._owed.append((sql, parameters))
        try:
            self.check()
        except (sqlite3.Error, OSError) as exc:
            logger.warning("The broker's file takes no acknowledgement now (%s); it is tried again.", exc)
        self.wake()

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        if not self._mutex.acquire(timeout=BUSY_SECONDS):
            raise sqlite3.OperationalError("database is locked (by another thread)")
        try:
            # Somebody may have deleted or replaced the file: what we have open is then nobody's.
            if self._connection is None or _inode(self.path) != self._inode:
                self._connection = self._open()
            connection = self._connection
            if monotonic() >= self._tend_at:
                self._tend(connection)
            while self._owed:
                connection.execute(*self._owed[0])
                self._owed.popleft()
            yield connection
        except sqlite3.Error as exc:
            self._recover(exc)
            raise
        finally:
            self._mutex.release()

    def _open(self) -> sqlite3.Connection:
        self.close()
        Path(self.path).parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(
            self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            self._inode = _inode(self.path)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA journal_size_limit = 4194304")
            connection.executescript(SCHEMA.format(first_id=time_ns()))
            # A file made anew knows no bindings, and whoever declared them will not do so again.
            connection.executemany("INSERT OR IGNORE INTO binding VALUES (?, ?, ?, ?)", self.bindings)
        except BaseException:
            connection.close()
            raise
        self._tend_at = 0
        self.generation += 1
        return connection

    def _recover(self, error: sqlite3.Error) -> None:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in PASSING_ERRORS:
            return
        self.close()
        if code in UNREADABLE and _inode(self.path) == self._inode:
            # Kept aside, not deleted: BROKER_URL may name a file that never was a broker's.
            logger.error(
                "%s cannot be read (%s): set aside as .unreadable, a new one is made.", self.path, error
            )
            os.replace(self.path, f"{self.path}.unreadable")
            for suffix in "-wal", "-shm":
                Path(self.path + suffix).unlink(missing_ok=True)

    def _tend(self, connection: sqlite3.Connection) -> None:
        """Show that we live, drop what is past its time, give back what the dead had claimed."""
        self._tend_at = monotonic() + TEND_SECONDS
        lock_fd = self._sign_on()
        connection.execute("DELETE FROM message WHERE expires_at < ? AND owner IS NULL", (time(),))
        owners = connection.execute("SELECT DISTINCT owner FROM message WHERE owner IS NOT NULL").fetchall()
        for (owner,) in owners:
            if owner != self._owner and _lock(lock_fd, owner):
                try:
                    connection.execute(
                        "UPDATE message SET owner = NULL, redelivered = 1 WHERE owner = ?", (owner,)
                    )
                finally:
                    fcntl.lockf(lock_fd, fcntl.LOCK_UN, 1, owner)
                self.generation += 1

    def _sign_on(self) -> int:
        # Record locks, one byte for each owner: a child does not inherit them, the kernel drops them
        # with the process, and no pid is compared. They are lost as soon as the process closes *any*
        # descriptor of the file, so there is one, and it stays open.
        path = f"{self.path}-owners"
        if self._lock_fd is None or os.fstat(self._lock_fd).st_ino != _inode(path):
            if self._lock_fd is not None:
                os.close(self._lock_fd)
            self._lock_fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            _lock(self._lock_fd, self._owner)
        return self._lock_fd

    # A SQLite connection must not cross a fork, not even unused: the child would take over the
    # bookkeeping of locks that only its parent holds.

    def before_fork(self) -> None:
        self._mutex.acquire()
        self.close()

    def after_fork_in_parent(self) -> None:
        self._mutex.release()

    def after_fork_in_child(self) -> None:
        if self._lock_fd is not None:
            os.close(self._lock_fd)
        self._reset()


def _inode(path: str) -> int | None:
    try:
        return os.stat(path).st_ino
    except FileNotFoundError:
        return None


def _lock(fd: int, owner: int) -> bool:
    try:
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, owner)
    except (BlockingIOError, PermissionError):  # POSIX allows either
        return False
    return True


_files: dict[str, BrokerFile] = {}
_files_lock = threading.Lock()


def broker_file(path: str) -> BrokerFile:
    with _files_lock:
        return _files.setdefault(path, BrokerFile(path))


def close_all() -> None:
    for file in list(_files.values()):
        file.close()


def _before_fork() -> None:
    _files_lock.acquire()
    for file in _files.values():
        file.before_fork()


def _after_fork_in_parent() -> None:
    for file in _files.values():
        file.after_fork_in_parent()
    _files_lock.release()


def _after_fork_in_child() -> None:
    for file in _files.values():
        file.after_fork_in_child()
    _files_lock.release()


os.register_at_fork(
    before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child
)
atexit.register(close_all)
