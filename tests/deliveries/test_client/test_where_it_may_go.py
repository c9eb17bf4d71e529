"""Private addresses are refused when connecting, unless they are allowed."""

import socket
from typing import Any

import pytest

from deliveries.client import Client
from tests.deliveries.test_client.conftest import QUICK, post, resolve_to
from tests.third_party import RunningThirdParty


def test_a_loopback_address_is_refused_unless_allowed(third_party: RunningThirdParty):
    client = Client(allowed_networks=[], pool_size=1, limits=QUICK)
    answer = client.send(post(third_party.url("/ok")))

    assert (answer.status, answer.error_code, answer.outcome_unknown) == (None, "refused_address", False)
    assert answer.error == (
        "127.0.0.1 is a loopback address; "
        "nothing is sent there unless the setting ALLOWED_NETWORKS contains it."
    )
    assert third_party.ledger() == []


@pytest.mark.parametrize("host", ["localhost", "2130706433", "0x7f.1", "127.1"])
def test_other_spellings_of_it_are_refused_too(third_party: RunningThirdParty, host: str):
    client = Client(allowed_networks=[], pool_size=1, limits=QUICK)
    answer = client.send(post(f"http://{host}:{third_party.port}/ok"))

    assert answer.error_code in {"refused_address", "dns_failed"}
    assert third_party.ledger() == []


def test_the_checked_address_is_the_one_connected_to_while_the_name_stays_in_the_request(
    client: Client, third_party: RunningThirdParty, monkeypatch: pytest.MonkeyPatch
):
    asked = resolve_to(monkeypatch, "10.0.0.1", "::1", "127.0.0.1")
    answer = client.send(post(f"http://shop.example:{third_party.port}/ok"))

    assert answer.status == 200
    assert asked == ["shop.example"]
    assert third_party.ledger()[0]["headers"]["host"] == f"shop.example:{third_party.port}"


def test_a_name_with_only_private_addresses_is_refused(client: Client, monkeypatch: pytest.MonkeyPatch):
    resolve_to(monkeypatch, "169.254.169.254")
    answer = client.send(post("http://metadata.example/"))

    assert answer.error_code == "refused_address"
    assert answer.error.startswith("metadata.example (169.254.169.254) is a link-local address;")


def test_a_name_that_is_not_known_is_said_so(client: Client, monkeypatch: pytest.MonkeyPatch):
    def getaddrinfo(*_: Any, **__: Any) -> list[Any]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr("deliveries.addresses.socket.getaddrinfo", getaddrinfo)
    answer = client.send(post("http://nowhere.example/"))

    assert (answer.error_code, answer.outcome_unknown) == ("dns_failed", False)
    assert answer.error == "The name nowhere.example cannot be resolved (Name or service not known)."


def test_when_one_address_takes_no_connection_the_next_is_tried(
    client: Client, third_party: RunningThirdParty, monkeypatch: pytest.MonkeyPatch
):
    resolve_to(monkeypatch, "127.0.0.2", "127.0.0.1")  # the server listens on 127.0.0.1 alone

    assert client.send(post(f"http://shop.example:{third_party.port}/ok")).status == 200
