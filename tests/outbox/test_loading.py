"""A batch of effects that cannot be loaded: what is at fault fails, and its neighbours act."""

import pytest
from django.db import OperationalError

from outbox.effects import EffectBatch
from outbox.models import Handling, Kind, Lease
from tests.outbox.conftest import Noted, publish_notes, states

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def acting(add_handler):
    """Registers a batch that calls `load` with its events; returns what has acted."""
    acted: list[str] = []

    def make(load):
        @add_handler("t.acts", kind=Kind.EFFECT, batch=50, tells_when_parked=False)
        class Acts(EffectBatch[Noted, None]):
            def load(self, events):
                load(events)

            def is_wanted(self, event):
                return True

            def act(self, event):
                acted.append(event.text)

            def record(self, acts):
                pass

        return acted

    return make


def test_one_event_that_cannot_be_loaded_fails_alone(broker, acting):
    def load(events):
        if any(event.text == "bad" for event in events):
            raise ValueError("unreadable")

    acted = acting(load)
    publish_notes(*["fine"] * 20, "bad", *["fine"] * 20)
    broker.settle()
    assert states() == {"done": 40, "waiting": 1}
    assert acted == ["fine"] * 40
    bad = Handling.objects.get(state="waiting", subscription__handler="t.acts")
    assert (bad.tries, bad.message) == (1, "ValueError: unreadable")
    assert not Lease.objects.exists()


def test_what_never_loads_is_parked_and_does_not_go_round_for_ever(broker, acting):
    def load(events):
        raise ValueError("no key")

    acting(load)
    publish_notes("one")
    for _ in range(12):
        broker.settle()
        Handling.objects.filter(state="waiting").update(due_at="2000-01-01T00:00:00Z")
    assert states() == {"parked": 1}


def test_a_database_that_is_away_while_loading_counts_nothing(broker, acting):
    def load(events):
        raise OperationalError("server closed the connection")

    acting(load)
    publish_notes(*["fine"] * 10)
    broker.settle()
    assert states() == {"waiting": 10}
    assert set(Handling.objects.filter(subscription__handler="t.acts").values_list("tries", flat=True)) == {0}
