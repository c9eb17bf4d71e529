"""A database and a broker of its own for each stack, on whatever DATABASE_URL and BROKER_URL name."""

import atexit
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import uuid
from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import kombu
import psycopg
import redis

ROOT = Path(__file__).resolve().parent.parent.parent
REDIS_DATABASES = range(1, 16)
BROKER_IS_A_SERVER = os.environ.get("BROKER_URL", "").startswith(("redis", "amqp"))


def _migrate(**env: str) -> None:
    command = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
    subprocess.run(command, cwd=ROOT, env=os.environ | env, check=True, timeout=300)


class Database(ABC):
    url: str

    @abstractmethod
    def run(self, statement: str, params: Sequence[Any]) -> list[tuple[Any, ...]]: ...

    @abstractmethod
    def is_locked(self) -> bool:
        """Whether some transaction is open that would hold others up if its process stood still."""

    @abstractmethod
    def close(self) -> None:
        """Leaves nothing of it behind that would outlive the stack's folder."""


class SqliteDatabase(Database):
    """A file in the stack's folder, copied from one that was migrated once."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "rowpost.sqlite3"
        shutil.copy(_migrated_file(), self.path)
        self.url = f"sqlite:///{self.path}"

    def run(self, statement: str, params: Sequence[Any]) -> list[tuple[Any, ...]]:
        connection = sqlite3.connect(self.path, timeout=20, isolation_level=None)
        try:
            return connection.execute(statement.replace("%s", "?"), [_plain(p) for p in params]).fetchall()
        finally:
            connection.close()

    def is_locked(self) -> bool:
        return _is_locked(self.path)

    def close(self) -> None:
        pass


def _is_locked(path: Path) -> bool:
    connection = sqlite3.connect(path, timeout=0.2, isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")
    except sqlite3.OperationalError:
        return True
    finally:
        connection.close()
    return False


def _plain(param: Any) -> Any:
    """As Django stores it in SQLite."""
    if isinstance(param, uuid.UUID):
        return param.hex
    if isinstance(param, datetime):
        return str(param.astimezone(UTC).replace(tzinfo=None))
    return param


@cache
def _migrated_file() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="rowpost-migrated-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = folder / "rowpost.sqlite3"
    _migrate(DATABASE_URL=f"sqlite:///{path}", VAR_DIR=str(folder))
    return path


class PostgresDatabase(Database):
    """A database on the server, copied from one that was migrated once."""

    def __init__(self) -> None:
        self._name = f"rowpost_{uuid.uuid4().hex[:16]}"
        _on_server(f"CREATE DATABASE {self._name} TEMPLATE {_migrated_name()}")
        self.url = _with_path(os.environ["DATABASE_URL"], self._name)
        self._connection = psycopg.connect(_for_psycopg(self.url), autocommit=True)

    def connect(self) -> "psycopg.Connection[tuple[Any, ...]]":
        """Another connection, with a transaction that ends with its block."""
        return psycopg.connect(_for_psycopg(self.url))

    def run(self, statement: str, params: Sequence[Any]) -> list[tuple[Any, ...]]:
        cursor = self._connection.execute(statement, params)
        rows: list[tuple[Any, ...]] = cursor.fetchall() if cursor.description else []
        return rows

    def is_locked(self) -> bool:
        statement = "SELECT 1 FROM pg_stat_activity WHERE datname = %s AND state LIKE 'idle in%%' LIMIT 1"
        return bool(self.run(statement, [self._name]))

    def close(self) -> None:
        self._connection.close()
        _on_server(f"DROP DATABASE IF EXISTS {self._name} WITH (FORCE)")


@cache
def _migrated_name() -> str:
    name = f"rowpost_migrated_{uuid.uuid4().hex[:16]}"
    _on_server(f"CREATE DATABASE {name}")
    atexit.register(_on_server, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    _migrate(DATABASE_URL=_with_path(os.environ["DATABASE_URL"], name))
    return name


def _on_server(statement: str) -> None:
    with psycopg.connect(_for_psycopg(os.environ["DATABASE_URL"]), autocommit=True) as connection:
        connection.execute(statement)


def _for_psycopg(url: str) -> str:
    return url.replace("postgres://", "postgresql://", 1)


def _with_path(url: str, path: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{path}"))


class Broker(ABC):
    url: str

    @abstractmethod
    def flush(self, queues: Sequence[str]) -> None:
        """Every message is lost."""

    def is_locked(self) -> bool:
        """As the database's; a broker with a server of its own never is."""
        return False

    @abstractmethod
    def close(self) -> None:
        """Leaves nothing of it behind that would outlive the stack's folder."""


class EmbeddedBroker(Broker):
    def __init__(self, folder: Path) -> None:
        self.path = folder / "broker.sqlite3"
        self.url = f"embedded://{self.path}"

    def is_locked(self) -> bool:
        return self.path.exists() and _is_locked(self.path)

    def flush(self, queues: Sequence[str]) -> None:
        """The file is gone, with all that is in it."""
        for suffix in ("", "-wal", "-shm"):
            Path(f"{self.path}{suffix}").unlink(missing_ok=True)

    def close(self) -> None:
        pass


class RedisBroker(Broker):
    """One of the server's numbered databases, taken by a key in number 0."""

    def __init__(self) -> None:
        server = urlsplit(os.environ["BROKER_URL"])
        self._directory = redis.Redis.from_url(urlunsplit(server._replace(path="/0")))
        self._mark = uuid.uuid4().hex
        for number in REDIS_DATABASES:
            self._lock = f"rowpost:tests:database:{number}"
            if self._directory.set(self._lock, self._mark, nx=True, ex=3600):
                break
        else:
            raise AssertionError("All of Redis's databases are taken by other stacks.")
        self.url = urlunsplit(server._replace(path=f"/{number}"))
        self._database = redis.Redis.from_url(self.url)
        self._database.flushdb()

    def flush(self, queues: Sequence[str]) -> None:
        self._database.flushdb()

    def close(self) -> None:
        self._database.flushdb()
        self._database.close()
        self._directory.delete(self._lock)
        self._directory.close()


class RabbitBroker(Broker):
    """A virtual host, made and deleted with `rabbitmqctl`."""

    def __init__(self) -> None:
        server = urlsplit(os.environ["BROKER_URL"])
        self._host = f"rowpost-{uuid.uuid4().hex[:12]}"
        _rabbitmqctl("add_vhost", self._host)
        _rabbitmqctl("set_permissions", "-p", self._host, server.username or "guest", ".*", ".*", ".*")
        self.url = urlunsplit(server._replace(path=f"/{self._host}"))

    def flush(self, queues: Sequence[str]) -> None:
        with kombu.Connection(self.url) as connection:
            for name in queues:
                kombu.Queue(name, channel=connection.default_channel).purge()

    def close(self) -> None:
        _rabbitmqctl("delete_vhost", self._host)


def _rabbitmqctl(*arguments: str) -> None:
    done = subprocess.run(["rabbitmqctl", "-q", *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"rabbitmqctl {arguments[0]}: {done.stderr or done.stdout}"


def new_database(folder: Path) -> Database:
    if os.environ.get("DATABASE_URL", "").startswith(("postgres://", "postgresql://")):
        return PostgresDatabase()
    return SqliteDatabase(folder)


def new_broker(folder: Path) -> Broker:
    url = os.environ.get("BROKER_URL", "")
    if url.startswith("redis"):
        return RedisBroker()
    if url.startswith("amqp"):
        return RabbitBroker()
    return EmbeddedBroker(folder)
