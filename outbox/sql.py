"""The few places where PostgreSQL and SQLite differ, so that every statement elsewhere stands once."""

import uuid
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any

import orjson
import psycopg
from django.db import connection
from django.utils import timezone
from psycopg.pq import Format

Param = Any
_TIME_LOADER: Any = psycopg.adapters.get_loader(psycopg.adapters.types["timestamptz"].oid, Format.TEXT)


def on_postgresql() -> bool:
    return connection.vendor == "postgresql"


def database_now() -> datetime:
    """The database's clock: on several hosts the only one that all of them agree on."""
    if not on_postgresql():
        return timezone.now()
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        now: datetime = cursor.fetchone()[0]
        return now


def clock() -> tuple[str, list[Param]]:
    """The database's clock inside a statement: (SQL, parameters)."""
    return ("clock_timestamp()", []) if on_postgresql() else ("%s", [plain(timezone.now())])


def lock_for_transaction(key: int) -> None:
    """Holds others with the same key back until the transaction ends; SQLite has one writer anyway."""
    if on_postgresql():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [key])


def without_bitmaps() -> None:
    """Reads of this transaction go through an index in its order, and remember the dead entries they met.

    A scan by bitmap remembers none: between two vacuums each look at the head of a lane went through all that
    had ever been ready in it, 100 ms after half a million.
    """
    if on_postgresql():
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('enable_bitmapscan', 'off', true)")


def allocate(table: str, count: int) -> list[int]:
    """Takes `count` new ids of a table, in rising order, before its rows are written."""
    if count == 0:
        return []
    with connection.cursor() as cursor:
        if on_postgresql():
            cursor.execute(
                "SELECT nextval(%s::regclass) FROM generate_series(1, %s)", [f"{table}_id_seq", count]
            )
            return [row[0] for row in cursor.fetchall()]
        cursor.execute(
            "UPDATE sqlite_sequence SET seq = seq + %s WHERE name = %s RETURNING seq", [count, table]
        )
        row = cursor.fetchone()
        if row is None:
            cursor.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (%s, %s)", [table, count])
            row = (count,)
        return list(range(row[0] - count + 1, row[0] + 1))


def insert(table: str, columns: Sequence[str], rows: Sequence[Sequence[Param]]) -> None:
    """Inserts rows in bulk: COPY on PostgreSQL (some 220,000 rows/s), executemany on SQLite."""
    if not rows:
        return
    names = ", ".join(f'"{column}"' for column in columns)
    with connection.cursor() as cursor:
        if on_postgresql():
            with cursor.copy(f"COPY {table} ({names}) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
        else:
            marks = ", ".join(["%s"] * len(columns))
            cursor.executemany(
                f"INSERT INTO {table} ({names}) VALUES ({marks})",
                [[plain(value) for value in row] for row in rows],
            )


def plain(value: Param) -> Param:
    """A value as this database stores it (SQLite: UUIDs as hex, times as text in UTC)."""
    if on_postgresql():
        return value
    if isinstance(value, uuid.UUID):
        return value.hex
    if isinstance(value, datetime):
        return connection.ops.adapt_datetimefield_value(value)
    return value


def any_of(column: str) -> str:
    """`column is one of`, for one parameter made by `listed`: one plan for any length."""
    if on_postgresql():
        return f"{column} = ANY(%s)"
    return f"{column} IN (SELECT value FROM json_each(%s))"


def listed(values: Iterable[Param]) -> Param:
    """The parameter for `any_of`."""
    if on_postgresql():
        return _array(values)
    return _json([plain(value) for value in values])


def values_table(
    name: str, types: dict[str, str], rows: Sequence[Sequence[Param]]
) -> tuple[str, list[Param]]:
    """Rows as a table for `UPDATE … FROM` and `INSERT … SELECT`: (SQL, parameters).

    `types` maps column names to PostgreSQL types. An update joins it by key and says `any_of` for the same
    keys besides: without, a table whose statistics are stale has been read whole for each of the rows.
    """
    if on_postgresql():
        arrays = ", ".join(f"%s::{kind}[]" for kind in types.values())
        columns = list(zip(*rows, strict=True)) if rows else [() for _ in types]
        return f"unnest({arrays}) AS {name}({', '.join(types)})", [_array(column) for column in columns]
    picks = ", ".join(f"json_extract(value, '$[{i}]') AS {column}" for i, column in enumerate(types))
    return f"(SELECT {picks} FROM json_each(%s)) AS {name}", [
        _json([[plain(v) for v in row] for row in rows])
    ]


def locked(table: str = "") -> str:
    """Locks rows (of that table of a join) against other writers, not against rows that refer to them."""
    if not on_postgresql():
        return ""
    return f"FOR NO KEY UPDATE OF {table}" if table else "FOR NO KEY UPDATE"


def load_times_fast(cursor: Any) -> None:
    """Makes this cursor read times with the driver's own loader, which gives them in the connection's zone:
    UTC. Django's is in Python, and takes ten times as long."""
    if on_postgresql():
        cursor.adapters.register_loader("timestamptz", _TIME_LOADER)


def as_uuid(value: Param) -> uuid.UUID:
    return value if isinstance(value, uuid.UUID) else uuid.UUID(value)


def as_datetime(value: Param) -> datetime | None:
    """A time as a raw cursor returns it; SQLite keeps UTC and says nothing of it."""
    if value is None:
        return None
    time = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


_ELEMENTS: dict[type, Callable[[Any], str]] = {
    type(None): lambda _: "NULL",
    bool: lambda value: "t" if value else "f",
    int: str,
    float: repr,
    uuid.UUID: attrgetter("hex"),
    datetime: datetime.isoformat,
}


def _array(values: Iterable[Param]) -> str:
    """PostgreSQL's text form of an array. The driver's own takes ten times as long for each element, and
    its arrays were a fifth of a row's processor time."""
    return "{" + ",".join([_ELEMENTS.get(type(value), _quoted)(value) for value in values]) + "}"


def _json(value: list[Param]) -> str:
    return orjson.dumps(value).decode()
