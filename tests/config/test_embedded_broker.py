"""The broker without a server, tested as a broker: in this process, in others that die, with real workers."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import kombu
import pytest
from celery import Celery

from config import broker_file
from tests.config.tiny_celery import Client

ROOT = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.setattr(broker_file, "TEND_SECONDS", 0.05)
    monkeypatch.setattr(broker_file, "BUSY_SECONDS", 0.3)
    path = tmp_path / "broker.sqlite3"
    yield path
    broker_file.broker_file(str(path)).close()


@pytest.fixture
def client(path):
    clients = []

    def connect():
        clients.append(Client(path))
        return clients[-1]

    yield connect
    for one in clients:
        one.close()


def environment(path, **more):
    # BROKER_URL, where the suite runs on a server, would go before the app's own on Celery's command line.
    not_ours = {"DJANGO_SETTINGS_MODULE", "BROKER_URL"}
    rest = {name: value for name, value in os.environ.items() if name not in not_ours}
    return rest | {"BROKER_FILE": str(path), "PYTHONWARNINGS": "default"} | more


@contextmanager
def process(path, code):
    """Another process that runs the code with `client`; it ends with the block, by SIGKILL at the latest."""
    start = (
        "import json, os, sys, time\n"
        f"from tests.config.tiny_celery import Client\nclient = Client({str(path)!r})\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", start + code],
        cwd=ROOT,
        env=environment(path),
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        try:
            yield running
        finally:
            running.kill()


def eventually(condition, seconds=15):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


@contextmanager
def locked(path):
    """Somebody else's transaction over the file."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def fill(path, queue, number):
    """Many copies of a message that waits in the queue."""
    with closing(sqlite3.connect(path)) as other, other:
        other.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
            " INSERT INTO message (queue, payload) SELECT ?, (SELECT payload FROM message LIMIT 1) FROM n",
            (number, queue),
        )


def delete_file(path):
    for one in path.parent.glob(f"{path.name}*"):
        one.unlink()


class TestQueues:
    def test_messages_come_in_the_order_in_which_they_were_sent(self, client):
        senders = [client(), client()]
        for number in range(40):
            senders[number % 2].send(number)
        consumer = client()
        consumer.consume()
        assert consumer.drain() == list(range(40))

    def test_a_message_with_binary_content_arrives_as_it_was(self, client):
        client().send(b"\x00\xff", content_type="application/octet-stream", content_encoding="binary")
        assert client().get().body == b"\x00\xff"

    def test_no_two_consumers_in_one_process_get_the_same_message(self, client):
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
    def test_no_two_consuming_processes_get_the_same_message(self, path, client):
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

    def test_an_acknowledged_message_is_gone(self, path, client):
        client().send("a")
        client().get().ack()
        assert count(path) == 0

    def test_a_message_taken_without_acknowledgement_is_gone_at_once(self, path, client):
        sender, consumer = client(), client()
        sender.send("a", "b")
        assert consumer.get(no_ack=True).payload == "a"
        consumer.consume(no_ack=True)
        assert consumer.drain() == ["b"]
        assert count(path) == 0

    def test_a_rejected_message_is_gone(self, path, client):
        client().send("a")
        client().get().reject()
        assert count(path) == 0

    def test_a_message_requeued_comes_back_in_its_old_place_and_says_so(self, client):
        consumer = client()
        consumer.send("a", "b")
        first = consumer.get()
        assert not first.delivery_info.get("redelivered")
        first.requeue()
        again = consumer.get()
        assert again.payload == "a"
        assert again.delivery_info["redelivered"]
        assert consumer.get().payload == "b"

    def test_a_closed_channel_gives_back_what_it_had(self, client):
        client().send("a", "b")
        consumer = client()
        consumer.consume()
        consumer.drain()
        consumer.channel.close()
        assert client().waiting() == 2

    def test_a_consumer_gets_no_more_than_its_prefetch_until_it_acknowledges(self, client):
        consumer = client()
        consumer.send(*range(5))
        consumer.consume(prefetch=2)
        assert consumer.drain() == [0, 1]
        consumer.got[0].ack()
        assert consumer.drain() == [0, 1, 2]

    def test_an_acknowledgement_by_another_thread_lets_the_next_message_through_at_once(self, client):
        consumer = client()
        consumer.send(*range(100))
        consumer.consume(prefetch=1)
        started = time.monotonic()
        for number in range(100):
            consumer.connection.drain_events(timeout=5)
            threading.Timer(0.002, consumer.got[number].ack).start()
        assert time.monotonic() - started < 100 * 0.02

    def test_a_long_queue_does_not_keep_the_others_waiting(self, client):
        consumer = client()
        consumer.send(*["long"] * 50, queue="long")
        consumer.send("short", queue="short")
        consumer.consume("long", "short")
        consumer.connection.drain_events(timeout=1)
        consumer.connection.drain_events(timeout=1)
        assert {m.payload for m in consumer.got} == {"long", "short"}

    def test_purging_drops_what_waits_and_nothing_else(self, client):
        consumer = client()
        consumer.send("taken", "waits", "waits")
        consumer.send("other", queue="other")
        taken = consumer.get()
        assert consumer.channel.queue_purge("work") == 2
        taken.requeue()
        assert (consumer.waiting(), consumer.waiting("other")) == (1, 1)

    def test_what_is_past_its_time_is_dropped(self, client):
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

    def test_a_fanout_reaches_every_bound_queue(self, client):
        everyone = kombu.Exchange("everyone", type="fanout")
        listeners = [client(), client()]
        for number, listener in enumerate(listeners):
            kombu.Queue(f"listener{number}", everyone, channel=listener.channel).declare()
        sender = client()
        kombu.Producer(sender.channel, everyone).publish("hear")
        assert [one.get(f"listener{n}").payload for n, one in enumerate(listeners)] == ["hear", "hear"]

    def test_a_deleted_queue_is_not_served_any_more(self, client):
        sender = client()
        exchange = kombu.Exchange("e", type="direct")
        queue = kombu.Queue("bound", exchange, routing_key="key", channel=sender.channel)
        queue.declare()
        queue.delete()
        kombu.Producer(sender.channel, exchange, routing_key="key").publish("lost")
        assert sender.waiting("bound") == 0


def count(path):
    with closing(sqlite3.connect(path)) as other:
        return other.execute("SELECT count(*) FROM message").fetchone()[0]


class TestSpeed:
    def test_an_idle_consumer_sees_what_another_process_sends_without_a_second_of_sleep(self, path, client):
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
    def test_a_message_takes_no_longer_with_20_000_queued(self, path, client, queue):
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

    def test_the_file_does_not_grow_with_what_has_passed_through(self, path, client):
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


class TestDeath:
    @pytest.mark.processes
    def test_what_a_killed_process_had_is_given_back_and_what_a_living_one_has_is_not(self, path, client):
        client().send("a", "b")
        with process(path, "client.get(); print('has', flush=True); time.sleep(60)") as owner:
            assert owner.stdout.readline() == "has\n"
            consumer = client()
            consumer.consume()
            assert consumer.drain(0.5) == ["b"]
            owner.kill()
            owner.wait()
            assert consumer.drain(0.5) == ["b", "a"]

    @pytest.mark.processes
    def test_killed_at_any_moment_it_loses_nothing(self, path, client):
        client().send(*range(300))
        code = (
            "client.consume(prefetch=1)\n"
            "for n in range(300):\n"
            "    client.connection.drain_events(timeout=9)\n"
            "    time.sleep(0.005); print(client.got[n].payload, flush=True); client.got[n].ack()"
        )
        done = []
        for pause in 0, 0.002, 0.003, 0.02:
            with process(path, code) as owner:
                done += [int(owner.stdout.readline()) for _ in range(40)]
                time.sleep(pause)
                owner.kill()
                done += [int(line) for line in owner.stdout]
        consumer = client()
        consumer.consume()
        assert sorted(set(done + consumer.drain(0.3))) == list(range(300))
        assert len(done) + len(consumer.got) <= 300 + 4

    @pytest.mark.processes
    def test_a_child_of_a_killed_process_does_not_keep_its_claims(self, path, client):
        client().send("a")
        code = (
            "message = client.get()\n"
            "if os.fork() == 0:\n"
            "    client.send('from the child'); print(os.getpid(), flush=True); time.sleep(60)\n"
            "time.sleep(60)"
        )
        with process(path, code) as owner:
            child = int(owner.stdout.readline())
            owner.kill()
            owner.wait()
            try:
                consumer = client()
                consumer.consume()
                assert sorted(consumer.drain(0.5)) == ["a", "from the child"]
            finally:
                os.kill(child, signal.SIGKILL)

    @pytest.mark.processes
    def test_a_child_that_closes_what_it_inherited_gives_nothing_back(self, path, client):
        client().send("a")
        code = (
            "message = client.get()\n"
            "if os.fork() == 0:\n"
            "    message.ack(); client.channel.close(); client.close(); os._exit(0)\n"
            "os.wait(); print('closed', flush=True); time.sleep(60)"
        )
        with process(path, code) as owner:
            assert owner.stdout.readline() == "closed\n"
            consumer = client()
            consumer.consume()
            assert consumer.drain(0.5) == []
            assert count(path) == 1

    @pytest.mark.processes
    def test_many_threads_and_forked_processes_send_at_once_into_a_file_that_none_has_made(
        self, path, client
    ):
        code = (
            "import threading\n"
            "children = []\n"
            "def send(name):\n"
            "    one = Client(client.connection.as_uri().removeprefix('embedded://'))\n"
            "    one.send(*(f'{name}-{n}' for n in range(50))); one.close()\n"
            "def threads(name):\n"
            "    all = [threading.Thread(target=send, args=(f'{name}-{t}',)) for t in range(4)]\n"
            "    [t.start() for t in all]; [t.join() for t in all]\n"
            "busy = threading.Thread(target=threads, args=('parent',)); busy.start()\n"
            "for c in range(3):\n"
            "    if (pid := os.fork()) == 0: threads(f'child{c}'); os._exit(0)\n"
            "    children.append(pid)\n"
            "busy.join(); sys.exit(any(os.waitpid(pid, 0)[1] for pid in children))"
        )
        with process(path, code) as one, process(path, code) as two:
            assert (one.wait(20), two.wait(20)) == (0, 0)
        consumer = client()
        consumer.consume()
        got = consumer.drain()
        assert len(got) == 2 * 4 * 4 * 50
        assert len(set(got)) == 4 * 4 * 50


class TestFaults:
    def test_a_file_deleted_under_its_users_is_made_anew(self, path, client):
        exchange = kombu.Exchange("e", type="direct")
        sender, consumer = client(), client()
        kombu.Queue("work", exchange, routing_key="key", channel=sender.channel).declare()
        sender.send("lost")
        consumer.consume()
        delete_file(path)
        kombu.Producer(sender.channel, exchange, routing_key="key").publish("after")
        assert consumer.drain() == ["after"]

    @pytest.mark.processes
    def test_a_consumer_notices_that_the_file_was_deleted_and_made_by_another_process(self, path, client):
        consumer = client()
        consumer.consume()
        consumer.drain(0)
        delete_file(path)
        with process(path, "client.send('after')"):
            consumer.connection.drain_events(timeout=10)
        assert consumer.got[0].payload == "after"

    def test_an_acknowledgement_that_outlived_the_file_meets_no_message_of_the_next(self, path, client):
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

    @pytest.mark.parametrize(
        "content", [b"this is not a database " * 500, b"SQLite format 3\0" + b"\xff" * 8000]
    )
    def test_an_unreadable_file_is_set_aside_after_an_error_that_celery_retries(self, path, client, content):
        sender = client()
        sender.send("lost")
        delete_file(path)
        path.write_bytes(content)
        with pytest.raises(sender.connection.recoverable_connection_errors):
            sender.send("refused")
        sender.send("after")
        assert sender.get().payload == "after"
        assert path.with_name(f"{path.name}.unreadable").read_bytes() == content

    def test_a_file_overwritten_while_open_is_replaced(self, path, client):
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

    def test_a_locked_file_is_an_error_that_celery_retries(self, path, client):
        sender = client()
        with locked(path):
            with pytest.raises(sender.connection.recoverable_connection_errors, match="locked"):
                sender.send("refused")
            with pytest.raises(sender.connection.recoverable_connection_errors, match="locked"):
                sender.get()
        sender.send("after")
        assert sender.get().payload == "after"

    def test_an_acknowledgement_while_the_file_is_locked_is_made_good(self, path, client):
        consumer = client()
        consumer.send("a", "b")
        a, b = consumer.get(), consumer.get()
        with locked(path):
            a.ack()
            b.requeue()
        assert consumer.waiting() == 1
        assert count(path) == 1

    def test_a_full_disk_is_an_error_that_celery_retries(self, path, client):
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

    def test_a_url_without_a_path_is_refused(self):
        with pytest.raises(ValueError, match="names no file"):
            kombu.Connection("embedded://").connect()


@pytest.mark.processes
class TestWorkers:
    """With Celery's own worker."""

    @contextmanager
    def worker(self, path, *options, **more):
        log = path.with_suffix(".log").open("a")
        with (
            log,
            subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "celery",
                    "-A",
                    "tests.config.tiny_celery",
                    "worker",
                    "-l",
                    "INFO",
                    "--without-gossip",
                    "--without-mingle",
                    "--without-heartbeat",
                    *options,
                ],
                cwd=ROOT,
                env=environment(path, **more),
                stdout=log,
                stderr=log,
                start_new_session=True,
            ) as running,
        ):
            try:
                yield running
            finally:
                try:
                    os.killpg(running.pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass

    @pytest.fixture
    def app(self, path):
        with Celery("sender", broker=f"embedded://{path}", set_as_current=False) as app:
            app.conf.update(task_ignore_result=True, task_publish_retry=False)
            yield app

    def ran(self, path):
        try:
            return [int(line) for line in Path(f"{path}.ran").read_text().split()]
        except FileNotFoundError:
            return []

    @pytest.mark.parametrize("pool", [("--pool", "prefork", "-c", "2"), ("--pool", "threads", "-c", "8")])
    def test_a_worker_ends_its_work_on_term_and_gives_the_rest_back(self, path, app, pool):
        for number in range(40):
            app.send_task("leave_a_line", (number, 0.1))
        with self.worker(path, *pool) as worker:
            eventually(lambda: len(self.ran(path)) > 2)
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(15) == 0
        ran = self.ran(path)
        assert len(ran) == len(set(ran)) == 40 - count(path)
        assert 0 < count(path) < 40

    def test_a_killed_worker_loses_no_task(self, path, app):
        for number in range(60):
            app.send_task("leave_a_line", (number, 0.02))
        with self.worker(path, "--pool", "prefork", "-c", "2"):
            eventually(lambda: len(self.ran(path)) > 10)
        with self.worker(path, "--pool", "threads", "-c", "4"):
            eventually(lambda: set(self.ran(path)) == set(range(60)))
        assert len(self.ran(path)) <= 62

    def test_a_worker_outlives_whatever_happens_to_the_file_and_answers_remote_control(self, path, app):
        with self.worker(path, "--pool", "threads", "-c", "2", REMOTE_CONTROL="1") as worker:
            app.send_task("leave_a_line", (1,))
            eventually(lambda: 1 in self.ran(path))
            delete_file(path)
            app.send_task("leave_a_line", (2,))
            eventually(lambda: 2 in self.ran(path))
            with locked(path):
                time.sleep(3)
            app.send_task("leave_a_line", (3,))
            eventually(lambda: 3 in self.ran(path))
            delete_file(path)
            path.write_bytes(b"rubbish" * 5000)
            eventually(lambda: path.with_name(f"{path.name}.unreadable").exists())
            time.sleep(0.5)
            app.send_task("leave_a_line", (4,))
            eventually(lambda: 4 in self.ran(path))
            assert app.control.ping(timeout=5, limit=1)
            assert worker.poll() is None
