import uuid
from datetime import timedelta

import pytest
from django.db import transaction

from outbox import heartbeats, pruning, sql
from outbox.models import Error, Handling, Heartbeat, OutboxEvent, Unrelayed, uuid7
from outbox.publishing import publish
from outbox.retries import Park
from tests.outbox.conftest import note

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def handled(broker, add_handler):
    """Publishes events and has them handled; those called "bad" are parked."""

    @add_handler("t.one", retry=lambda tries, error, now: Park(), tells_when_parked=False)
    def one(event):
        if event.text == "bad":
            raise ValueError("no")

    add_handler("t.two", batch=100)(lambda events: None)

    def publish_and_handle(*texts, conversation=None, days_ago=0, relayed=True):
        with transaction.atomic():
            ids = publish(*[note(text, conversation_id=conversation) for text in texts])
        if relayed:
            broker.settle()
        OutboxEvent.objects.filter(id__in=ids).update(
            occurred_at=sql.database_now() - timedelta(days=days_ago)
        )
        return ids

    return publish_and_handle


def left() -> set[int]:
    return set(OutboxEvent.objects.values_list("id", flat=True))


def test_a_conversation_that_is_closed_and_old_enough_goes_with_its_handlings(handled):
    # Given
    old, young = uuid7(), uuid7()
    handled("a", "b", "c", conversation=old, days_ago=8)
    stay = handled("d", conversation=young, days_ago=6)

    # When
    pruned = pruning.prune()

    # Then
    assert (pruned.events, pruned.handlings, pruned.after) == (3, 6, None)
    assert left() == set(stay)
    assert Handling.objects.count() == 2


def test_one_young_event_keeps_its_whole_conversation(handled):
    conversation = uuid7()
    ids = handled("a", "b", conversation=conversation, days_ago=30)
    handled("c", conversation=uuid7(), days_ago=20)
    ids += handled("d", conversation=conversation, days_ago=1)
    assert pruning.prune().events == 1
    assert left() == set(ids)


@pytest.mark.parametrize("state", ["parked", "waiting", "ready", "leased"])
def test_open_work_keeps_its_whole_conversation_whatever_its_age(handled, state):
    # Given
    ids = handled("a", "bad", "c", conversation=uuid7(), days_ago=400)
    Handling.objects.filter(state="parked").update(state=state)

    # When
    pruned = pruning.prune()

    # Then
    assert (pruned.events, pruned.handlings) == (0, 0)
    assert left() == set(ids)
    assert Handling.objects.count() == 6


def test_events_without_a_conversation_are_each_their_own(handled):
    kept = handled("bad", days_ago=9)
    handled("a", "b", days_ago=9)
    kept += handled("c", days_ago=1)
    assert pruning.prune().events == 2
    assert left() == set(kept)


def test_an_event_that_no_relay_has_seen_is_kept(handled):
    kept = handled("a", conversation=uuid7(), days_ago=9, relayed=False)
    kept += handled("b", days_ago=9, relayed=False)
    young = handled("c", days_ago=0, relayed=False)
    assert pruning.prune().events == 0
    assert left() == {*kept, *young}
    assert Unrelayed.objects.count() == 3


def test_an_event_that_nobody_subscribed_to_goes_too(handled):
    ids = handled("a", conversation=uuid7(), days_ago=9)
    Handling.objects.all().delete()
    assert pruning.prune().events == len(ids)


def test_many_conversations_go_in_small_batches_and_steps(handled, monkeypatch):
    # Given more conversations than one statement walks, and more events than one batch takes
    monkeypatch.setattr(pruning, "WALK", 3)
    monkeypatch.setattr(pruning, "TAKEN", 4)
    for _ in range(10):
        handled(*"abcde", conversation=uuid7(), days_ago=9)
    kept = handled("x", conversation=uuid7(), days_ago=2)

    # When
    pruned = pruning.prune(batch=2)

    # Then
    assert (pruned.events, pruned.handlings) == (50, 100)
    assert left() == set(kept)


def test_a_call_whose_time_is_up_says_where_the_next_goes_on(handled):
    # Given
    for _ in range(4):
        handled(*"abc", conversation=uuid7(), days_ago=9)
    handled("lone", days_ago=9)
    kept = handled("bad", conversation=uuid.UUID(int=5), days_ago=9)

    # When every call has time for a single batch of one event
    calls = 1
    pruned = pruning.prune(batch=1, budget=0.0)
    while pruned.after is not None:
        pruned = pruning.prune(batch=1, budget=0.0, after=pruned.after)
        assert pruned.events <= 1
        calls += 1

    # Then
    assert left() == set(kept)
    assert calls >= 13


def test_the_boundary_is_found_among_gaps_in_the_ids(handled):
    ids = [handled(str(i), days_ago=20 - i)[0] for i in range(12)]  # 20 … 9 days ago
    OutboxEvent.objects.filter(id__in=ids[3:6]).delete()
    for days, first in ((25, ids[0]), (18.5, ids[2]), (17, ids[6]), (9.5, ids[11]), (1, ids[11] + 1)):
        limit = sql.database_now() - timedelta(days=days)
        found = pruning._first_event_since(limit)
        older = set(OutboxEvent.objects.filter(occurred_at__lt=limit).values_list("id", flat=True))
        assert older == {i for i in left() if i < found}, (days, first)


def test_groups_of_errors_go_once_nothing_is_parked_for_them(handled):
    # Given
    handled("bad", conversation=uuid7())
    used = Error.objects.get()
    unused = Error.objects.create(handler="t.one", exception="OSError", place="there")
    Error.objects.update(last_at=sql.database_now() - timedelta(days=8))

    # When
    pruned = pruning.prune()

    # Then
    assert pruned.errors == 1
    assert list(Error.objects.all()) == [used]
    assert unused.id != used.id


def test_processes_last_seen_long_ago_are_forgotten(handled):
    heartbeats.beat("gone", kind="worker", queues=["t.one"])
    Heartbeat.objects.filter(name="gone").update(seen_at=sql.database_now() - timedelta(days=2))
    assert pruning.prune().heartbeats == 1
    assert not Heartbeat.objects.filter(name="gone").exists()
