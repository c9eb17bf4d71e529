"""What is made of an answer: read to a limit, storable whatever it holds."""

import gzip

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deliveries.client import Client, Limits
from tests.deliveries.test_client.conftest import assert_storable, post
from tests.third_party import RunningThirdParty


def test_a_body_shorter_than_promised_does_not_undo_a_success(client: Client, third_party: RunningThirdParty):
    answer = client.send(post(third_party.url("/short")))

    assert (answer.status, answer.error_code, answer.broken) == (200, "", True)
    assert answer.body == '{"ok": true}'


def test_garbage_is_a_broken_answer_with_unknown_outcome(client: Client, third_party: RunningThirdParty):
    answer = client.send(post(third_party.url("/garbage")))

    assert (answer.status, answer.error_code, answer.outcome_unknown) == (None, "broken_answer", True)


@pytest.mark.parametrize(("status", "stored"), [(200, 1024), (500, 8192)])
def test_a_long_body_is_read_to_64_kib_and_stored_in_part(
    client: Client, third_party: RunningThirdParty, status: int, stored: int
):
    third_party.behave("long", status=status, body="x" * 300_000)
    answer = client.send(post(third_party.url("/long")))

    assert (answer.status, answer.broken) == (status, False)
    assert len(answer.content) == 65536
    assert len(answer.body) == stored
    assert client.send(post(third_party.url("/ok"))).body == '{"ok": true}'


def test_a_small_gzip_that_grows_huge_is_cut(client: Client, third_party: RunningThirdParty):
    bomb = gzip.compress(b"0" * 20_000_000)
    third_party.behave("bomb", headers={"Content-Encoding": "gzip"}, body=bomb)
    answer = client.send(post(third_party.url("/bomb")))

    assert answer.status == 200
    assert answer.content == b"0" * 65536


def test_a_declared_charset_is_read(client: Client, third_party: RunningThirdParty):
    third_party.behave(
        "latin",
        status=422,
        headers={"Content-Type": "text/plain; charset=iso-8859-1"},
        body=b"Gr\xf6\xdfe",
    )

    assert client.send(post(third_party.url("/latin"))).body == "Größe"


def test_retry_after_is_read(client: Client, third_party: RunningThirdParty):
    answer = client.send(post(third_party.url("/status/503?retry_after=7")))

    assert (answer.status, answer.retry_after) == (503, 7.0)


def test_retry_after_as_a_date_counts_from_the_answer_s_own(client: Client, third_party: RunningThirdParty):
    later = {"Date": "Fri, 20 Nov 2020 12:00:00 GMT", "Retry-After": "Fri, 20 Nov 2020 12:01:30 GMT"}
    third_party.behave("later", status=429, headers=later)

    assert client.send(post(third_party.url("/later"))).retry_after == 90


@settings(max_examples=80, deadline=None)
@given(
    reason=st.binary(max_size=40).map(lambda raw: raw.replace(b"\n", b"").replace(b"\r", b"")),
    value=st.binary(max_size=40).map(lambda raw: raw.replace(b"\n", b"").replace(b"\r", b"")),
    body=st.binary(max_size=200),
    charset=st.sampled_from(["utf-8", "latin-1", "utf-16", "utf-7", "idna", "base64", "\x00", "shift_jis"]),
)
def test_whatever_comes_can_be_stored(
    third_party: RunningThirdParty, reason: bytes, value: bytes, body: bytes, charset: str
):
    client = Client(allowed_networks=["127.0.0.0/8"], pool_size=1, limits=Limits())
    raw = b"HTTP/1.1 500 " + reason + b"\r\nX-Request-Id: " + value
    raw += b"\r\nContent-Type: text/plain; charset=" + charset.encode() + b"\r\n\r\n" + body
    third_party.behave("raw", raw=raw)
    answer = client.send(post(third_party.url("/raw")))
    client.close()

    assert answer.status == 500
    assert_storable(answer)


@settings(max_examples=40, deadline=None)
@given(raw=st.binary(min_size=1, max_size=60) | st.binary(max_size=60).map(b"HTTP/1.1 200 ".__add__))
def test_whatever_comes_in_place_of_http_gives_an_answer(third_party: RunningThirdParty, raw: bytes):
    client = Client(allowed_networks=["127.0.0.0/8"], pool_size=1, limits=Limits())
    third_party.behave("raw", raw=raw)
    answer = client.send(post(third_party.url("/raw")))
    client.close()

    assert answer.status is not None or answer.error_code in {"broken_answer", "connection_lost"}
    assert_storable(answer)
