"""Attempts are counted by the minute in which they ended, whatever comes in whatever order."""

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from deliveries import tallies
from deliveries.events import DeliveryAttemptFailed, DeliveryScheduled, DeliverySucceeded
from deliveries.models import Tally

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def ended(event, seconds, **fields):
    ids = {"correlation_id": uuid.uuid4(), "conversation_id": uuid.uuid4(), "occurrence": 1}
    return event(**ids, occurred_at=NOON + timedelta(seconds=seconds), **fields)


def good(seconds):
    return ended(DeliverySucceeded, seconds, number=1, seq=1)


def bad(seconds):
    return ended(DeliveryAttemptFailed, seconds, number=1, kind="again", counted=True)


def at(destination_id, event):
    return replace(event, destination_id=destination_id)


def counts(now=NOON + timedelta(seconds=70), minutes=3):
    return [(minute.succeeded, minute.failed) for minute in tallies.last_minutes(minutes, now)]


def test_outcomes_are_counted_by_minute_and_schedules_are_not():
    tallies.add([good(0), good(59.9), bad(60), ended(DeliveryScheduled, 5, lane_id=1)])
    assert counts() == [(0, 0), (2, 0), (0, 1)]


def test_batches_add_up_in_the_same_minute_also_in_the_same_row(monkeypatch):
    monkeypatch.setattr(tallies, "SHARES", 1)
    for _ in range(3):
        tallies.add([good(1), bad(2)])
    assert Tally.objects.count() == 1
    assert counts() == [(0, 0), (3, 3), (0, 0)]


def test_a_batch_for_several_destinations_is_one_statement_and_each_has_its_counts(
    django_assert_num_queries,
):
    events = [at(1, good(50)), at(2, bad(61)), at(1, good(62)), at(1, bad(63)), good(64)]
    with django_assert_num_queries(1):
        tallies.add(events)
    last = tallies.last_two(NOON + timedelta(seconds=70))
    assert {id_: [(m.succeeded, m.failed) for m in minutes] for id_, minutes in last.items()} == {
        0: [(0, 0), (1, 0)],
        1: [(1, 0), (1, 1)],
        2: [(0, 0), (0, 1)],
    }
    assert counts(minutes=2) == [(1, 0), (2, 2)]


def test_a_rate_is_that_of_the_last_sixty_seconds():
    assert tallies.per_second([600, 150], NOON + timedelta(seconds=15)) == (150 + 600 * 0.75) / 60


def test_what_ended_before_is_not_shown_and_goes_after_some_hours():
    tallies.add([good(-3600), good(0)])
    assert counts(minutes=2) == [(1, 0), (0, 0)]
    Tally.objects.create(minute=datetime(2020, 1, 1, tzinfo=UTC), share=0, succeeded=1)
    tallies.forget_old()
    assert not Tally.objects.filter(minute__year=2020).exists()
