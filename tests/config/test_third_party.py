import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import orjson
import pytest
import urllib3

from tests.third_party import RunningThirdParty


@pytest.fixture
def pool(third_party: RunningThirdParty) -> Iterator[urllib3.HTTPConnectionPool]:
    third_party.clear()
    with urllib3.HTTPConnectionPool("127.0.0.1", third_party.port, retries=False, timeout=2) as pool:
        yield pool


def post(
    pool: urllib3.HTTPConnectionPool, path: str, body: Any = None, **headers: str
) -> urllib3.BaseHTTPResponse:
    return pool.request(
        "POST",
        path,
        body=orjson.dumps(body if body is not None else {}),
        headers={name.replace("_", "-"): value for name, value in headers.items()},
        redirect=False,
    )


def statuses(pool: urllib3.HTTPConnectionPool, path: str, times: int, **headers: str) -> list[int]:
    return [post(pool, path, **headers).status for _ in range(times)]


class TestBehaviours:
    @pytest.mark.parametrize(
        ("path", "status"),
        [
            *(("/ok", 200), ("/ok/a/b?x=1", 200), ("/status/503", 503), ("/status/204", 204)),
            *(("/redirect", 302), ("/unauthorized", 401), ("/unknown", 404), ("/status/many", 400)),
            ("/ok?status=418", 418),
        ],
    )
    def test_the_path_chooses_the_answer(self, pool: urllib3.HTTPConnectionPool, path: str, status: int):
        assert post(pool, path).status == status

    def test_latency_is_before_the_answer(self, pool: urllib3.HTTPConnectionPool):
        started = time.monotonic()
        post(pool, "/slow?ms=80")

        assert 0.08 <= time.monotonic() - started < 1

    def test_each_nth_fails(self, pool: urllib3.HTTPConnectionPool):
        assert statuses(pool, "/flaky?every=3&fail_status=500", 6) == [200, 200, 500, 200, 200, 500]

    def test_above_the_rate_it_says_to_come_back(self, pool: urllib3.HTTPConnectionPool):
        answers = [post(pool, "/throttle?rate=3") for _ in range(12)]

        refused = [answer for answer in answers if answer.status == 429]
        assert 3 <= len(answers) - len(refused) <= 6  # the twelve may lie in two seconds
        assert {answer.headers["Retry-After"] for answer in refused} == {"1"}

    @pytest.mark.parametrize("path", ["/reset", "/lost", "/garbage"])
    def test_some_answer_nothing_that_is_http(self, pool: urllib3.HTTPConnectionPool, path: str):
        with pytest.raises(urllib3.exceptions.ProtocolError):
            post(pool, path)

    def test_a_reset_is_a_reset(self, third_party: RunningThirdParty):
        with socket.create_connection(("127.0.0.1", third_party.port), timeout=2) as sock:
            sock.sendall(b"GET /reset HTTP/1.1\r\n\r\n")
            with pytest.raises(ConnectionResetError):
                sock.recv(10)

    def test_a_short_body_lacks_what_it_promised(self, pool: urllib3.HTTPConnectionPool):
        with pytest.raises(urllib3.exceptions.ProtocolError, match="IncompleteRead"):
            post(pool, "/short")

    def test_a_close_comes_unannounced(self, third_party: RunningThirdParty):
        with socket.create_connection(("127.0.0.1", third_party.port), timeout=2) as sock:
            sock.sendall(b"GET /close HTTP/1.1\r\n\r\n")
            received = b""
            while data := sock.recv(4096):
                received += data

        assert received.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"close" not in received.lower()

    def test_hanging_holds_up_nobody_else(
        self, pool: urllib3.HTTPConnectionPool, third_party: RunningThirdParty
    ):
        with socket.create_connection(("127.0.0.1", third_party.port), timeout=0.2) as sock:
            sock.sendall(b"GET /hang HTTP/1.1\r\n\r\n")
            with pytest.raises(TimeoutError):
                sock.recv(1)
            assert post(pool, "/ok").status == 200
            assert third_party.stats()["in_flight"] == 1
        time.sleep(0.05)
        assert third_party.stats()["in_flight"] == 0

    def test_a_dripped_body_comes_whole_in_the_end(self, pool: urllib3.HTTPConnectionPool):
        assert post(pool, "/drip?drip_ms=1").data == b'{"ok": true}'

    def test_requests_on_one_connection_are_answered_in_their_order(self, third_party: RunningThirdParty):
        with socket.create_connection(("127.0.0.1", third_party.port), timeout=2) as sock:
            sock.sendall(b"GET /ok?ms=30&status=201 HTTP/1.1\r\n\r\nGET /ok HTTP/1.1\r\n\r\n")
            received = b""
            while received.count(b"HTTP/1.1") < 2:
                received += sock.recv(4096)

        assert received.index(b"201") < received.index(b"200")


class TestBehavioursSaidAtRunTime:
    def test_a_prefix_behaves_as_was_said_until_it_is_forgotten(
        self, pool: urllib3.HTTPConnectionPool, third_party: RunningThirdParty
    ):
        third_party.behave("ok", status=202, headers={"X-A": "b"}, body="later")
        answer = post(pool, "/ok/any")
        assert (answer.status, answer.headers["X-A"], answer.data) == (202, "b", b"later")

        third_party.forget("ok")
        assert post(pool, "/ok").status == 200

    def test_the_next_requests_fail(self, pool: urllib3.HTTPConnectionPool, third_party: RunningThirdParty):
        third_party.behave("shop", fail_next=2)

        assert statuses(pool, "/shop", 4) == [503, 503, 200, 200]

    def test_the_first_tries_of_each_key_fail(
        self, pool: urllib3.HTTPConnectionPool, third_party: RunningThirdParty
    ):
        third_party.behave("shop", fail_first=1, fail_status=500)

        assert statuses(pool, "/shop", 2, Idempotency_Key="a") == [500, 200]
        assert statuses(pool, "/shop", 2, Idempotency_Key="b") == [500, 200]

    def test_single_rows_behave_otherwise(
        self, pool: urllib3.HTTPConnectionPool, third_party: RunningThirdParty
    ):
        third_party.behave("shop", rows={"7": {"status": 422}})

        assert post(pool, "/shop", Rowpost_Row="7").status == 422
        assert post(pool, "/shop", Rowpost_Row="8").status == 200

    @pytest.mark.parametrize(
        "said", [b'{"colour": 1}', b'{"status": "many"}', b"[]", b"{", b'{"rows": {"1": {"x": 1}}}']
    )
    def test_what_is_no_behaviour_is_refused(self, pool: urllib3.HTTPConnectionPool, said: bytes):
        assert pool.request("PUT", "/_behaviour/shop", body=said).status == 400


class TestLedger:
    def test_every_request_is_recorded(
        self, pool: urllib3.HTTPConnectionPool, third_party: RunningThirdParty
    ):
        before = time.time()
        post(
            pool,
            "/ok/1?x=2",
            {"a": 1},
            Idempotency_Key="k",
            Rowpost_Feed="f",
            Rowpost_Row="3",
            Rowpost_Attempt="2",
        )

        [entry] = third_party.ledger()
        assert before <= entry.pop("at") <= time.time()
        assert entry.pop("headers")["host"] == f"127.0.0.1:{third_party.port}"
        assert entry == {
            "number": 1,
            "method": "POST",
            "path": "/ok/1?x=2",
            "key": "k",
            "feed": "f",
            "row": "3",
            "attempt": "2",
            "size": 7,
            "sha256": "015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862",
            "status": 200,
            "body": '{"a":1}',
        }

    def test_it_counts(self, pool: urllib3.HTTPConnectionPool, third_party: RunningThirdParty):
        for key in ("a", "a", "b"):
            post(pool, "/ok", Idempotency_Key=key)
        post(pool, "/status/500")

        stats = third_party.stats()
        assert (stats["count"], stats["distinct_keys"], stats["max_in_flight"]) == (4, 2, 1)
        assert stats["per_path"] == {"/ok": 3, "/status": 1}
        assert stats["per_status"] == {"200": 3, "500": 1}
        assert sum(stats["per_second"].values()) == 4

    def test_it_knows_how_many_were_in_flight_at_once(self, third_party: RunningThirdParty):
        third_party.clear()
        with (
            urllib3.HTTPConnectionPool("127.0.0.1", third_party.port, maxsize=5) as pool,
            ThreadPoolExecutor(5) as threads,
        ):
            list(threads.map(lambda _: post(pool, "/slow?ms=1000"), range(5)))

        assert third_party.stats()["max_in_flight_per_path"] == {"/slow": 5}

    def test_it_is_appended_to_a_file_as_it_goes(self, tmp_path: Path):
        file = tmp_path / "ledger.jsonl"
        file.write_bytes(b'{"number":0}\n')
        with (
            RunningThirdParty(ledger=file) as running,
            urllib3.HTTPConnectionPool("127.0.0.1", running.port) as pool,
        ):
            post(pool, "/ok", Idempotency_Key="a")
            deadline = time.monotonic() + 3
            while file.read_bytes().count(b"\n") < 2 and time.monotonic() < deadline:
                time.sleep(0.02)

            lines = [orjson.loads(line) for line in file.read_bytes().splitlines()]
            assert [line["number"] for line in lines] == [0, 1]
            assert lines[1]["key"] == "a"


class TestDemoShop:
    CHAIR = {"sku": "A-1", "name": "Chair", "price": "12.50", "category": "Chairs"}

    def test_a_sound_product_is_taken(self, pool: urllib3.HTTPConnectionPool):
        answer = post(pool, "/demo/products", self.CHAIR, Rowpost_Row="1", Rowpost_Attempt="1")

        assert (answer.status, answer.json()) == (201, {"id": "prod_A-1", "status": "created"})

    @pytest.mark.parametrize(
        ("change", "error"),
        [
            ({"price": "-3"}, "price must not be negative, as -3 is."),
            ({"price": ""}, "price must not be empty."),
            ({"price": None}, "price must not be empty."),
            ({"price": "free"}, "price must be a number, not 'free'."),
            ({"name": " "}, "name must not be empty."),
            ({"category": "cars"}, "there is no 'cars'."),
        ],
    )
    def test_another_is_refused_with_the_reason(
        self, pool: urllib3.HTTPConnectionPool, change: dict[str, Any], error: str
    ):
        answer = post(pool, "/demo/products", self.CHAIR | change)

        assert answer.status == 422
        assert error in answer.json()["error"]
        assert answer.json()["field"] == next(iter(change))

    def test_the_first_try_of_every_15th_row_fails(self, pool: urllib3.HTTPConnectionPool):
        def status(row: int, attempt: int) -> int:
            headers = {"Rowpost_Row": str(row), "Rowpost_Attempt": str(attempt)}
            return post(pool, "/demo/products", self.CHAIR, **headers).status

        assert [row for row in range(1, 46) if status(row, 1) == 503] == [15, 30, 45]
        assert status(15, 2) == 201
