import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from outbox import fanout, lanes, registry, relay, sql, subscriptions
from outbox.models import Handling, Heartbeat, Lane, Lease, Subscription, Unrelayed
from outbox.publishing import publish
from tests.outbox.conftest import (
    Echoed,
    Noted,
    counted_ready,
    crew,
    due_now,
    note,
    other_transaction,
    publish_notes,
    states,
    until,
)

pytestmark = pytest.mark.django_db(transaction=True)


def test_each_subscription_has_one_handling_of_each_event_of_its_type(broker, add_handler):
    # Given
    add_handler("t.one")(lambda event: None)
    add_handler("t.both", on=[Noted, Echoed])(lambda event: None)

    # When
    ids = publish_notes("a", "b")
    with transaction.atomic():
        (echo,) = publish(Echoed(correlation_id=uuid.uuid4()))
    relay.run_pass()
    relay.run_pass()

    # Then
    made = sorted(Handling.objects.values_list("event_id", "subscription__handler"))
    assert made == sorted([(i, name) for i in ids for name in ("t.one", "t.both")] + [(echo, "t.both")])
    assert not Unrelayed.objects.exists()


def test_a_subscription_that_is_off_receives_nothing_new_and_ends_what_it_has(broker, add_handler):
    add_handler("t.one")(lambda event: None)
    publish_notes("a")
    relay.run_pass()
    Subscription.objects.update(active=False)
    publish_notes("b")
    broker.settle()
    assert states() == {"done": 1}


def test_a_handler_added_later_receives_only_later_events(broker, add_handler):
    publish_notes("before")
    got: list[str] = []
    add_handler("t.late")(lambda event: got.append(event.text))
    publish_notes("after")
    broker.settle()
    assert got == ["after"]


@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite has one writer")
def test_an_event_published_while_a_handler_subscribes_is_received_by_it(broker, add_handler):
    add_handler("t.old")(lambda event: None)
    publish_notes("before")
    with ThreadPoolExecutor() as threads:
        with other_transaction() as blocking:
            # Given a worker with a new handler that has read the newest event and cannot write yet
            blocking.execute("LOCK TABLE outbox_subscription IN SHARE MODE")
            registry.handler("t.new", on=Noted)(lambda event: None)
            subscribing = threads.submit(and_disconnect, subscriptions.subscribe_all)
            until(lambda: waiting_for_locks() == 1)

            # When an event is published, and the relay passes before it can
            (event_id,) = publish_notes("meanwhile")
            passing = threads.submit(and_disconnect, relay.run_pass)
            until(lambda: passing.done() or waiting_for_locks() == 2)
        subscribing.result()
        passing.result()

    # Then
    received = Handling.objects.filter(event_id=event_id).values_list("subscription__handler", flat=True)
    assert sorted(received) == ["t.new", "t.old"]


def and_disconnect(call: Callable[[], Any]) -> None:
    """Runs it on a thread, whose connection would outlive it."""
    try:
        call()
    finally:
        connection.close()


def waiting_for_locks() -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database
               WHERE datname = current_database() AND NOT granted"""
        )
        found: int = cursor.fetchone()[0]
        return found


def test_a_subscription_takes_over_what_its_handler_declares_but_stays_off(add_handler):
    add_handler("t.one", when_due=True)(lambda event: None)
    since = Subscription.objects.get().since_event
    Subscription.objects.update(active=False, kind="effect", when_due=False, queue="elsewhere")
    assert subscriptions.subscribe_all() == 0
    stored = Subscription.objects.get()
    assert (stored.kind, stored.when_due, stored.queue) == ("transactional", True, "t.one")
    assert (stored.active, stored.since_event) == (False, since)


def test_a_relay_of_an_older_release_keeps_lane_and_due_time_of_a_handler_that_it_lacks(broker, add_handler):
    # Given
    add_handler("t.new", in_lane=True, when_due=True)(lambda event: None)
    lane = lanes.ensure("t.new", "shop")
    soon = sql.database_now() + timedelta(hours=1)
    with transaction.atomic():
        publish(note("later", lane_id=lane, due_at=soon), note("now", lane_id=lane))
    registry.HANDLERS.pop("t.new")

    # When
    relay.run_pass()

    # Then
    handlings = list(Handling.objects.order_by("id").values_list("lane_id", "state", "due_at"))
    assert handlings == [(lane, "waiting", soon), (lane, "ready", None)]
    assert counted_ready() == {}


def test_a_handler_works_in_no_lane_of_another(broker, add_handler):
    # Given two handlers of one event, which names a lane of the first
    got: list[str] = []
    for name in ("t.first", "t.second"):
        add_handler(name, in_lane=True)(lambda event, name=name: got.append(name))
    lane = lanes.ensure("t.first", "shop")

    # When
    publish_notes("a", lane_id=lane)
    broker.settle()

    # Then each has done its own work, once
    assert sorted(got) == ["t.first", "t.second"]
    assert Handling.objects.get(subscription__handler="t.first").lane_id == lane
    assert Handling.objects.get(subscription__handler="t.second").lane.handler == "t.second"


def test_an_event_of_a_lane_that_is_gone_runs_and_holds_nothing_up(broker, add_handler):
    got: list[str] = []
    add_handler("t.one", in_lane=True)(lambda event: got.append(event.text))
    publish_notes("gone", lane_id=10**9)
    publish_notes("next")
    broker.settle()
    assert sorted(got) == ["gone", "next"]


def test_what_is_due_later_waits_and_then_runs(broker, add_handler):
    got: list[str] = []
    add_handler("t.due", when_due=True)(lambda event: got.append(event.text))
    now = sql.database_now()
    publish_notes("later", due_at=now + timedelta(hours=1))
    publish_notes("past", due_at=now - timedelta(hours=1))
    broker.settle()
    assert got == ["past"]
    due_now()
    broker.settle()
    assert got == ["past", "later"]


def test_a_handler_that_does_not_ask_for_the_due_time_runs_at_once(broker, add_handler):
    got: list[str] = []
    add_handler("t.now")(lambda event: got.append(event.text))
    publish_notes("a", due_at=sql.database_now() + timedelta(hours=1))
    broker.settle()
    assert got == ["a"]


def test_new_handlings_are_born_leased_only_while_nothing_was_there_before(broker, add_handler):
    # Given room for four batches of five
    add_handler("t.one", batch=5)(lambda events: None)
    publish_notes(*"x" * 7)
    relay.run_pass()
    assert states() == {"leased": 7}

    # When there is more than the room
    publish_notes(*"y" * 20)
    relay.run_pass()

    # Then
    assert states() == {"leased": 17, "ready": 10}
    assert counted_ready() == {}
    assert sorted(len(ids) for ids in Lease.objects.values_list("ids", flat=True)) == [2, 5, 5, 5]
    broker.settle()
    assert states() == {"done": 27}


def test_what_is_new_does_not_overtake_what_is_ready(broker, add_handler):
    # Given work for which there was no room yet
    got: list[str] = []
    add_handler("t.one", batch=1)(lambda events: got.append(events[0].text))
    crew(processes=0)
    publish_notes("old 1", "old 2")
    relay.run_pass()

    # When there is some, and new work in the same pass
    crew(processes=1)
    publish_notes("new 1", "new 2")
    relay.run_pass()
    broker.deliver_all()

    # Then
    assert got == ["old 1", "old 2"]


def test_many_events_are_fanned_out_in_bounded_passes(broker, add_handler, monkeypatch):
    monkeypatch.setattr(fanout, "FAN_OUT", 10)
    add_handler("t.one")(lambda event: None)
    publish_notes(*"x" * 25)
    Heartbeat.objects.all().delete()
    assert [relay.run_pass() for _ in range(4)] == [10, 10, 5, 0]


def test_each_handler_has_a_lane_of_its_own_made_once(broker, add_handler):
    add_handler("t.one")(lambda event: None)
    publish_notes("a")
    relay.run_pass()
    publish_notes("b")
    relay.run_pass()
    assert list(Lane.objects.values_list("handler", "key")) == [("t.one", "")]
