"""Text without its case, for any letters: "STRASSE" is found in "Straße", "ñ" in "Ñ".

Each database has a way of its own. SQLite's LIKE knows of no case beyond ASCII, and gets Python's casefold;
PostgreSQL's by the locale of the database, which may know no letters beyond ASCII either, and takes ß for a
letter that has no capital: ICU, with which PostgreSQL is built nearly everywhere, knows them all.
"""

from functools import cache
from typing import Any

from django.db import connection
from django.db.models import Func, TextField, Value
from django.db.models.functions import StrIndex
from django.db.models.lookups import GreaterThan


class Folded(Func):
    """A text as it is compared where case does not count."""

    output_field = TextField()

    def as_sqlite(self, compiler: Any, connection: Any, **more: Any) -> Any:
        return self.as_sql(compiler, connection, function="rowpost_casefold", **more)

    def as_postgresql(self, compiler: Any, connection: Any, **more: Any) -> Any:
        collated = ' COLLATE "und-x-icu"' if _has_icu() else ""
        return self.as_sql(compiler, connection, template=f"UPPER((%(expressions)s)::text{collated})", **more)


def contains(field: str, text: str) -> GreaterThan:
    """Whether the text stands anywhere in that field, whatever the case of either."""
    return GreaterThan(StrIndex(Folded(field), Folded(Value(text))), 0)


@cache
def _has_icu() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT 1 FROM pg_collation WHERE collname = 'und-x-icu')")
        return bool(cursor.fetchone()[0])


def teach_sqlite(*, connection: Any, **_: Any) -> None:
    """Gives a new connection the function that SQLite lacks."""
    if connection.vendor == "sqlite":
        fold = connection.connection.create_function
        fold("rowpost_casefold", 1, lambda text: text and str(text).casefold(), deterministic=True)
