import datetime
import gzip
import ipaddress
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from deliveries import connections
from deliveries.client import Answer, Client, Limits, Request
from deliveries.retry_after import retry_after_seconds
from tests.third_party import RunningThirdParty

QUICK = Limits(connect=0.3, read=0.3, total=0.6)
BODY = b'{"sku": "A-1"}'


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate of our own for "localhost", and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    cert_file, key_file = folder / "cert.pem", folder / "key.pem"
    cert_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return cert_file, key_file


@pytest.fixture(scope="module")
def secure_third_party(certificate: tuple[Path, Path]) -> Iterator[RunningThirdParty]:
    with RunningThirdParty(cert=certificate[0], key=certificate[1]) as running:
        yield running


@pytest.fixture(autouse=True)
def _empty_ledger(third_party: RunningThirdParty) -> None:
    third_party.clear()


@pytest.fixture
def client() -> Iterator[Client]:
    with_loopback = Client(allowed_networks=["127.0.0.0/8"], pool_size=4, limits=QUICK)
    yield with_loopback
    with_loopback.close()


@pytest.fixture
def trusting_client(certificate: tuple[Path, Path]) -> Iterator[Client]:
    made = Client(allowed_networks=["127.0.0.0/8"], pool_size=4, limits=QUICK, ca_file=str(certificate[0]))
    yield made
    made.close()


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that takes connections and then says and reads nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=8) as server:
        yield server.getsockname()[1]


def post(url: str, *, body: bytes = BODY, method: str = "POST", **headers: str) -> Request:
    return Request(method, url, {name.replace("_", "-"): value for name, value in headers.items()}, body)


def resolve_to(monkeypatch: pytest.MonkeyPatch, *addresses: str, after: float = 0.0) -> list[str]:
    """Every name resolves to these addresses from now on; gives the list of names asked for."""
    asked: list[str] = []

    def getaddrinfo(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        asked.append(host)
        time.sleep(after)
        family = {4: socket.AF_INET, 6: socket.AF_INET6}
        return [
            (family[ipaddress.ip_address(address).version], socket.SOCK_STREAM, 6, "", (address, port))
            for address in addresses
        ]

    monkeypatch.setattr("deliveries.addresses.socket.getaddrinfo", getaddrinfo)
    return asked


class TestASend:
    def test_the_request_arrives_as_it_was_given(self, client: Client, third_party: RunningThirdParty):
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

    def test_a_path_beyond_ascii_is_percent_encoded(self, client: Client, third_party: RunningThirdParty):
        client.send(post(third_party.url("/ok/Möbel und mehr%20")))

        assert third_party.ledger()[0]["path"] == "/ok/M%C3%B6bel%20und%20mehr%20"

    def test_a_get_has_neither_body_nor_length(self, client: Client, third_party: RunningThirdParty):
        answer = client.send(post(third_party.url("/ok"), method="GET", body=b""))

        assert answer.status == 200
        assert third_party.ledger()[0]["size"] == 0

    def test_a_destination_s_header_cannot_contradict_the_body(
        self, client: Client, third_party: RunningThirdParty
    ):
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
    def test_what_cannot_be_written_as_http_is_not_sent(self, client: Client, request_: Request):
        answer = client.send(request_)

        assert (answer.status, answer.error_code, answer.outcome_unknown) == (None, "bad_request", False)
        assert answer.error.endswith(".")

    def test_redirects_are_not_followed(self, client: Client, third_party: RunningThirdParty):
        answer = client.send(post(third_party.url("/redirect")))

        assert (answer.status, answer.headers["location"]) == (302, "/ok")
        assert len(third_party.ledger()) == 1

    def test_cookies_are_not_kept(self, client: Client, third_party: RunningThirdParty):
        third_party.behave("cookie", headers={"Set-Cookie": "a=b; Path=/"})
        for _ in range(2):
            client.send(post(third_party.url("/cookie")))

        assert ["cookie" in seen["headers"] for seen in third_party.ledger()] == [False, False]

    def test_proxies_of_the_environment_are_not_used(
        self, client: Client, third_party: RunningThirdParty, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")

        assert client.send(post(third_party.url("/ok"))).status == 200


class TestConnections:
    def test_one_connection_serves_request_after_request(
        self, client: Client, third_party: RunningThirdParty
    ):
        for _ in range(20):
            assert client.send(post(third_party.url("/ok"))).status == 200

        assert third_party.stats()["connections"] == 1

    def test_threads_share_a_client(self, client: Client, third_party: RunningThirdParty):
        with ThreadPoolExecutor(4) as threads:
            url = third_party.url("/ok?ms=2")
            answers = list(
                threads.map(lambda n: client.send(post(url, Idempotency_Key=f"k-{n}")), range(200))
            )

        assert {answer.status for answer in answers} == {200}
        stats = third_party.stats()
        assert (stats["distinct_keys"], stats["count"]) == (200, 200)
        assert stats["connections"] <= 4

    def test_a_connection_that_the_third_party_dropped_is_noticed_before_it_is_used(
        self, client: Client, third_party: RunningThirdParty
    ):
        for _ in range(3):
            assert client.send(post(third_party.url("/close"))).status == 200
            time.sleep(0.05)  # until the end of the connection has come

        assert third_party.stats()["count"] == 3

    def test_a_connection_is_not_used_again_after_a_long_pause(
        self, client: Client, third_party: RunningThirdParty, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr(connections, "LONGEST_IDLE", 0.05)
        client.send(post(third_party.url("/ok")))
        time.sleep(0.1)
        client.send(post(third_party.url("/ok")))

        assert third_party.stats()["connections"] == 2

    @pytest.mark.parametrize("path", ["/reset", "/lost"])
    def test_one_that_breaks_under_a_request_leaves_the_outcome_unknown_and_sends_nothing_twice(
        self, client: Client, third_party: RunningThirdParty, path: str
    ):
        client.send(post(third_party.url("/ok")))  # so that the connection is a used one
        answer = client.send(post(third_party.url(path)))

        assert (answer.status, answer.error_code) == (None, "connection_lost")
        assert answer.outcome_unknown
        assert answer.error == "The third party closed the connection without an answer."
        assert third_party.stats()["per_path"][path] == 1

    def test_one_that_holds_more_than_the_answer_is_not_used_again(
        self, client: Client, third_party: RunningThirdParty
    ):
        answer = b"HTTP/1.1 %d X\r\nContent-Length: 2\r\n\r\nok"
        third_party.behave("twice", raw=answer % 200 + answer % 500, drop="keep")

        assert [client.send(post(third_party.url("/twice"))).status for _ in range(3)] == [200, 200, 200]
        assert third_party.stats()["connections"] == 3

    def test_nobody_listening_is_known_to_have_got_nothing(self, client: Client):
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            answer = client.send(post(f"http://127.0.0.1:{unused.getsockname()[1]}/"))

        assert (answer.status, answer.error_code, answer.outcome_unknown) == (None, "connect_failed", False)
        assert "Connection refused" in answer.error

    def test_nothing_is_left_open_by_a_close(self, third_party: RunningThirdParty):
        client = Client(allowed_networks=["127.0.0.0/8"], pool_size=1, limits=QUICK)
        client.send(post(third_party.url("/ok")))
        client.close()
        # ResourceWarning is an error in this suite: an open socket would fail it when collected.


class TestTimeLimits:
    def test_silence_ends_with_the_read_limit(self, client: Client, third_party: RunningThirdParty):
        answer = client.send(post(third_party.url("/hang")))

        assert (answer.status, answer.error_code, answer.outcome_unknown) == (None, "timeout_read", True)
        assert 0.3 <= answer.seconds < 0.58

    def test_a_dripped_status_line_ends_with_the_total(self, client: Client, third_party: RunningThirdParty):
        answer = client.send(post(third_party.url("/drip?drop=drip_status&drip_ms=100")))

        assert (answer.status, answer.error_code, answer.outcome_unknown) == (None, "timeout_total", True)
        assert 0.6 <= answer.seconds < 1.5

    @pytest.mark.parametrize("part", ["drip_head", "drip_body"])
    def test_what_is_dripped_after_the_status_line_ends_with_the_total_and_the_status_stands(
        self, client: Client, third_party: RunningThirdParty, part: str
    ):
        third_party.behave("dripping", drop=part, drip_ms=30, status=200, body="x" * 1000)
        answer = client.send(post(third_party.url("/dripping")))

        assert (answer.status, answer.error_code, answer.broken) == (200, "", True)
        assert 0.6 <= answer.seconds < 1.5

    @pytest.mark.parametrize(
        ("part", "status"), [("drip_status", None), ("drip_head", 200), ("drip_body", 200)]
    )
    def test_tls_is_no_way_around_the_total(
        self, trusting_client: Client, secure_third_party: RunningThirdParty, part: str, status: int | None
    ):
        secure_third_party.behave("dripping", drop=part, drip_ms=100, body="x" * 1000)
        answer = trusting_client.send(post(secure_localhost(secure_third_party, "/dripping")))

        assert answer.status == status
        assert 0.6 <= answer.seconds < 1.5

    def test_a_tls_handshake_without_answer_ends_with_the_connect_limit(
        self, client: Client, silent_port: int
    ):
        answer = client.send(post(f"https://127.0.0.1:{silent_port}/"))

        assert (answer.status, answer.error_code, answer.outcome_unknown) == (None, "timeout_connect", False)
        assert 0.3 <= answer.seconds < 0.58

    def test_name_look_up_and_tls_handshake_have_the_connect_limit_together(
        self, client: Client, silent_port: int, monkeypatch: pytest.MonkeyPatch
    ):
        resolve_to(monkeypatch, "127.0.0.1", "127.0.0.2", after=0.28)
        answer = client.send(post(f"https://shop.example:{silent_port}/"))

        assert answer.error_code == "timeout_connect"
        assert 0.3 <= answer.seconds < 0.56

    def test_a_body_that_is_not_read_ends_with_the_total(self, client: Client, silent_port: int):
        answer = client.send(post(f"http://127.0.0.1:{silent_port}/", body=bytes(30_000_000)))

        assert (answer.status, answer.error_code, answer.outcome_unknown) == (None, "timeout_send", True)
        assert 0.6 <= answer.seconds < 1.5

    def test_a_silent_name_server_holds_no_thread_beyond_the_connect_limit(
        self, client: Client, monkeypatch: pytest.MonkeyPatch
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


class TestWhereARequestMayGo:
    def test_a_loopback_address_is_refused_unless_allowed(self, third_party: RunningThirdParty):
        client = Client(allowed_networks=[], pool_size=1, limits=QUICK)
        answer = client.send(post(third_party.url("/ok")))

        assert (answer.status, answer.error_code, answer.outcome_unknown) == (None, "refused_address", False)
        assert answer.error == (
            "127.0.0.1 is a loopback address; "
            "nothing is sent there unless the setting ALLOWED_NETWORKS contains it."
        )
        assert third_party.ledger() == []

    @pytest.mark.parametrize("host", ["localhost", "2130706433", "0x7f.1", "127.1"])
    def test_other_spellings_of_it_are_refused_too(self, third_party: RunningThirdParty, host: str):
        client = Client(allowed_networks=[], pool_size=1, limits=QUICK)
        answer = client.send(post(f"http://{host}:{third_party.port}/ok"))

        assert answer.error_code in {"refused_address", "dns_failed"}
        assert third_party.ledger() == []

    def test_the_checked_address_is_the_one_connected_to_while_the_name_stays_in_the_request(
        self, client: Client, third_party: RunningThirdParty, monkeypatch: pytest.MonkeyPatch
    ):
        asked = resolve_to(monkeypatch, "10.0.0.1", "::1", "127.0.0.1")
        answer = client.send(post(f"http://shop.example:{third_party.port}/ok"))

        assert answer.status == 200
        assert asked == ["shop.example"]
        assert third_party.ledger()[0]["headers"]["host"] == f"shop.example:{third_party.port}"

    def test_a_name_with_only_private_addresses_is_refused(
        self, client: Client, monkeypatch: pytest.MonkeyPatch
    ):
        resolve_to(monkeypatch, "169.254.169.254")
        answer = client.send(post("http://metadata.example/"))

        assert answer.error_code == "refused_address"
        assert answer.error.startswith("metadata.example (169.254.169.254) is a link-local address;")

    def test_a_name_that_is_not_known_is_said_so(self, client: Client, monkeypatch: pytest.MonkeyPatch):
        def getaddrinfo(*_: Any, **__: Any) -> list[Any]:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        monkeypatch.setattr("deliveries.addresses.socket.getaddrinfo", getaddrinfo)
        answer = client.send(post("http://nowhere.example/"))

        assert (answer.error_code, answer.outcome_unknown) == ("dns_failed", False)
        assert answer.error == "The name nowhere.example cannot be resolved (Name or service not known)."

    def test_when_one_address_takes_no_connection_the_next_is_tried(
        self, client: Client, third_party: RunningThirdParty, monkeypatch: pytest.MonkeyPatch
    ):
        resolve_to(monkeypatch, "127.0.0.2", "127.0.0.1")  # the server listens on 127.0.0.1 alone

        assert client.send(post(f"http://shop.example:{third_party.port}/ok")).status == 200


def secure_localhost(third_party: RunningThirdParty, path: str) -> str:
    return f"https://localhost:{third_party.port}{path}"


class TestTLS:
    def test_a_trusted_certificate_for_the_name_is_accepted(
        self, trusting_client: Client, secure_third_party: RunningThirdParty
    ):
        secure_third_party.clear()
        for _ in range(3):
            answer = trusting_client.send(post(secure_localhost(secure_third_party, "/ok")))
            assert answer.status == 200, answer.error

        # 3 and that of the ledger; the connection is kept
        assert secure_third_party.stats()["connections"] == 1

    def test_an_unknown_issuer_is_refused(self, client: Client, secure_third_party: RunningThirdParty):
        answer = client.send(post(secure_localhost(secure_third_party, "/ok")))

        assert (answer.status, answer.error_code, answer.outcome_unknown) == (None, "tls_failed", False)
        assert answer.error.startswith("The certificate of localhost:")

    def test_a_certificate_for_another_name_is_refused(
        self,
        trusting_client: Client,
        secure_third_party: RunningThirdParty,
        monkeypatch: pytest.MonkeyPatch,
    ):
        resolve_to(monkeypatch, "127.0.0.1")
        answer = trusting_client.send(post(f"https://shop.example:{secure_third_party.port}/ok"))

        assert (answer.status, answer.error_code) == (None, "tls_failed")
        assert "shop.example" in answer.error

    def test_a_server_that_speaks_no_tls_is_said_so(self, client: Client, third_party: RunningThirdParty):
        answer = client.send(post(f"https://127.0.0.1:{third_party.port}/ok"))

        assert answer.status is None
        assert answer.error_code in {"tls_failed", "timeout_connect"}
        assert not answer.outcome_unknown


class TestAnswers:
    def test_a_body_shorter_than_promised_does_not_undo_a_success(
        self, client: Client, third_party: RunningThirdParty
    ):
        answer = client.send(post(third_party.url("/short")))

        assert (answer.status, answer.error_code, answer.broken) == (200, "", True)
        assert answer.body == '{"ok": true}'

    def test_garbage_is_a_broken_answer_with_unknown_outcome(
        self, client: Client, third_party: RunningThirdParty
    ):
        answer = client.send(post(third_party.url("/garbage")))

        assert (answer.status, answer.error_code, answer.outcome_unknown) == (None, "broken_answer", True)

    @pytest.mark.parametrize(("status", "stored"), [(200, 1024), (500, 8192)])
    def test_a_long_body_is_read_to_64_kib_and_stored_in_part(
        self, client: Client, third_party: RunningThirdParty, status: int, stored: int
    ):
        third_party.behave("long", status=status, body="x" * 300_000)
        answer = client.send(post(third_party.url("/long")))

        assert (answer.status, answer.broken) == (status, False)
        assert len(answer.content) == 65536
        assert len(answer.body) == stored
        assert client.send(post(third_party.url("/ok"))).body == '{"ok": true}'

    def test_a_small_gzip_that_grows_huge_is_cut(self, client: Client, third_party: RunningThirdParty):
        bomb = gzip.compress(b"0" * 20_000_000)
        third_party.behave("bomb", headers={"Content-Encoding": "gzip"}, body=bomb)
        answer = client.send(post(third_party.url("/bomb")))

        assert answer.status == 200
        assert answer.content == b"0" * 65536

    def test_a_declared_charset_is_read(self, client: Client, third_party: RunningThirdParty):
        third_party.behave(
            "latin",
            status=422,
            headers={"Content-Type": "text/plain; charset=iso-8859-1"},
            body=b"Gr\xf6\xdfe",
        )

        assert client.send(post(third_party.url("/latin"))).body == "Größe"

    def test_retry_after_is_read(self, client: Client, third_party: RunningThirdParty):
        answer = client.send(post(third_party.url("/status/503?retry_after=7")))

        assert (answer.status, answer.retry_after) == (503, 7.0)

    def test_retry_after_as_a_date_counts_from_the_answer_s_own(
        self, client: Client, third_party: RunningThirdParty
    ):
        later = {"Date": "Fri, 20 Nov 2020 12:00:00 GMT", "Retry-After": "Fri, 20 Nov 2020 12:01:30 GMT"}
        third_party.behave("later", status=429, headers=later)

        assert client.send(post(third_party.url("/later"))).retry_after == 90

    @settings(max_examples=80, deadline=None)
    @given(
        reason=st.binary(max_size=40).map(lambda raw: raw.replace(b"\n", b"").replace(b"\r", b"")),
        value=st.binary(max_size=40).map(lambda raw: raw.replace(b"\n", b"").replace(b"\r", b"")),
        body=st.binary(max_size=200),
        charset=st.sampled_from(
            ["utf-8", "latin-1", "utf-16", "utf-7", "idna", "base64", "\x00", "shift_jis"]
        ),
    )
    def test_whatever_comes_can_be_stored(
        self, third_party: RunningThirdParty, reason: bytes, value: bytes, body: bytes, charset: str
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
    def test_whatever_comes_in_place_of_http_gives_an_answer(
        self, third_party: RunningThirdParty, raw: bytes
    ):
        client = Client(allowed_networks=["127.0.0.0/8"], pool_size=1, limits=Limits())
        third_party.behave("raw", raw=raw)
        answer = client.send(post(third_party.url("/raw")))
        client.close()

        assert answer.status is not None or answer.error_code in {"broken_answer", "connection_lost"}
        assert_storable(answer)


def assert_storable(answer: Answer) -> None:
    texts = [answer.reason, answer.body, answer.error, *answer.headers, *answer.headers.values()]
    for text in texts:
        assert isinstance(text, str)
        assert "\0" not in text
        assert len(text.encode("utf-8")) <= 8192


class TestRetryAfter:
    NOW = datetime.datetime(2026, 11, 20, 12, 0, tzinfo=datetime.UTC)

    @pytest.mark.parametrize(
        ("value", "seconds"),
        [("0", 0), ("120", 120), (" 1.5 ", 1.5), ("9" * 30, 86400), ("-5", None), ("soon", None), ("", None)],
    )
    def test_a_number_is_seconds(self, value: str, seconds: float | None):
        assert retry_after_seconds(value) == seconds

    def test_a_date_counts_from_the_third_party_s_own_clock(self):
        later = format_datetime(self.NOW + datetime.timedelta(minutes=5), usegmt=True)

        assert retry_after_seconds(later, date=format_datetime(self.NOW, usegmt=True)) == 300

    def test_without_one_a_date_counts_from_ours(self):
        later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=5)
        seconds = retry_after_seconds(format_datetime(later, usegmt=True))

        assert seconds == pytest.approx(300, abs=5)

    def test_a_date_of_the_past_is_now_and_one_far_away_is_a_day(self):
        now = format_datetime(self.NOW, usegmt=True)

        assert retry_after_seconds("Sun, 06 Nov 1994 08:49:37 GMT", date=now) == 0
        assert retry_after_seconds("Fri, 31 Dec 2100 23:59:59 GMT", date=now) == 86400

    @given(st.text(max_size=40))
    def test_any_text_is_survived(self, value: str):
        seconds = retry_after_seconds(value, date=value)

        assert seconds is None or 0 <= seconds <= 86400
