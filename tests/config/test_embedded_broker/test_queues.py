"""Messages of the embedded broker: their order, their limits, and who gets them."""

import json
import threading
import time
from datetime import UTC, datetime, timedelta

import kombu
import pytest

from tests.config.test_embedded_broker.conftest import count, process


def test_messages_come_in_the_order_in_which_they_were_sent(client):
    senders = [client(), client()]
    for number in range(40):
        senders[number % 2].send(number)
    consumer = client()
    consumer.consume()
    assert consumer.drain() == list(range(40))


def test_a_message_with_binary_content_arrives_as_it_was(client):
    client().send(b"\x00\xff", content_type="application/octet-stream", content_encoding="binary")
    assert client().get().body == b"\x00\xff"


def test_no_two_consumers_in_one_process_get_the_same_message(client):
    client().send(*range(400))
    consumers = [client() for _ in range(4)]
    for consumer in consumers:
        consumer.consume()
    threads = [threading.Thread(target=consumer.drain) for consumer in consumers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(m.payload for c in consumers for m in c.got) == list(range(400))


@pytest.mark.processes
def test_no_two_consuming_processes_get_the_same_message(path, client):
    # Each may hold half of them, so that both must take part however the machine divides its time.
    code = (
        "client.consume(prefetch=200); print('ready', flush=True); end = time.monotonic() + 30\n"
        "while len(client.got) < 200 and time.monotonic() < end: client.drain()\n"
        "print(json.dumps(client.drain()), flush=True); time.sleep(60)"
    )
    with process(path, code) as one, process(path, code) as two:
        assert one.stdout.readline() == two.stdout.readline() == "ready\n"
        client().send(*range(400))
        first, second = (json.loads(each.stdout.readline()) for each in (one, two))
    assert len(first) == len(second) == 200
    assert sorted(first + second) == list(range(400))


def test_an_acknowledged_message_is_gone(path, client):
    client().send("a")
    client().get().ack()
    assert count(path) == 0


def test_a_message_taken_without_acknowledgement_is_gone_at_once(path, client):
    sender, consumer = client(), client()
    sender.send("a", "b")
    assert consumer.get(no_ack=True).payload == "a"
    consumer.consume(no_ack=True)
    assert consumer.drain() == ["b"]
    assert count(path) == 0


def test_a_rejected_message_is_gone(path, client):
    client().send("a")
    client().get().reject()
    assert count(path) == 0


def test_a_message_requeued_comes_back_in_its_old_place_and_says_so(client):
    consumer = client()
    consumer.send("a", "b")
    first = consumer.get()
    assert not first.delivery_info.get("redelivered")
    first.requeue()
    again = consumer.get()
    assert again.payload == "a"
    assert again.delivery_info["redelivered"]
    assert consumer.get().payload == "b"


def test_a_closed_channel_gives_back_what_it_had(client):
    client().send("a", "b")
    consumer = client()
    consumer.consume()
    consumer.drain()
    consumer.channel.close()
    assert client().waiting() == 2


def test_a_consumer_gets_no_more_than_its_prefetch_until_it_acknowledges(client):
    consumer = client()
    consumer.send(*range(5))
    consumer.consume(prefetch=2)
    assert consumer.drain() == [0, 1]
    consumer.got[0].ack()
    assert consumer.drain() == [0, 1, 2]


def test_an_acknowledgement_by_another_thread_lets_the_next_message_through_at_once(client):
    consumer = client()
    consumer.send(*range(100))
    consumer.consume(prefetch=1)
    started = time.monotonic()
    for number in range(100):
        consumer.connection.drain_events(timeout=5)
        threading.Timer(0.002, consumer.got[number].ack).start()
    assert time.monotonic() - started < 100 * 0.02


def test_a_long_queue_does_not_keep_the_others_waiting(client):
    consumer = client()
    consumer.send(*["long"] * 50, queue="long")
    consumer.send("short", queue="short")
    consumer.consume("long", "short")
    consumer.connection.drain_events(timeout=1)
    consumer.connection.drain_events(timeout=1)
    assert {m.payload for m in consumer.got} == {"long", "short"}


def test_purging_drops_what_waits_and_nothing_else(client):
    consumer = client()
    consumer.send("taken", "waits", "waits")
    consumer.send("other", queue="other")
    taken = consumer.get()
    assert consumer.channel.queue_purge("work") == 2
    taken.requeue()
    assert (consumer.waiting(), consumer.waiting("other")) == (1, 1)


def test_what_is_past_its_time_is_dropped(client):
    sender = client()
    sender.send("kept")
    sender.send("kept", expiration=60)
    sender.send("kept", headers={"expires": (datetime.now(UTC) + timedelta(minutes=1)).isoformat()})
    sender.send("ttl", expiration=0.01)
    sender.send("task", headers={"expires": (datetime.now(UTC) - timedelta(seconds=1)).isoformat()})
    sender.send("control", headers={"expires": time.time() - 1})
    time.sleep(0.1)
    consumer = client()
    consumer.consume()
    assert consumer.drain() == ["kept"] * 3


def test_a_fanout_reaches_every_bound_queue(client):
    everyone = kombu.Exchange("everyone", type="fanout")
    listeners = [client(), client()]
    for number, listener in enumerate(listeners):
        kombu.Queue(f"listener{number}", everyone, channel=listener.channel).declare()
    sender = client()
    kombu.Producer(sender.channel, everyone).publish("hear")
    assert [one.get(f"listener{n}").payload for n, one in enumerate(listeners)] == ["hear", "hear"]


def test_a_deleted_queue_is_not_served_any_more(client):
    sender = client()
    exchange = kombu.Exchange("e", type="direct")
    queue = kombu.Queue("bound", exchange, routing_key="key", channel=sender.channel)
    queue.declare()
    queue.delete()
    kombu.Producer(sender.channel, exchange, routing_key="key").publish("lost")
    assert sender.waiting("bound") == 0
