"""Certificates are checked."""

import pytest

from deliveries.client import Client
from tests.deliveries.test_client.conftest import post, resolve_to, secure_localhost
from tests.third_party import RunningThirdParty


def test_a_trusted_certificate_for_the_name_is_accepted(
    trusting_client: Client, secure_third_party: RunningThirdParty
):
    secure_third_party.clear()
    for _ in range(3):
        answer = trusting_client.send(post(secure_localhost(secure_third_party, "/ok")))
        assert answer.status == 200, answer.error

    # 3 and that of the ledger; the connection is kept
    assert secure_third_party.stats()["connections"] == 1


def test_an_unknown_issuer_is_refused(client: Client, secure_third_party: RunningThirdParty):
    answer = client.send(post(secure_localhost(secure_third_party, "/ok")))

    assert (answer.status, answer.error_code, answer.outcome_unknown) == (None, "tls_failed", False)
    assert answer.error.startswith("The certificate of localhost:")


def test_a_certificate_for_another_name_is_refused(
    trusting_client: Client,
    secure_third_party: RunningThirdParty,
    monkeypatch: pytest.MonkeyPatch,
):
    resolve_to(monkeypatch, "127.0.0.1")
    answer = trusting_client.send(post(f"https://shop.example:{secure_third_party.port}/ok"))

    assert (answer.status, answer.error_code) == (None, "tls_failed")
    assert "shop.example" in answer.error


def test_a_server_that_speaks_no_tls_is_said_so(client: Client, third_party: RunningThirdParty):
    answer = client.send(post(f"https://127.0.0.1:{third_party.port}/ok"))

    assert answer.status is None
    assert answer.error_code in {"tls_failed", "timeout_connect"}
    assert not answer.outcome_unknown
