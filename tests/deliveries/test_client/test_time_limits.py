"""No third party holds a thread for longer than the limits say, whatever it does."""

import threading
from typing import Any

import pytest

from deliveries.client import Client
from tests.deliveries.test_client.conftest import post, resolve_to, secure_localhost
from tests.third_party import RunningThirdParty


def test_silence_ends_with_the_read_limit(client: Client, third_party: RunningThirdParty):
    answer = client.send(post(third_party.url("/hang")))

    assert (answer.status, answer.error_code, answer.outcome_unknown) == (None, "timeout_read", True)
    assert 0.3 <= answer.seconds < 0.58


def test_a_dripped_status_line_ends_with_the_total(client: Client, third_party: RunningThirdParty):
    answer = client.send(post(third_party.url("/drip?drop=drip_status&drip_ms=100")))

    assert (answer.status, answer.error_code, answer.outcome_unknown) == (None, "timeout_total", True)
    assert 0.6 <= answer.seconds < 1.5


@pytest.mark.parametrize("part", ["drip_head", "drip_body"])
def test_what_is_dripped_after_the_status_line_ends_with_the_total_and_the_status_stands(
    client: Client, third_party: RunningThirdParty, part: str
):
    third_party.behave("dripping", drop=part, drip_ms=30, status=200, body="x" * 1000)
    answer = client.send(post(third_party.url("/dripping")))

    assert (answer.status, answer.error_code, answer.broken) == (200, "", True)
    assert 0.6 <= answer.seconds < 1.5


@pytest.mark.parametrize(("part", "status"), [("drip_status", None), ("drip_head", 200), ("drip_body", 200)])
def test_tls_is_no_way_around_the_total(
    trusting_client: Client, secure_third_party: RunningThirdParty, part: str, status: int | None
):
    secure_third_party.behave("dripping", drop=part, drip_ms=100, body="x" * 1000)
    answer = trusting_client.send(post(secure_localhost(secure_third_party, "/dripping")))

    assert answer.status == status
    assert 0.6 <= answer.seconds < 1.5


def test_a_tls_handshake_without_answer_ends_with_the_connect_limit(client: Client, silent_port: int):
    answer = client.send(post(f"https://127.0.0.1:{silent_port}/"))

    assert (answer.status, answer.error_code, answer.outcome_unknown) == (None, "timeout_connect", False)
    assert 0.3 <= answer.seconds < 0.58


def test_name_look_up_and_tls_handshake_have_the_connect_limit_together(
    client: Client, silent_port: int, monkeypatch: pytest.MonkeyPatch
):
    resolve_to(monkeypatch, "127.0.0.1", "127.0.0.2", after=0.28)
    answer = client.send(post(f"https://shop.example:{silent_port}/"))

    assert answer.error_code == "timeout_connect"
    assert 0.3 <= answer.seconds < 0.56


def test_a_body_that_is_not_read_ends_with_the_total(client: Client, silent_port: int):
    answer = client.send(post(f"http://127.0.0.1:{silent_port}/", body=bytes(30_000_000)))

    assert (answer.status, answer.error_code, answer.outcome_unknown) == (None, "timeout_send", True)
    assert 0.6 <= answer.seconds < 1.5


def test_a_silent_name_server_holds_no_thread_beyond_the_connect_limit(
    client: Client, monkeypatch: pytest.MonkeyPatch
):
    answers_at_last = threading.Event()
    asked: list[str] = []

    def getaddrinfo(host: str, *_: Any, **__: Any) -> list[Any]:
        asked.append(host)
        answers_at_last.wait(5)
        return []

    monkeypatch.setattr("deliveries.addresses.socket.getaddrinfo", getaddrinfo)
    for _ in range(2):
        answer = client.send(post("http://slow-name.example/"))
        assert (answer.error_code, answer.outcome_unknown) == ("dns_failed", False)
        assert answer.seconds < 0.58
    answers_at_last.set()

    assert asked == ["slow-name.example"]  # the second joined the look-up of the first
