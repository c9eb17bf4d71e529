"""What is sent: the request as it was given, and nothing else."""

import pytest

from deliveries.client import Client, Request
from tests.deliveries.test_client.conftest import BODY, post
from tests.third_party import RunningThirdParty


def test_the_request_arrives_as_it_was_given(client: Client, third_party: RunningThirdParty):
    url = third_party.url("/ok/42?x=1")
    answer = client.send(post(url, method="PUT", Idempotency_Key="k-1", Rowpost_Row="7"))

    assert (answer.status, answer.reason, answer.body) == (200, "OK", '{"ok": true}')
    assert (answer.error, answer.error_code, answer.outcome_unknown) == ("", "", False)
    assert answer.headers == {"content-type": "application/json"}
    assert 0 < answer.seconds < 0.6
    [seen] = third_party.ledger()
    assert (seen["method"], seen["path"], seen["key"], seen["row"]) == ("PUT", "/ok/42?x=1", "k-1", "7")
    assert seen["body"] == BODY.decode()
    assert seen["headers"]["host"] == f"127.0.0.1:{third_party.port}"


def test_a_path_beyond_ascii_is_percent_encoded(client: Client, third_party: RunningThirdParty):
    client.send(post(third_party.url("/ok/Möbel und mehr%20")))

    assert third_party.ledger()[0]["path"] == "/ok/M%C3%B6bel%20und%20mehr%20"


def test_a_get_has_neither_body_nor_length(client: Client, third_party: RunningThirdParty):
    answer = client.send(post(third_party.url("/ok"), method="GET", body=b""))

    assert answer.status == 200
    assert third_party.ledger()[0]["size"] == 0


def test_a_destination_s_header_cannot_contradict_the_body(client: Client, third_party: RunningThirdParty):
    request = post(
        third_party.url("/ok"), Content_Length="3", Host="other.example", Transfer_Encoding="chunked"
    )

    assert client.send(request).status == 200
    [seen] = third_party.ledger()
    assert seen["body"] == BODY.decode()
    assert "other" not in seen["headers"]["host"]


@pytest.mark.parametrize(
    "request_",
    [
        post("http://127.0.0.1:1/", X="a\r\nInjected: b"),
        post("http://127.0.0.1:1/", X="snow \N{SNOWMAN}"),
        post("http://127.0.0.1:1/", method="GET /other"),
        post("ftp://127.0.0.1/"),
        post("http:///orders"),
        post("http://127.0.0.1:99999/"),
        post("http://user:password@127.0.0.1/"),
        post("http://" + "ö" * 80 + ".example/"),
    ],
)
def test_what_cannot_be_written_as_http_is_not_sent(client: Client, request_: Request):
    answer = client.send(request_)

    assert (answer.status, answer.error_code, answer.outcome_unknown) == (None, "bad_request", False)
    assert answer.error.endswith(".")


def test_redirects_are_not_followed(client: Client, third_party: RunningThirdParty):
    answer = client.send(post(third_party.url("/redirect")))

    assert (answer.status, answer.headers["location"]) == (302, "/ok")
    assert len(third_party.ledger()) == 1


def test_cookies_are_not_kept(client: Client, third_party: RunningThirdParty):
    third_party.behave("cookie", headers={"Set-Cookie": "a=b; Path=/"})
    for _ in range(2):
        client.send(post(third_party.url("/cookie")))

    assert ["cookie" in seen["headers"] for seen in third_party.ledger()] == [False, False]


def test_proxies_of_the_environment_are_not_used(
    client: Client, third_party: RunningThirdParty, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")

    assert client.send(post(third_party.url("/ok"))).status == 200
