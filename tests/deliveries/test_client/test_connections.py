"""Connections are kept, and those that went bad are replaced."""

import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from deliveries import connections
from deliveries.client import Client
from tests.deliveries.test_client.conftest import QUICK, post
from tests.third_party import RunningThirdParty


def test_one_connection_serves_request_after_request(client: Client, third_party: RunningThirdParty):
    for _ in range(20):
        assert client.send(post(third_party.url("/ok"))).status == 200

    assert third_party.stats()["connections"] == 1


def test_threads_share_a_client(client: Client, third_party: RunningThirdParty):
    with ThreadPoolExecutor(4) as threads:
        url = third_party.url("/ok?ms=2")
        answers = list(threads.map(lambda n: client.send(post(url, Idempotency_Key=f"k-{n}")), range(200)))

    assert {answer.status for answer in answers} == {200}
    stats = third_party.stats()
    assert (stats["distinct_keys"], stats["count"]) == (200, 200)
    assert stats["connections"] <= 4


def test_a_connection_that_the_third_party_dropped_is_noticed_before_it_is_used(
    client: Client, third_party: RunningThirdParty
):
    for _ in range(3):
        assert client.send(post(third_party.url("/close"))).status == 200
        time.sleep(0.05)  # until the end of the connection has come

    assert third_party.stats()["count"] == 3


def test_a_connection_is_not_used_again_after_a_long_pause(
    client: Client, third_party: RunningThirdParty, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(connections, "LONGEST_IDLE", 0.05)
    client.send(post(third_party.url("/ok")))
    time.sleep(0.1)
    client.send(post(third_party.url("/ok")))

    assert third_party.stats()["connections"] == 2


@pytest.mark.parametrize("path", ["/reset", "/lost"])
def test_one_that_breaks_under_a_request_leaves_the_outcome_unknown_and_sends_nothing_twice(
    client: Client, third_party: RunningThirdParty, path: str
):
    client.send(post(third_party.url("/ok")))  # so that the connection is a used one
    answer = client.send(post(third_party.url(path)))

    assert (answer.status, answer.error_code) == (None, "connection_lost")
    assert answer.outcome_unknown
    assert answer.error == "The third party closed the connection without an answer."
    assert third_party.stats()["per_path"][path] == 1


def test_one_that_holds_more_than_the_answer_is_not_used_again(
    client: Client, third_party: RunningThirdParty
):
    answer = b"HTTP/1.1 %d X\r\nContent-Length: 2\r\n\r\nok"
    third_party.behave("twice", raw=answer % 200 + answer % 500, drop="keep")

    assert [client.send(post(third_party.url("/twice"))).status for _ in range(3)] == [200, 200, 200]
    assert third_party.stats()["connections"] == 3


def test_nobody_listening_is_known_to_have_got_nothing(client: Client):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        answer = client.send(post(f"http://127.0.0.1:{unused.getsockname()[1]}/"))

    assert (answer.status, answer.error_code, answer.outcome_unknown) == (None, "connect_failed", False)
    assert "Connection refused" in answer.error


def test_nothing_is_left_open_by_a_close(third_party: RunningThirdParty):
    client = Client(allowed_networks=["127.0.0.0/8"], pool_size=1, limits=QUICK)
    client.send(post(third_party.url("/ok")))
    client.close()
    # ResourceWarning is an error in this suite: an open socket would fail it when collected.
