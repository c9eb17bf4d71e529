"""A file of the embedded broker that is locked, full, gone or none."""

import kombu
import pytest

from config import broker_file
from tests.config.test_embedded_broker.conftest import count, delete_file, locked, process


def test_a_file_deleted_under_its_users_is_made_anew(path, client):
    exchange = kombu.Exchange("e", type="direct")
    sender, consumer = client(), client()
    kombu.Queue("work", exchange, routing_key="key", channel=sender.channel).declare()
    sender.send("lost")
    consumer.consume()
    delete_file(path)
    kombu.Producer(sender.channel, exchange, routing_key="key").publish("after")
    assert consumer.drain() == ["after"]


@pytest.mark.processes
def test_a_consumer_notices_that_the_file_was_deleted_and_made_by_another_process(path, client):
    consumer = client()
    consumer.consume()
    consumer.drain(0)
    delete_file(path)
    with process(path, "client.send('after')"):
        consumer.connection.drain_events(timeout=10)
    assert consumer.got[0].payload == "after"


def test_an_acknowledgement_that_outlived_the_file_meets_no_message_of_the_next(path, client):
    consumer = client()
    consumer.send("before")
    before = consumer.get()
    delete_file(path)
    consumer.send("after")
    after = consumer.get()
    before.ack()
    assert count(path) == 1
    after.ack()
    assert count(path) == 0


@pytest.mark.parametrize("content", [b"this is not a database " * 500, b"SQLite format 3\0" + b"\xff" * 8000])
def test_an_unreadable_file_is_set_aside_after_an_error_that_celery_retries(path, client, content):
    sender = client()
    sender.send("lost")
    delete_file(path)
    path.write_bytes(content)
    with pytest.raises(sender.connection.recoverable_connection_errors):
        sender.send("refused")
    sender.send("after")
    assert sender.get().payload == "after"
    assert path.with_name(f"{path.name}.unreadable").read_bytes() == content


def test_a_file_overwritten_while_open_is_replaced(path, client):
    sender = client()
    sender.send(*range(20))
    broker_file.broker_file(str(path)).close()
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (path.stat().st_size - 4096))
    for _ in range(3):
        try:
            sender.send("after")
        except sender.connection.recoverable_connection_errors:
            continue
        break
    assert sender.get().payload == "after"


def test_a_locked_file_is_an_error_that_celery_retries(path, client):
    sender = client()
    with locked(path):
        with pytest.raises(sender.connection.recoverable_connection_errors, match="locked"):
            sender.send("refused")
        with pytest.raises(sender.connection.recoverable_connection_errors, match="locked"):
            sender.get()
    sender.send("after")
    assert sender.get().payload == "after"


def test_an_acknowledgement_while_the_file_is_locked_is_made_good(path, client):
    consumer = client()
    consumer.send("a", "b")
    a, b = consumer.get(), consumer.get()
    with locked(path):
        a.ack()
        b.requeue()
    assert consumer.waiting() == 1
    assert count(path) == 1


def test_a_full_disk_is_an_error_that_celery_retries(path, client):
    sender = client()
    sender.send("x")
    connection = broker_file.broker_file(str(path))._connection
    assert connection is not None
    connection.execute("PRAGMA max_page_count = 1")
    with pytest.raises(sender.connection.recoverable_connection_errors, match="full"):
        sender.send(*["x" * 1000] * 100)
    connection.execute("PRAGMA max_page_count = 1000000")
    sender.send("after")
    assert sender.waiting() > 1


def test_a_url_without_a_path_is_refused():
    with pytest.raises(ValueError, match="names no file"):
        kombu.Connection("embedded://").connect()
