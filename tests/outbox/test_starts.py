"""When an act of a batch starts, and when it does not."""

import threading
import time
from itertools import pairwise
from typing import Any

import pytest

from outbox import effects, lanes, leases, process, registry, relay, starts
from outbox.models import Handling, Lease
from tests.outbox.conftest import made, publish_notes, states

pytestmark = pytest.mark.django_db(transaction=True)


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
