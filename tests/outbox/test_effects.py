import threading
import time
from itertools import pairwise
from typing import Any

import psycopg
import pytest
from django.db import DataError, OperationalError, connection

from outbox import effects, lanes, leases, process, registry, relay, settling, sql, starts
from outbox.effects import EffectBatch
from outbox.errors import LeaseLost
from outbox.models import Error, Handling, Kind, Lease
from tests.outbox.conftest import Noted, due_now, publish_notes, states

pytestmark = pytest.mark.django_db(transaction=True)


class Acts(EffectBatch[Noted, str]):
    """Acts whose ways a test sets on a subclass."""

    slow = 0.0
    acted: list[str]
    recorded: list[list[str]]

    def load(self, events):
        pass

    def is_wanted(self, event):
        return event.text != "unwanted"

    def act(self, event):
        self.acted.append(event.text)
        if self.slow:
            time.sleep(self.slow)
        if event.text == "bad":
            raise ValueError("no")
        return event.text

    def record(self, acts):
        for event, result in acts:
            Error.objects.create(handler="did", exception=result, place=str(event.id))
        self.recorded.append([result for _, result in acts])


@pytest.fixture
def add_acts(add_handler):
    def add(base: type = Acts, *, batch: int = 200, slots: int = 8, **ways: Any) -> Any:
        kind = type("Tested", (base,), {"acted": [], "recorded": [], **ways})
        add_handler("t.acts", kind=Kind.EFFECT, batch=batch, slots=slots, in_lane=True)(kind)
        return kind

    return add


def made() -> list[str]:
    return sorted(Error.objects.filter(handler="did").values_list("exception", flat=True))


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


def left_uncounted(*, some: bool) -> int:
    waiting = Handling.objects.filter(state="waiting")
    assert set(waiting.values_list("tries", "deaths")) <= {(0, 0)}
    assert bool(waiting) is some
    assert not Lease.objects.exists()
    return waiting.count()


@pytest.mark.parametrize("why", ["budget", "stop", "pause", "halt", "drain"])
def test_what_is_not_started_is_given_back_uncounted(broker, add_acts, monkeypatch, why):
    # Given
    publish = [str(i) for i in range(60)]
    kind = add_acts(slots=1, slow=0.01)
    own = lanes.ensure("t.acts", "")
    act = kind.act

    def act_and_end(self, event):
        result = act(self, event)
        if len(self.acted) == 5:
            if why == "stop":
                process.stopping.set()
            elif why == "halt":
                self.halted = True
        return result

    monkeypatch.setattr(kind, "act", act_and_end)
    if why == "budget":
        monkeypatch.setattr(starts, "START_BUDGET", 0.05)
    if why in ("pause", "drain"):
        monkeypatch.setattr(effects, "FLUSH_AFTER", 0.05)
        load = kind.load

        def load_and_close(self, events):
            load(self, events)
            lanes.pause([own], why="tea") if why == "pause" else lanes.drain(own)

        monkeypatch.setattr(kind, "load", load_and_close)
    publish_notes(*publish)
    relay.run_pass()

    # When
    try:
        broker.deliver()
    finally:
        process.stopping.clear()

    # Then
    left = left_uncounted(some=True)
    assert left + len(made()) == 60
    assert sorted(kind.acted) == made()
    if why in ("stop", "halt"):
        assert left == 55


def test_no_act_starts_long_after_a_pause_while_settling_stands_still(broker, add_acts, monkeypatch):
    # Given a batch whose lane is paused while its outcomes wait for the database
    monkeypatch.setattr(effects, "FLUSH_AFTER", 0.05)
    own = lanes.ensure("t.acts", "")
    times: list[float] = []
    paused: list[float] = []

    def act(self, event):
        times.append(time.monotonic())
        time.sleep(0.01)
        return event.text

    def record(self, acts):
        if not paused:
            lanes.pause([own], why="tea")
            paused.append(time.monotonic())
            time.sleep(2)

    add_acts(slots=2, batch=400, act=act, record=record)
    publish_notes(*[str(i) for i in range(400)])
    relay.run_pass()
    # When
    broker.deliver()
    # Then acts went on for a moment, and no longer
    assert paused[0] < times[-1] < paused[0] + 1.0
    left_uncounted(some=True)


def test_acts_go_on_when_settling_does(broker, add_acts, monkeypatch):
    monkeypatch.setattr(starts, "OPEN_FOR", 0.05)
    monkeypatch.setattr(effects, "FLUSH_AFTER", 0.01)
    times: list[float] = []

    def act(self, event):
        times.append(time.monotonic())
        time.sleep(0.01)
        return event.text

    add_acts(slots=1, act=act, record=lambda self, acts: time.sleep(0.3))
    publish_notes(*[str(i) for i in range(20)])
    broker.settle()
    assert states() == {"done": 20}
    assert max(later - earlier for earlier, later in pairwise(times)) > 0.2


def test_no_act_starts_that_the_lease_might_not_outlast(broker, add_acts, monkeypatch):
    # Given a claim that has less time left than an act may take, and two seconds
    kind = add_acts()
    claim = leases.claim

    def claim_late(*args: Any) -> Any:
        claimed = claim(*args)
        assert claimed is not None
        claimed.until = time.monotonic() + claimed.act_limit + leases.MARGIN - 0.1
        return claimed

    monkeypatch.setattr(leases, "claim", claim_late)
    publish_notes("a")
    relay.run_pass()

    # When
    broker.deliver()

    # Then
    assert kind.acted == []
    assert left_uncounted(some=True) == 1


def test_a_lease_outlasts_the_longest_act_that_it_may_start(broker, add_acts):
    add_acts()
    lanes.limit(lanes.ensure("t.acts", ""), max_slots=None, interval=None, act_limit=100.0)
    publish_notes("a")
    relay.run_pass()
    name, lease_id, token = broker.messages[0]
    claimed = leases.claim(registry.get(name), lease_id, token)
    assert claimed is not None
    assert claimed.time_left() > 100.0 + starts.START_BUDGET + leases.MARGIN
    assert claimed.hard_until >= claimed.until


def test_slow_acts_are_given_more_threads_up_to_the_slots(broker, add_acts):
    # Given
    running, peak, lock = [0], [0], threading.Lock()

    def act(self, event):
        with lock:
            running[0] += 1
            peak[0] = max(peak[0], running[0])
        time.sleep(0.05)
        with lock:
            running[0] -= 1
        return event.text

    add_acts(slots=12, act=act)
    publish_notes(*[str(i) for i in range(100)])

    # When
    began = time.monotonic()
    broker.settle()

    # Then
    assert states() == {"done": 100}
    assert 8 <= peak[0] <= 12
    assert time.monotonic() - began < 100 * 0.05 / 3


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


def test_paced_acts_start_at_their_times(broker, add_acts):
    # Given
    times: list[float] = []

    def act(self, event):
        times.append(time.monotonic())
        return event.text

    add_acts(slots=4, act=act)
    lanes.limit(lanes.ensure("t.acts", ""), max_slots=None, interval=0.05, act_limit=10.0)
    publish_notes(*[str(i) for i in range(10)])

    # When
    relay.run_pass()
    broker.deliver_all()

    # Then
    gaps = [b - a for a, b in pairwise(times)]
    assert times[-1] - times[0] >= (len(times) - 1) * 0.05 - starts.SLOT_TOLERANCE
    assert min(gaps) > 0.05 - starts.SLOT_TOLERANCE - 0.005
