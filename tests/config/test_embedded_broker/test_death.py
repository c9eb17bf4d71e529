"""What is left of the embedded broker's messages when a process dies."""

import os
import signal
import time

import pytest

from tests.config.test_embedded_broker.conftest import count, process


@pytest.mark.processes
def test_what_a_killed_process_had_is_given_back_and_what_a_living_one_has_is_not(path, client):
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
def test_killed_at_any_moment_it_loses_nothing(path, client):
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
def test_a_child_of_a_killed_process_does_not_keep_its_claims(path, client):
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
def test_a_child_that_closes_what_it_inherited_gives_nothing_back(path, client):
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
def test_many_threads_and_forked_processes_send_at_once_into_a_file_that_none_has_made(path, client):
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
