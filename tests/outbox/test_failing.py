"""What fails: its neighbours complete, it is tried again or parked; what is not its fault counts nothing."""

import errno
from typing import Any

import psycopg
import pytest
from django.db import IntegrityError, InterfaceError, OperationalError, connection

from outbox import relay, sql
from outbox.errors import Permanent
from outbox.models import Handling, Kind, Lease, OutboxEvent
from outbox.retries import exponential
from tests.outbox.conftest import Noted, did, due_now, made, publish_notes, states

pytestmark = pytest.mark.django_db(transaction=True)

BAD = {"7", "80", "81", "199"}


@pytest.mark.parametrize("form", ["single", "list", "projection"])
def test_bad_ones_of_200_are_pushed_aside_and_their_neighbours_complete(broker, add_handler, form):
    # Given
    def single(event):
        did(event)
        if event.text in BAD:
            raise ValueError(event.text)

    def several(events):
        for event in events:
            single(event)

    kind = Kind.PROJECTION if form == "projection" else Kind.TRANSACTIONAL
    add_handler("t.many", kind=kind, batch=200 if form == "list" else None)(
        several if form == "list" else single
    )
    publish_notes(*[str(i) for i in range(200)])

    # When
    relay.run_pass()
    broker.deliver_all()
    while relay.run_pass():
        broker.deliver_all()

    # Then
    assert states() == {"done": 196, "waiting": 4}
    assert made() == sorted(str(i) for i in range(200) if str(i) not in BAD)
    bad = Handling.objects.filter(state="waiting").values_list("tries", "message")
    assert sorted(bad) == sorted((1, f"ValueError: {text}") for text in BAD)
    assert not Lease.objects.exists()


@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite checks at once")
def test_a_constraint_that_speaks_at_commit_is_found_by_halving_too(broker, add_handler):
    # Given a deferred foreign key
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE t_parent (id int PRIMARY KEY)")
        cursor.execute("CREATE TABLE t_child (id int REFERENCES t_parent DEFERRABLE INITIALLY DEFERRED)")
        cursor.execute("INSERT INTO t_parent SELECT * FROM generate_series(0, 99)")
    try:

        @add_handler("t.deferred", batch=50)
        def deferred(events):
            with connection.cursor() as cursor:
                for event in events:
                    cursor.execute("INSERT INTO t_child VALUES (%s)", [int(event.text)])

        publish_notes("1", "2", "500", "3", "4")

        # When
        relay.run_pass()
        broker.deliver()

        # Then
        assert states() == {"done": 4, "waiting": 1}
        assert "t_child" in Handling.objects.get(state="waiting").message
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE t_child, t_parent")


def test_a_failure_waits_longer_each_time_and_is_parked_in_the_end(broker, add_handler):
    # Given
    @add_handler("t.fails", retry=exponential(limit=3, first=10.0, factor=10.0))
    def fails(event):
        raise ValueError("not today")

    publish_notes("a")

    # When
    waits = []
    for _ in range(3):
        due_now()
        while relay.run_pass():
            broker.deliver_all()
        handling = Handling.objects.order_by("id")[0]
        if handling.state == "waiting":
            assert handling.due_at is not None
            waits.append((handling.due_at - sql.database_now()).total_seconds())

    # Then
    assert 7 < waits[0] < 13
    assert 70 < waits[1] < 130
    handling = Handling.objects.select_related("error").order_by("id")[0]
    assert (handling.state, handling.tries, handling.message) == ("parked", 3, "ValueError: not today")
    assert handling.error is not None
    assert handling.error.exception == "ValueError"


def test_a_permanent_error_parks_at_once_and_tells_of_it(broker, add_handler):
    @add_handler("t.fails")
    def fails(event):
        raise Permanent("it cannot be")

    (event_id,) = publish_notes("a")
    broker.settle()
    handling = Handling.objects.get()
    assert (handling.state, handling.tries) == ("parked", 1)
    told = OutboxEvent.objects.get(type="HandlingParked")
    assert told.causation_id == event_id
    assert told.payload["handling_id"] == handling.id
    assert told.payload["message"] == "Permanent: it cannot be"


def test_who_would_tell_of_parked_work_does_not_tell_of_its_own(broker, add_handler):
    @add_handler("t.fails", tells_when_parked=False)
    def fails(event):
        raise Permanent("no")

    publish_notes("a")
    broker.settle()
    assert states() == {"parked": 1}
    assert not OutboxEvent.objects.filter(type="HandlingParked").exists()


@pytest.mark.parametrize(
    "text",
    ["a\x00b", "\ud800", "x" * 100_000, "\\u0000"],
    ids=["a NUL", "a lone surrogate", "very long", "a NUL written out"],
)
def test_an_error_with_any_text_is_settled(broker, add_handler, caplog, text):
    caplog.set_level("CRITICAL", logger="outbox")  # a report with such texts in it cannot be sent on

    @add_handler("t.fails")
    def fails(event):
        raise Permanent(text)

    publish_notes("a")
    broker.settle()
    assert states() == {"parked": 1}
    assert len(Handling.objects.get().message) <= 2000


@pytest.mark.parametrize("form", ["single", "list", "effect"])
@pytest.mark.parametrize(
    "error",
    [
        OperationalError("server closed the connection"),
        InterfaceError("gone"),
        MemoryError(),
        OSError(errno.ENOSPC, "full"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_is_wrong_with_the_ground_counts_nothing_and_gives_the_batch_back(
    broker, add_handler, form, error
):
    # Given
    calls = []

    def fails(events):
        calls.append(events)
        if len(calls) == 1:
            raise error

    forms: dict[str, dict[str, Any]]
    forms = {"single": {}, "list": {"batch": 5}, "effect": {"kind": Kind.EFFECT}}
    options = forms[form]
    add_handler("t.fails", **options)(fails)
    publish_notes("a")

    # When
    relay.run_pass()
    broker.deliver()

    # Then
    handling = Handling.objects.get()
    assert (handling.state, handling.tries, handling.deaths) == ("waiting", 0, 0)
    assert not Lease.objects.exists()
    assert relay.run_pass() == 0  # after a short delay only
    due_now()
    broker.settle()
    assert states() == {"done": 1}


def test_another_errno_and_a_limit_of_the_program_are_the_events_fault(broker, add_handler):
    # Given
    too_large = OperationalError("index row size 3000 exceeds maximum")
    too_large.__cause__ = psycopg.errors.ProgramLimitExceeded()
    errors: dict[str, Exception] = {"file": FileNotFoundError(errno.ENOENT, "none"), "large": too_large}

    @add_handler("t.fails")
    def fails(event):
        if event.text in errors:
            raise errors[event.text]
        did(event)

    # When
    publish_notes("file", "large", "fine")
    relay.run_pass()
    broker.deliver()

    # Then
    assert made() == ["fine"]
    assert sorted(Handling.objects.values_list("state", "tries")) == [
        ("done", 0),
        ("waiting", 1),
        ("waiting", 1),
    ]


@pytest.mark.parametrize("form", ["single", "effect"])
@pytest.mark.parametrize("failures", [3, 4])
def test_a_deadlock_runs_the_transaction_again_at_once_three_times(broker, add_handler, form, failures):
    # Given
    calls: list[str] = []
    acts: list[str] = []

    def write(event):
        calls.append(event.text)
        did(event)
        if len(calls) <= failures:
            error = OperationalError("deadlock detected")
            error.__cause__ = psycopg.errors.DeadlockDetected()
            raise error

    def act(event):
        acts.append(event.text)
        return lambda: write(event)

    add_handler("t.locks", **({"kind": Kind.EFFECT} if form == "effect" else {}))(
        act if form == "effect" else write
    )
    publish_notes("a")

    # When
    relay.run_pass()
    broker.deliver()

    # Then
    assert len(calls) == min(failures + 1, 4)
    assert acts == (["a"] if form == "effect" else [])
    assert states() == ({"done": 1} if failures == 3 else {"waiting": 1})
    assert Handling.objects.get().tries == 0
    assert made() == (["a"] if failures == 3 else [])


def test_an_event_that_cannot_be_restored_is_a_failure_of_its_own(broker, add_handler, monkeypatch):
    # Given
    got: list[str] = []
    add_handler("t.list", batch=5)(lambda events: got.extend(event.text for event in events))
    publish_notes("a", "broken", "c")
    restore = Noted.restore.__func__  # type: ignore[attr-defined]

    def restore_or_fail(cls: Any, /, payload: Any, **envelope: Any) -> Any:
        if payload["text"] == "broken":
            raise TypeError("missing field")
        return restore(cls, payload, **envelope)

    monkeypatch.setattr(Noted, "restore", classmethod(restore_or_fail))

    # When
    relay.run_pass()
    broker.deliver()

    # Then
    assert got == ["a", "c"]
    assert states() == {"done": 2, "waiting": 1}
    assert Handling.objects.get(state="waiting").message == "TypeError: missing field"
    assert not Lease.objects.exists()


def test_a_database_that_is_away_at_the_claim_costs_nothing(broker, add_handler, monkeypatch):
    add_handler("t.one")(lambda event: None)
    publish_notes("a")
    relay.run_pass()
    with monkeypatch.context() as patch:
        patch.setattr("outbox.leases._fill", lambda *args: (_ for _ in ()).throw(OperationalError("away")))
        broker.deliver()
    assert Lease.objects.get().state == "handed_over"
    assert states() == {"leased": 1}


def test_an_integrity_error_is_the_events_fault(broker, add_handler):
    @add_handler("t.one")
    def one(event):
        raise IntegrityError("duplicate key")

    publish_notes("a")
    broker.settle()
    assert list(Handling.objects.values_list("state", "tries")) == [("waiting", 1)]
