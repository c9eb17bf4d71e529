"""The hint that wakes the relay: bounded, and nothing hangs on it."""

import time

import pytest
from django.db import transaction

from outbox import wakeup
from outbox.publishing import publish
from tests.outbox.conftest import note, until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def sent(monkeypatch):
    """Times at which a hint reached the broker."""
    times: list[float] = []
    monkeypatch.setattr(wakeup, "_waker", None)
    monkeypatch.setattr("outbox.tasks.relay.apply_async", lambda **_: times.append(time.monotonic()))
    return times


def test_the_relay_is_woken_when_the_transaction_commits_and_not_before(sent):
    with transaction.atomic():
        publish(note())
        time.sleep(0.05)
        assert not sent
    until(lambda: len(sent) == 1)


def test_a_transaction_that_is_rolled_back_wakes_nobody(sent):
    def fail():
        with transaction.atomic():
            publish(note())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    time.sleep(0.1)
    assert not sent


def test_hints_that_come_close_together_become_few_and_the_last_is_not_lost(sent):
    # When a thousand come at once
    for _ in range(1000):
        wakeup.wake_relay()
    last = time.monotonic()
    # Then few are sent, one of them after the last had come
    until(lambda: sent and sent[-1] >= last - 0.001)
    assert len(sent) < 50


def test_hints_without_a_pause_become_rarer_and_after_one_the_next_is_quick_again(sent):
    # Given hints all the time
    ends = time.monotonic() + 1
    while time.monotonic() < ends:
        wakeup.wake_relay()
        time.sleep(0.002)
    assert len(sent) <= 11

    # When none has come for a while
    time.sleep(0.4)
    sent.clear()
    wakeup.wake_relay()
    until(lambda: len(sent) == 1)
    wakeup.wake_relay()
    until(lambda: len(sent) == 2)

    # Then the next are as quick as the first
    assert sent[1] - sent[0] < 0.15


def test_a_broker_that_hangs_or_fails_costs_the_caller_nothing(sent, monkeypatch):
    def hang(**_):
        time.sleep(0.5)
        raise ConnectionError

    monkeypatch.setattr("outbox.tasks.relay.apply_async", hang)
    began = time.monotonic()
    with transaction.atomic():
        publish(note())
    wakeup.wake_relay()
    assert time.monotonic() - began < 0.3
