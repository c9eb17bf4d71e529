"""What becomes of the acts of a batch: each is recorded once, and never done again for its record."""

import time

import psycopg
import pytest
from django.db import DataError, OperationalError, connection

from outbox import effects, leases, relay, settling, sql
from outbox.errors import LeaseLost
from outbox.models import Handling, Lease
from tests.outbox.conftest import Acts, due_now, made, publish_notes, states

pytestmark = pytest.mark.django_db(transaction=True)


def test_every_act_is_done_once_and_recorded_with_its_completion(broker, add_acts):
    kind = add_acts()
    publish_notes(*[str(i) for i in range(120)], "unwanted")
    broker.settle()
    assert states() == {"done": 121}
    assert sorted(kind.acted) == made() == sorted(str(i) for i in range(120))


def test_outcomes_are_settled_fifty_at_a_time(broker, add_acts):
    kind = add_acts(slots=1)
    publish_notes(*[str(i) for i in range(120)])
    broker.settle()
    assert [len(flush) for flush in kind.recorded] == [50, 50, 20]


def test_outcomes_of_slow_acts_are_settled_within_half_a_second(broker, add_acts, monkeypatch):
    monkeypatch.setattr(effects, "FLUSH_AFTER", 0.05)
    kind = add_acts(slots=1, slow=0.02)
    publish_notes(*[str(i) for i in range(20)])
    broker.settle()
    assert len(kind.recorded) >= 4


def test_an_act_that_fails_is_counted_and_its_neighbours_complete(broker, add_acts):
    add_acts()
    publish_notes("a", "bad", "c")
    broker.settle()
    assert states() == {"done": 2, "waiting": 1}
    failed = Handling.objects.get(state="waiting")
    assert (failed.tries, failed.message) == (1, "ValueError: no")
    assert not Lease.objects.exists()


def test_even_an_act_that_ends_its_thread_is_settled(broker, add_acts):
    def leave(self, event):
        raise SystemExit

    add_acts(act=leave)
    publish_notes("a")
    broker.settle()
    assert list(Handling.objects.values_list("state", "tries")) == [("waiting", 1)]


def test_data_that_the_database_refuses_is_settled_reduced_and_not_acted_again(broker, add_acts):
    # Given one result that cannot be stored, in a flush with others
    class Picky(Acts):
        def record(self, acts):
            for _, result in acts:
                if result == "refused":
                    raise DataError("unsupported Unicode escape sequence")
            super().record(acts)

        def reduced(self, result):
            return "reduced"

    kind = add_acts(Picky)
    publish_notes("a", "refused", "c")

    # When
    broker.settle()

    # Then
    assert states() == {"done": 3}
    assert made() == ["a", "c", "reduced"]
    assert sorted(kind.acted) == ["a", "c", "refused"]


def test_what_cannot_be_stored_even_reduced_is_counted_as_a_failure(broker, add_acts):
    class Impossible(Acts):
        def record(self, acts):
            if any(result == "refused" for _, result in acts):
                raise DataError("no")
            super().record(acts)

    add_acts(Impossible)
    publish_notes("a", "refused")
    broker.settle()
    assert made() == ["a"]
    assert states() == {"done": 1, "waiting": 1}
    assert Handling.objects.get(state="waiting").tries == 1


@pytest.mark.parametrize("trouble", ["conflict", "away"])
def test_an_outcome_waits_for_the_database_and_is_not_acted_again(broker, add_acts, monkeypatch, trouble):
    # Given a database that refuses the first flushes
    monkeypatch.setattr(effects, "AWAY_PAUSE", 0.01)
    monkeypatch.setattr("outbox.effects.connection.close", lambda: None)
    failures = [0]

    class Away(Acts):
        def record(self, acts):
            failures[0] += 1
            if failures[0] <= 3:
                error = OperationalError("terminating connection")
                if trouble == "conflict":
                    error.__cause__ = psycopg.errors.DeadlockDetected()
                raise error
            super().record(acts)

    kind = add_acts(Away)
    publish_notes("a", "b")

    # When
    relay.run_pass()
    broker.deliver()

    # Then
    assert sorted(kind.acted) == made() == ["a", "b"]
    assert states() == {"done": 2}


def test_acts_under_way_when_the_database_breaks_off_are_not_repeated(broker, add_acts, monkeypatch):
    if not sql.on_postgresql():
        pytest.skip("SQLite has no connection that could be lost")
    monkeypatch.setattr(effects, "FLUSH_AFTER", 0.05)
    monkeypatch.setattr(effects, "AWAY_PAUSE", 0.01)

    # Given acts that take longer than the looks at their lane are apart
    class Broken(Acts):
        slow = 0.5

        def load(self, events):
            self.server_process = connection.connection.info.backend_pid

        def act(self, event):
            # When the database ends the batch's connection meanwhile
            if event.text == "a":
                with connection.cursor() as cursor:
                    cursor.execute("SELECT pg_terminate_backend(%s)", [self.server_process])
                connection.close()
            return super().act(event)

    kind = add_acts(Broken)
    publish_notes("a", "b")
    relay.run_pass()
    broker.deliver()

    # Then what was done is recorded all the same
    assert sorted(kind.acted) == made() == ["a", "b"]
    assert states() == {"done": 2}


def test_outcomes_are_given_up_with_the_lease_when_the_database_stays_away(broker, add_acts, monkeypatch):
    monkeypatch.setattr(effects, "AWAY_PAUSE", 0.01)
    monkeypatch.setattr("outbox.effects.connection.close", lambda: None)
    monkeypatch.setattr(leases.Claim, "time_left", lambda self: 0.0 if failing else 100.0)
    failing: list[int] = []

    class Away(Acts):
        def record(self, acts):
            if not failing:
                failing.append(1)
                raise OperationalError("away")
            super().record(acts)

    kind = add_acts(Away)
    publish_notes("a")
    relay.run_pass()
    broker.deliver()
    assert list(Handling.objects.values_list("state", "tries")) == [("waiting", 0)]
    failing.clear()
    Away.record = Acts.record  # type: ignore[method-assign]
    due_now()
    broker.settle()
    assert kind.acted == ["a", "a"]  # at least once: its outcome was lost with the lease
    assert states() == {"done": 1}


def test_a_flush_that_has_lost_the_lease_ends_the_batch(broker, add_acts, monkeypatch):
    # Given
    kind = add_acts(slots=1)
    complete = settling.complete
    flushes = [0]

    def complete_or_lose(claim, ids):
        flushes[0] += 1
        if flushes[0] == 2:
            Lease.objects.update(token="00000000-0000-0000-0000-000000000001")
            raise LeaseLost("gone")
        complete(claim, ids)

    monkeypatch.setattr(settling, "complete", complete_or_lose)
    publish_notes(*[str(i) for i in range(150)])
    relay.run_pass()

    # When
    broker.deliver()

    # Then what the first flush settled stays, and nothing else is
    assert len(made()) == 50
    assert states() == {"done": 50, "leased": 100}
    acted = len(kind.acted)
    time.sleep(0.05)
    assert len(kind.acted) <= acted + 1
