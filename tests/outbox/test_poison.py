"""Work that kills its worker: the one that does is parked, and nothing beside it."""

import pytest

from outbox import leases, registry, relay, running
from outbox.effects import EffectBatch
from outbox.models import Handling, Kind, Lease
from tests.outbox.conftest import Killed, crew, expire, publish_notes, states

pytestmark = pytest.mark.django_db(transaction=True)


def live_and_die(broker, kills_its_worker, *, together: int, most: int = 12) -> int:
    """Until nothing is left; returns how many processes died.

    A process runs `together` leases at once: if one of them kills it, all die, claimed and unsettled.
    """
    kills = 0
    while not (set(states()) and set(states()) <= {"done", "parked"}):
        relay.run_pass()
        batch, broker.messages[:] = broker.messages[:together], broker.messages[together:]
        claims = [leases.claim(registry.get(name), lease_id, token) for name, lease_id, token in batch]
        live = [claim for claim in claims if claim is not None]
        if any(
            kills_its_worker(claim.handler.name, entry.event) for claim in live for entry in claim.entries
        ):
            kills += 1
            assert kills <= most
            expire(*[claim.lease_id for claim in live])
        else:
            for claim in live:
                running._run(claim)
    return kills


@pytest.fixture
def quiet(add_handler):
    def make(name="t.poison", **options):
        options.setdefault("batch", 200)
        add_handler(name, tells_when_parked=False, **options)(lambda events: None)

    return make


def test_one_in_200_that_kills_its_process_is_parked_alone_within_six_kills(broker, add_handler):
    # Given the real thing: a handler that dies in the middle
    @add_handler("t.poison", batch=200, tells_when_parked=False)
    def poison(events):
        if any(event.text == "poison" for event in events):
            raise Killed

    publish_notes(*["fine"] * 99, "poison", *["fine"] * 100)

    # When
    kills = 0
    while not (set(states()) and set(states()) <= {"done", "parked"}):
        relay.run_pass()
        while broker.messages:
            try:
                broker.deliver()
            except Killed:
                kills += 1
        expire()

    # Then
    assert states() == {"done": 199, "parked": 1}
    assert kills <= 6
    parked = Handling.objects.select_related("event", "error").get(state="parked")
    assert parked.event.payload["text"] == "poison"
    assert parked.error is not None
    assert (parked.error.exception, parked.deaths_alone, parked.tries) == ("WorkerDied", 3, 0)


def test_leases_that_die_together_with_poison_park_nothing_else(broker, quiet):
    quiet()
    crew(processes=4)
    publish_notes(*["fine"] * 300, "poison", *["fine"] * 499)
    kills = live_and_die(broker, lambda handler, event: event.text == "poison", together=8)
    assert states() == {"done": 799, "parked": 1}
    assert kills <= 6


def test_what_always_runs_beside_poison_is_not_parked_with_it(broker, quiet):
    # Given three handlers, the same process for all of them, and one event that kills it in one of them
    for name in ("t.a", "t.b", "t.poison"):
        quiet(name, batch=5)
    publish_notes("fine", "poison", "fine")

    # When
    kills = live_and_die(
        broker, lambda handler, event: (handler, event.text) == ("t.poison", "poison"), together=100
    )

    # Then
    assert states() == {"done": 8, "parked": 1}
    assert Handling.objects.get(state="parked").subscription.handler == "t.poison"
    assert kills <= 6


def test_twenty_kills_in_a_row_with_a_backlog_park_none(broker, quiet):
    # Given
    quiet(batch=50)
    publish_notes(*["fine"] * 2000)

    # When every process is killed at its first batches, twenty times
    for _ in range(20):
        relay.run_pass()
        for name, lease_id, token in broker.messages:
            assert leases.claim(registry.get(name), lease_id, token)
        broker.messages.clear()
        expire()

    # Then
    assert "parked" not in states()
    while set(states()) != {"done"}:
        relay.run_pass()
        broker.deliver_all()
    assert states() == {"done": 2000}


def test_only_deaths_alone_park(broker, quiet):
    # Given one whose worker dies five times: in company, in a group, in a batch of its own, and twice alone
    quiet(batch=10)
    publish_notes("fine")
    for _ in range(5):
        relay.run_pass()
        name, lease_id, token = broker.messages.pop()
        assert leases.claim(registry.get(name), lease_id, token)
        expire()
    relay.run_pass()
    handling = Handling.objects.get()
    assert (handling.state, handling.deaths, handling.deaths_alone) == ("leased", 5, 2)

    # When
    broker.deliver()

    # Then
    assert states() == {"done": 1}


@pytest.mark.parametrize(("deaths", "sizes"), [(1, [2, 16, 16]), (2, [1] * 34)])
def test_suspects_run_in_small_groups_first_and_then_each_in_a_batch_of_its_own(broker, quiet, deaths, sizes):
    quiet(batch=200)
    crew(processes=20)
    publish_notes(*["fine"] * 34)
    for _ in range(deaths):
        relay.run_pass()
        for name, lease_id, token in broker.messages:
            leases.claim(registry.get(name), lease_id, token)
        broker.messages.clear()
        expire()
    relay.run_pass()
    assert set(Handling.objects.values_list("deaths", flat=True)) == {deaths}
    assert sorted(len(ids) for ids in Lease.objects.values_list("ids", flat=True)) == sizes


def test_work_that_no_worker_ever_claimed_counts_no_death(broker, quiet):
    quiet(batch=10)
    publish_notes(*["fine"] * 10)
    for _ in range(30):
        relay.run_pass()
        broker.messages.clear()  # the broker loses everything
        expire()
    relay.run_pass()
    broker.deliver_all()
    broker.settle()
    assert states() == {"done": 10}
    assert set(Handling.objects.values_list("deaths", "tries")) == {(0, 0)}


def test_an_effect_that_killed_its_worker_knows_that_it_runs_again(broker, add_handler):
    seen = []

    class Acts(EffectBatch):  # type: ignore[type-arg]
        def load(self, events):
            seen.append(len(self.reruns))
            if len(seen) == 1:
                raise Killed

        def is_wanted(self, event):
            return True

        def act(self, event):
            return None

        def record(self, acts):
            pass

    add_handler("t.acts", kind=Kind.EFFECT, batch=5)(Acts)
    publish_notes("a")
    relay.run_pass()
    broker.deliver_killed()
    expire()
    broker.settle()
    assert seen == [0, 1]
