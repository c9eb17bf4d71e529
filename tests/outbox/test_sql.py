"""What goes into a statement as a list comes out of the database as it was."""

import math
import uuid
from datetime import UTC, datetime

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from outbox import sql

texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
TRICKY = ['"', "\\", '\\"', ",", "{}", "NULL", "null", "", " ", "a\nb\tc\r", "'", "%s", "é€😀", "{a,b}"]


def through_the_database(types, rows):
    table, params = sql.values_table("v", types, rows)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(types)} FROM {table}", params)
        return cursor.fetchall()


@pytest.mark.django_db
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
@given(st.lists(texts | st.none()))
def test_any_text_comes_out_as_it_was(values):
    rows = [(number, value) for number, value in enumerate([*TRICKY, *values])]
    assert through_the_database({"number": "bigint", "value": "text"}, rows) == rows


@pytest.mark.django_db
def test_every_type_comes_out_as_it_was():
    some_id, now = uuid.uuid4(), datetime(2026, 11, 21, 9, 30, 15, 123456, UTC)
    types = {
        "id": "uuid",
        "number": "bigint",
        "yes": "boolean",
        "share": "double precision",
        "at": "timestamptz",
        "none": "integer",
    }
    found = through_the_database(types, [(some_id, -5, True, math.pi, now, None)])
    [(id_, number, yes, share, at, none)] = found
    assert (sql.as_uuid(id_), number, bool(yes), share, none) == (some_id, -5, True, math.pi, None)
    assert sql.as_datetime(at) == now


@pytest.mark.django_db
def test_a_list_finds_what_is_in_it_and_an_empty_one_nothing():
    ids = [uuid.uuid4() for _ in range(3)]
    table, params = sql.values_table("v", {"id": "uuid"}, [(id_,) for id_ in ids])

    def found(wanted):
        with connection.cursor() as cursor:
            statement = f"SELECT id FROM {table} WHERE {sql.any_of('v.id')}"
            cursor.execute(statement, [*params, sql.listed(wanted)])
            return {sql.as_uuid(row[0]) for row in cursor.fetchall()}

    assert found(ids[:2]) == set(ids[:2])
    assert found([]) == set()
