"""Hand-over: never more than the living workers can take, and nothing lost with the broker."""

from datetime import timedelta
from itertools import pairwise

import pytest
from django.db import transaction

from outbox import heartbeats, relay
from outbox.models import Handling, Heartbeat, Kind, Lane, Lease
from outbox.outcomes import Defer
from outbox.publishing import publish
from tests.outbox.conftest import counted_ready, crew, due_now, expire, note, publish_notes, states

pytestmark = pytest.mark.django_db(transaction=True)


def test_nothing_is_handed_over_while_no_worker_of_the_queue_lives(broker, add_handler):
    add_handler("t.one")(lambda event: None)
    Heartbeat.objects.all().delete()
    heartbeats.beat("other", kind="worker", queues=["t.other"], processes=4)
    heartbeats.beat("relay", kind="relay", queues=["t.one"], processes=4)
    publish_notes("a")
    relay.run_pass()
    assert broker.messages == []
    assert states() == {"ready": 1}


def test_a_worker_that_says_nothing_any_more_is_given_nothing(broker, add_handler):
    add_handler("t.one")(lambda event: None)
    Heartbeat.objects.update(
        seen_at=Heartbeat.objects.get().seen_at - timedelta(seconds=heartbeats.FRESH + 1)
    )
    publish_notes("a")
    relay.run_pass()
    assert broker.messages == []


def test_at_most_two_batches_a_process_are_handed_over(broker, add_handler):
    # Given
    add_handler("t.one", batch=1)(lambda events: None)
    crew(processes=3)
    publish_notes(*"x" * 20)

    # When
    for _ in range(5):
        relay.run_pass()

    # Then
    assert len(broker.messages) == Lease.objects.count() == 6
    broker.deliver()
    relay.run_pass()
    assert Lease.objects.count() == 6
    assert counted_ready() == {}


def test_a_broker_that_is_away_is_asked_with_one_batch_after_ever_longer_pauses(
    broker, add_handler, monkeypatch
):
    # Given
    add_handler("t.one", batch=1)(lambda events: None)
    publish_notes(*"x" * 20)
    clock = [1000.0]
    monkeypatch.setattr(relay.time, "monotonic", lambda: clock[0])  # type: ignore[attr-defined]
    asked: list[float] = []
    broker.refuses = True
    take = broker.take

    def note_and_take(name, args):
        asked.append(clock[0])
        take(name, args)

    monkeypatch.setattr(broker, "take", note_and_take)

    # When a minute passes
    while clock[0] < 1060.0:
        relay.run_pass()
        clock[0] += 0.1

    # Then each try is one batch, which is given back uncounted
    pauses = [round(b - a, 1) for a, b in pairwise(asked)]
    assert pauses[:5] == pytest.approx([0.5, 1.0, 2.0, 4.0, 8.0], abs=0.21)
    assert all(9.9 <= pause <= 10.2 for pause in pauses[5:])
    assert states() == {"ready": 20}
    assert not Lease.objects.exists()
    assert set(Handling.objects.values_list("tries", "deaths")) == {(0, 0)}
    assert counted_ready() == {}

    # When it is back
    broker.refuses = False
    clock[0] += 11.0
    relay.run_pass()
    assert len(broker.messages) == 1
    broker.settle()
    assert states() == {"done": 20}


def test_a_publish_of_unknown_outcome_makes_one_act(broker, add_handler):
    # Given a broker that took the message and said that it did not
    acts: list[str] = []
    add_handler("t.act", kind=Kind.EFFECT)(lambda event: acts.append(event.text))
    publish_notes("a")
    broker.pretends = True
    relay.run_pass()
    broker.pretends = False
    assert (len(broker.messages), states()) == (1, {"ready": 1})

    # When it is handed over again, and both messages come
    relay._broker_again = 0.0
    relay.run_pass()
    assert len(broker.messages) == 2
    broker.deliver_all()

    # Then
    assert acts == ["a"]
    assert states() == {"done": 1}


def test_messages_that_the_broker_loses_are_handed_over_again(broker, add_handler):
    add_handler("t.one", batch=5)(lambda events: None)
    publish_notes(*"x" * 30)
    for _ in range(3):
        relay.run_pass()
        broker.messages.clear()
        expire()
    broker.settle()
    assert states(tries=0, deaths=0) == {"done": 30}


def test_a_message_may_come_late_as_long_as_nobody_else_has_its_work(broker, add_handler):
    add_handler("t.one")(lambda event: None)
    publish_notes("a")
    relay.run_pass()
    expire()
    broker.deliver()
    assert states() == {"done": 1}


def test_what_becomes_ready_goes_behind_what_is_ready(broker, add_handler):
    # Given two that were put off, and others that came meanwhile
    got: list[str] = []
    add_handler("t.one", batch=1)(lambda events: got.extend(event.text for event in events))
    publish_notes("first", "second")
    relay.run_pass()
    broker.messages.clear()
    crew(processes=0)
    publish_notes("third")
    relay.run_pass()
    expire()
    relay.run_pass()
    crew()

    # When
    broker.settle()

    # Then
    assert got == ["third", "first", "second"]


def test_passes_go_on_until_nothing_is_left_to_move(broker, add_handler, monkeypatch):
    monkeypatch.setattr("outbox.fanout.FAN_OUT", 5)
    add_handler("t.one", batch=50)(lambda events: None)
    publish_notes(*"x" * 12)
    assert relay.run_passes() >= 12
    assert relay.run_passes() == 0


def test_a_pass_that_fails_changes_nothing(broker, add_handler, monkeypatch):
    add_handler("t.one")(lambda event: None)
    publish_notes("a")
    with monkeypatch.context() as patch:
        patch.setattr("outbox.passes.Pass.write", lambda self: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            relay.run_pass()
    assert states() == {}
    assert not Lease.objects.exists()
    broker.settle()
    assert states() == {"done": 1}


def test_a_due_time_wakes_what_waits_in_its_order(broker, add_handler):
    got: list[str] = []

    @add_handler("t.later", batch=1)
    def later(events):
        got.append(events[0].text)
        return [Defer(60.0)] if len(got) <= 2 else None

    publish_notes("a", "b")
    broker.settle()
    assert states() == {"waiting": 2}
    due_now()
    broker.settle()
    assert got == ["a", "b", "a", "b"]


def test_lanes_of_handlers_that_nobody_can_take_work_for_do_not_hide_others(broker, add_handler, monkeypatch):
    # Given more lanes without a worker than a pass looks at
    monkeypatch.setattr(relay, "LANES", 3)
    add_handler("t.dead", in_lane=True)(lambda event: None)
    ids = [Lane.objects.create(handler="t.dead", key=str(i)).id for i in range(5)]
    with transaction.atomic():
        publish(*[note(str(i), lane_id=lane) for i, lane in enumerate(ids)])
    add_handler("t.alive")(lambda event: None)
    publish_notes("a")
    Heartbeat.objects.all().delete()
    relay.run_pass()
    Lane.objects.filter(handler="t.alive").update(turn=10**9)

    # When
    heartbeats.beat("test", kind="worker", queues=["t.alive"])
    relay.run_pass()
    broker.deliver_all()

    # Then
    assert states(subscription__handler="t.alive") == {"done": 1}
