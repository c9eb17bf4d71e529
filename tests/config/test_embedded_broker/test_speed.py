"""The embedded broker stays small and quick."""

import sqlite3
import time
from contextlib import closing

import pytest

from tests.config.test_embedded_broker.conftest import fill, process


def test_an_idle_consumer_sees_what_another_process_sends_without_a_second_of_sleep(path, client):
    consumer = client()
    consumer.consume()
    code = "for i in range(10): client.send(time.time()); time.sleep(0.1)"
    with process(path, code):
        late = []
        for number in range(10):
            consumer.connection.drain_events(timeout=10)
            late.append(time.time() - consumer.got[number].payload)
    assert sorted(late)[5] < 0.1


@pytest.mark.parametrize("queue", ["work", "elsewhere"])
def test_a_message_takes_no_longer_with_20_000_queued(path, client, queue):
    consumer = client()
    consumer.consume("work", *(f"quiet{number}" for number in range(14)), prefetch=1)

    def seconds_for_200():
        consumer.send(*range(200))
        started = time.process_time()
        for _ in range(200):
            consumer.connection.drain_events(timeout=1)
            consumer.got.pop().ack()
        return time.process_time() - started

    few = min(seconds_for_200() for _ in range(3))
    consumer.send("x", queue=queue)
    fill(path, queue, 20_000)
    many = min(seconds_for_200() for _ in range(3))
    assert many < 2 * few


def test_the_file_does_not_grow_with_what_has_passed_through(path, client):
    consumer = client()
    consumer.consume()

    def pass_through():
        consumer.send(*["x" * 1000] * 300)
        consumer.drain(0)
        while consumer.got:
            consumer.got.pop().ack()
        with closing(sqlite3.connect(path)) as other:
            return other.execute("PRAGMA page_count").fetchone()[0]

    first = pass_through()
    for _ in range(5):
        last = pass_through()
    assert last <= first * 1.1
