"""Handlers run with their events: in order, in batches, with their changes or not at all."""

import pytest
from django.db import transaction

from outbox import process, registry, relay
from outbox.effects import EffectBatch
from outbox.models import Handling, Kind, OutboxEvent, Subscription
from outbox.outcomes import Defer
from tests.outbox.conftest import Noted, did, due_now, made, publish_notes, states

pytestmark = pytest.mark.django_db(transaction=True)


def test_events_come_in_their_order_and_only_to_their_handlers(broker, add_handler):
    got: list[str] = []
    add_handler("t.list", batch=200)(lambda events: got.extend(event.text for event in events))
    publish_notes(*"abcdef")
    broker.settle()
    assert got == list("abcdef")


def test_a_batch_answers_for_each_event(broker, add_handler):
    add_handler("t.list", batch=5)(lambda events: [Defer(60.0) if e.text in "bd" else None for e in events])
    publish_notes(*"abcde")
    broker.settle()
    done = Handling.objects.filter(state="done").values_list("event__payload__text", flat=True)
    assert sorted(done) == ["a", "c", "e"]
    assert states() == {"done": 3, "waiting": 2}


def test_an_event_of_a_newer_version_is_left_to_a_newer_worker(broker, add_handler, monkeypatch):
    # Given
    got: list[str] = []
    add_handler("t.list", batch=5)(lambda events: got.extend(event.text for event in events))
    ids = publish_notes("old", "new")
    OutboxEvent.objects.filter(id=ids[1]).update(version=2)

    # When
    broker.settle()

    # Then
    assert got == ["old"]
    left = Handling.objects.get(event_id=ids[1])
    assert (left.state, left.tries, left.deaths) == ("waiting", 0, 0)
    monkeypatch.setattr(Noted, "version", 2)
    due_now()
    broker.settle()
    assert got == ["old", "new"]


@pytest.mark.parametrize("form", ["single", "effect"])
def test_a_warm_stop_gives_back_what_is_not_started(broker, add_handler, form):
    calls: list[Noted] = []
    add_handler("t.one", **({"kind": Kind.EFFECT} if form == "effect" else {}))(calls.append)
    publish_notes("a")
    relay.run_pass()
    process.stopping.set()
    try:
        broker.deliver()
    finally:
        process.stopping.clear()
    handling = Handling.objects.get()
    assert (handling.state, handling.tries, handling.deaths) == ("waiting", 0, 0)
    assert calls == []
    broker.settle()
    assert states() == {"done": 1}


def test_a_retired_handler_keeps_its_work_until_it_is_back(broker, add_handler):
    # Given
    add_handler("t.one")(lambda event: None)
    publish_notes("a")
    retired = registry.HANDLERS.pop("t.one")

    # When a relay without its code passes
    relay.run_pass()

    # Then
    assert states() == {"ready": 1}
    assert broker.messages == []
    registry.HANDLERS["t.one"] = retired
    broker.settle()
    assert states() == {"done": 1}


@pytest.mark.parametrize(
    ("kind", "batch", "call"),
    [(Kind.EFFECT, 5, print), (Kind.TRANSACTIONAL, 5, type("B", (EffectBatch,), {}))],
)
def test_a_batch_of_effects_and_nothing_else_is_an_effect_batch(add_handler, kind, batch, call):
    with pytest.raises(TypeError, match="EffectBatch"):
        add_handler("t.odd", kind=kind, batch=batch)(call)
    assert not Subscription.objects.filter(handler="t.odd").exists()


def test_an_event_is_handled_with_its_changes_or_not_at_all(broker, add_handler):
    @add_handler("t.one")
    def one(event):
        with transaction.atomic():
            did(event)
        raise ValueError

    publish_notes("a")
    broker.settle()
    assert made() == []
