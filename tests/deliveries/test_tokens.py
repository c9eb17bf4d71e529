"""OAuth2 client credentials: one token for all, renewed in time and on a 401, and never seen."""

import multiprocessing
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from unittest.mock import Mock

import pytest
from django.db import connection, transaction

from deliveries import token_requests, token_sending, tokens, trial
from deliveries.client import Client, Limits, Request
from deliveries.commands import add_destination, change_destination
from deliveries.models import AccessToken
from deliveries.token_sending import TokenSending
from deliveries.tokens import TokenUnavailable, forget, obtain
from outbox import sql
from tests.deliveries.token_server import CLIENT, SECRET, TokenServer

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def party(settings):
    settings.ALLOWED_NETWORKS = ["127.0.0.0/8"]
    with TokenServer() as party:
        yield party


@pytest.fixture
def destination(party):
    return add_destination(
        name="shop", url=f"{party.address}/rows", auth="oauth2", credentials=credentials(party)
    )


def credentials(party, **changes):
    return {
        "token_url": f"{party.address}/token", "client_id": CLIENT, "client_secret": SECRET,
        "scope": "rows:write", "audience": "", "secret_in_body": "",
    } | changes  # fmt: skip


@pytest.fixture
def client():
    limits = Limits(connect=5, read=5, total=5)
    client = Client(allowed_networks=["127.0.0.0/8"], pool_size=8, limits=limits)
    yield client
    client.close()


def row(destination):
    return Request("POST", destination.url, {"Rowpost-Row": "1"}, b"{}")


def age(destination, seconds):
    """As if the token had been fetched so long ago."""
    fetched = sql.database_now() - timedelta(seconds=seconds)
    AccessToken.objects.filter(destination=destination).update(fetched_at=fetched)


def test_a_token_is_fetched_once_and_kept_encrypted(destination, party):
    first, second = obtain(destination.id), obtain(destination.id)
    assert first.value == second.value == "token-number-1"
    assert party.forms == [{"grant_type": "client_credentials", "scope": "rows:write"}]
    with connection.cursor() as cursor:
        cursor.execute("SELECT value FROM deliveries_accesstoken")
        assert "token-number-1" not in cursor.fetchone()[0]


def test_id_and_secret_go_into_the_body_where_the_third_party_wants_them_there(destination, party):
    change_destination(destination.id, credentials=credentials(party, secret_in_body="yes", audience="api"))
    obtain(destination.id)
    assert party.forms[-1]["client_secret"] == SECRET
    assert party.forms[-1]["audience"] == "api"


def at_once(count, do):
    """What it gave to so many threads that did it at the same moment."""
    start = threading.Barrier(count)

    def done(_):
        start.wait()
        try:
            return do()
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(done, range(count)))


def test_many_threads_that_want_a_token_at_once_cause_one_fetch(destination, party):
    party.latency = 0.3
    assert at_once(8, lambda: obtain(destination.id).value) == ["token-number-1"] * 8
    assert len(party.given) == 1


def _want_in_a_process(destination_id, start, found):
    connection.close()
    start.wait()
    found.put(obtain(destination_id).value)


def test_two_processes_that_want_a_token_at_once_cause_one_fetch(destination, party):
    party.latency = 0.3
    connection.close()
    context = multiprocessing.get_context("fork")
    start, found = context.Barrier(2), context.Queue()
    processes = [
        context.Process(target=_want_in_a_process, args=(destination.id, start, found)) for _ in range(2)
    ]
    for process in processes:
        process.start()
    assert [found.get(timeout=30) for _ in processes] == ["token-number-1"] * 2
    for process in processes:
        process.join()
    assert len(party.given) == 1


def test_a_token_is_renewed_before_it_expires(destination, party):
    obtain(destination.id)
    AccessToken.objects.update(renew_at=sql.database_now())
    assert obtain(destination.id).value == "token-number-2"


def test_while_somebody_renews_it_others_go_on_with_the_token_that_is_still_good(destination, party):
    obtain(destination.id)
    now = sql.database_now()
    AccessToken.objects.update(renew_at=now, claimed_until=now + timedelta(seconds=60))
    assert obtain(destination.id).value == "token-number-1"


def test_a_failed_early_renewal_leaves_the_token_that_is_still_good_in_use(destination, party):
    obtain(destination.id)
    AccessToken.objects.update(renew_at=sql.database_now())
    party.answers.append((500, b"{}"))
    assert obtain(destination.id).value == "token-number-1"
    assert obtain(destination.id).value == "token-number-1"
    assert len(party.forms) == 2  # and the token URL is left in peace for a while


def test_a_fetch_whose_process_died_is_taken_over(destination, party):
    AccessToken.objects.create(
        destination=destination, claimed_until=sql.database_now() - timedelta(seconds=1)
    )
    assert obtain(destination.id).value == "token-number-1"


def test_a_refused_token_is_renewed_once_and_the_row_sent_again(destination, party, client):
    sending = TokenSending(destination.id, client)
    party.revoke()
    age(destination, 60)
    sending = TokenSending(destination.id, client)
    assert sending.send(row(destination)).status == 201
    assert party.rows == [("Bearer token-number-1", 401), ("Bearer token-number-2", 201)]
    assert sending.send(row(destination)).status == 201
    assert len(party.given) == 2


@pytest.mark.parametrize(("lasts", "margin"), [(3600, 60), (100, 20)])
def test_a_token_is_to_be_renewed_some_time_before_its_end(destination, party, lasts, margin):
    party.lasts = lasts
    obtain(destination.id)
    kept = AccessToken.objects.get(destination=destination)
    assert kept.expires_at
    assert kept.renew_at
    assert kept.expires_at - kept.renew_at == timedelta(seconds=margin)


def test_a_token_that_has_expired_is_not_used_even_when_its_renewal_has_just_failed(destination, party):
    obtain(destination.id)
    now = sql.database_now()
    AccessToken.objects.filter(destination=destination).update(
        expires_at=now - timedelta(seconds=1), renew_at=now - timedelta(seconds=60), failed_at=now
    )
    assert obtain(destination.id).value == "token-number-2"


def test_a_token_that_is_forgotten_is_never_used_again(destination, party):
    obtain(destination.id)
    forget(destination.id)
    assert AccessToken.objects.get(destination=destination).value is None
    assert obtain(destination.id).value == "token-number-2"


def test_only_a_401_is_taken_for_a_token_that_is_refused(destination, party, client):
    obtain(destination.id)
    age(destination, 60)
    party.revoke()
    party.refuses_with = 403
    assert TokenSending(destination.id, client).send(row(destination)).status == 403
    assert (len(party.rows), len(party.given)) == (1, 1)


def test_many_threads_whose_token_is_refused_renew_it_once(destination, party, client, monkeypatch):
    obtain(destination.id)
    age(destination, 60)
    sending = TokenSending(destination.id, client)
    party.revoke()
    party.latency = 0.2
    asked = Mock(wraps=obtain)
    monkeypatch.setattr(token_sending, "obtain", asked)
    found = at_once(6, lambda: sending.send(row(destination)).status)
    assert found == [201] * 6
    assert len(party.given) == 2
    assert asked.call_count == 1  # each of them would hold a connection to the database


def test_a_batch_that_outlasts_its_token_goes_on_with_the_next_one(destination, party, client):
    party.lasts = 1
    sending = TokenSending(destination.id, client)
    assert sending.send(row(destination)).status == 201
    time.sleep(0.9)  # it is renewed a fifth of its life before its end
    party.lasts = 3600
    for _ in range(2):
        assert sending.send(row(destination)).status == 201
    assert [token for token, _ in party.rows] == [f"Bearer token-number-{number}" for number in (1, 2, 2)]


def test_who_waits_for_a_fetch_that_fails_ends_with_it_and_asks_for_no_other(destination, party):
    party.latency = 0.4
    party.answers.append((500, b"{}"))

    def want():
        with pytest.raises(TokenUnavailable) as told:
            obtain(destination.id)
        return str(told.value)

    assert len(set(at_once(4, want))) == len(party.forms) == 1


def test_a_fresh_token_that_is_refused_is_a_refusal_and_fetches_no_other(destination, party, client):
    party.takes_rows = False
    sending = TokenSending(destination.id, client)
    for _ in range(3):
        assert sending.send(row(destination)).status == 401
    assert len(party.given) == 1


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ((503, b"busy"), "the token URL answered 503 Service Unavailable: busy."),
        ((200, b"<html>"), "no access token"),
        ((200, b"[]"), "no access token"),
        ((200, b'{"access_token": ""}'), "no access token"),
        ((200, b'{"access_token": "a\\r\\nHost: x"}'), "no access token"),
        ((200, b'{"access_token": "abc", "token_type": "mac"}'), "another type"),
    ],
)
def test_a_token_url_that_fails_is_told_in_a_sentence_and_sends_nothing(
    destination, party, client, answer, says
):
    party.answers.append(answer)
    found = TokenSending(destination.id, client).send(row(destination))
    assert found.status is None
    assert found.error_code == "no_token"
    assert says in found.error
    assert not party.rows


def test_a_token_url_that_is_down_or_forbidden_is_told_in_a_sentence(destination, party, client, settings):
    change_destination(destination.id, credentials=credentials(party, token_url="http://127.0.0.1:9/token"))
    answer = TokenSending(destination.id, client).send(row(destination))
    assert answer.error.startswith("No access token could be fetched: ")
    settings.ALLOWED_NETWORKS = []
    answer = TokenSending(destination.id, client).send(row(destination))
    assert "ALLOWED_NETWORKS" in answer.error


def test_a_wrong_secret_is_told_without_the_secret(destination, party, client):
    for wrong in (
        {"client_secret": "wrong-secret"},
        {"client_secret": "wrong-secret", "secret_in_body": "yes"},
    ):
        change_destination(destination.id, credentials=credentials(party, **wrong))
        answer = TokenSending(destination.id, client).send(row(destination))
        assert "invalid_client" in answer.error or "is wrong" in answer.error
        assert "wrong-secret" not in answer.error
        assert "wrong-secret" not in AccessToken.objects.get().failure


def test_credentials_that_change_while_a_token_is_fetched_win(destination, party, monkeypatch):
    fetch = token_requests.fetch

    def fetch_while_a_person_saves(found):
        granted = fetch(found)
        monkeypatch.setattr(token_requests, "fetch", fetch)
        change_destination(destination.id, credentials=credentials(party, scope="other"))
        return granted

    monkeypatch.setattr(token_requests, "fetch", fetch_while_a_person_saves)
    assert obtain(destination.id).value == "token-number-1"
    assert AccessToken.objects.get().value is None
    assert obtain(destination.id).value == "token-number-2"
    assert party.forms[-1]["scope"] == "other"


@pytest.mark.parametrize(("given", "seconds"), [(None, 3600), ("120", 120), (0, 1), ("soon", 3600)])
def test_a_token_lasts_as_long_as_the_answer_says_or_an_hour(destination, party, given, seconds):
    party.lasts = given
    obtain(destination.id)
    row = AccessToken.objects.get()
    assert row.expires_at
    assert row.fetched_at
    assert (row.expires_at - row.fetched_at).total_seconds() == pytest.approx(seconds)


def test_no_transaction_is_open_while_the_token_is_fetched(destination, monkeypatch):
    fetch, seen = token_requests.fetch, []

    def watched(found):
        seen.append(connection.in_atomic_block)
        return fetch(found)

    monkeypatch.setattr(token_requests, "fetch", watched)
    obtain(destination.id)
    assert seen == [False]
    with transaction.atomic(), pytest.raises(RuntimeError, match="No transaction is held"):
        tokens.obtain(destination.id)


def test_waiting_for_another_fetch_ends_with_a_sentence(destination, monkeypatch):
    monkeypatch.setattr(token_requests, "LIMIT", 0.1)
    AccessToken.objects.create(
        destination=destination, claimed_until=sql.database_now() + timedelta(seconds=60)
    )
    with pytest.raises(TokenUnavailable, match="Another worker"):
        obtain(destination.id)


def test_a_test_send_uses_the_token_and_shows_neither_it_nor_the_secret(destination, party):
    found = trial.send(destination, method="POST", body="{}")
    assert found.succeeded
    assert ("Authorization", "••••••••") in found.headers
    assert party.rows == [("Bearer token-number-1", 201)]
    assert "token-number-1" not in f"{found.headers} {found.answer_body}"
    assert "••••" in found.answer_body
