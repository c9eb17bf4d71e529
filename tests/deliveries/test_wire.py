from collections.abc import Callable, Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deliveries.wire import (
    LONGEST_BODY,
    AnswerReader,
    BrokenAnswer,
    ConnectionLost,
    Received,
    UnfitRequest,
    decoded,
    request_bytes,
)

FRAGMENTS = [
    *(b"HTTP/1.1 200 OK", b"HTTP/1.1 100 C", b"\r\n", b"\n", b"Content-Length: 3", b"abc", b"0", b"3"),
    *(b"Transfer-Encoding: chunked", b"Connection: close", b" folded", b": no name", b"\x00"),
]


def receiving(pieces: Iterable[bytes]) -> Callable[[int], bytes]:
    """What a socket does that gets these pieces one after the other, and then the end."""
    left = [piece for piece in pieces if piece]

    def receive(size: int) -> bytes:
        if not left:
            return b""
        piece = left.pop(0)
        if len(piece) > size:
            left.insert(0, piece[size:])
        return piece[:size]

    return receive


def read(*pieces: bytes, method: str = "POST") -> Received:
    return AnswerReader(receiving(pieces), method=method).read()


class TestReadingAnAnswer:
    def test_a_body_of_a_given_length_leaves_the_connection_for_the_next(self):
        answer = read(b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\nX-A:  b \r\n\r\nok")

        assert (answer.status, answer.reason, answer.body) == (201, b"Created", b"ok")
        assert answer.headers == {"content-length": b"2", "x-a": b"b"}
        assert (answer.reusable, answer.broken) == (True, False)

    def test_chunks_are_joined(self):
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        answer = read(head + b"3;name=x\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: x\r\n\r\n")

        assert (answer.body, answer.reusable) == (b"abcde", True)

    def test_a_body_without_a_length_goes_to_the_end_of_the_connection(self):
        answer = read(b"HTTP/1.1 200 OK\r\n\r\nall ", b"of it")

        assert (answer.body, answer.broken, answer.reusable) == (b"all of it", False, False)

    @pytest.mark.parametrize(("status", "method"), [(204, "POST"), (304, "POST"), (200, "HEAD")])
    def test_some_have_no_body_whatever_they_say(self, status: int, method: str):
        answer = read(b"HTTP/1.1 %d X\r\nContent-Length: 9\r\n\r\n" % status, method=method)

        assert (answer.body, answer.broken, answer.reusable) == (b"", False, True)

    def test_interim_answers_are_passed_over(self):
        answer = read(
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: a\r\n\r\n", b"HTTP/1.1 204 \r\n\r\n"
        )

        assert (answer.status, answer.headers) == (204, {})

    @pytest.mark.parametrize(
        "rest",
        [
            b"Connection: close\r\nContent-Length: 0\r\n\r\n",
            b"Content-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",  # an answer that nobody asked for
            b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ],
    )
    def test_a_connection_in_doubt_is_not_used_again(self, rest: bytes):
        assert not read(b"HTTP/1.1 200 OK\r\n" + rest).reusable

    def test_http_1_0_keeps_a_connection_only_when_it_says_so(self):
        length = b"Content-Length: 0\r\n"

        assert not read(b"HTTP/1.0 200 OK\r\n" + length + b"\r\n").reusable
        assert read(b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n" + length + b"\r\n").reusable

    def test_folded_lines_and_bare_newlines_are_forgiven(self):
        answer = read(b"HTTP/1.1 200 OK\nX-A: b\n  c\nContent-Length: 0\n\n")

        assert answer.headers["x-a"] == b"b c"

    @pytest.mark.parametrize(
        "rest",
        [
            b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
            b"Content-Length: -1\r\n\r\n",
            b"Content-Length: 5\r\n\r\nab",
            b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
            b"Transfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n",
            b"X-Cut",
            b"X-Long: " + b"a" * 70_000,
        ],
    )
    def test_the_status_stands_whatever_becomes_of_the_rest(self, rest: bytes):
        reader = AnswerReader(receiving([b"HTTP/1.1 200 OK\r\n" + rest]), method="POST")

        with pytest.raises((BrokenAnswer, ConnectionLost)):
            reader.read()
        assert reader.answer is not None
        assert (reader.answer.status, reader.answer.broken, reader.answer.reusable) == (200, True, False)

    @pytest.mark.parametrize("size", [LONGEST_BODY + 1, 10 * LONGEST_BODY])
    @pytest.mark.parametrize("framing", ["length", "chunks", "end"])
    def test_no_more_than_64_kib_of_a_body_is_read(self, size: int, framing: str):
        head, body = b"HTTP/1.1 200 OK\r\n", b"x" * size
        if framing == "length":
            head += b"Content-Length: %d\r\n\r\n" % size
        elif framing == "chunks":
            head, body = head + b"Transfer-Encoding: chunked\r\n\r\n", b"%x\r\n%s\r\n0\r\n\r\n" % (size, body)
        else:
            head += b"\r\n"
        answer = read(head + body)

        assert len(answer.body) == LONGEST_BODY
        assert (answer.broken, answer.reusable) == (False, False)

    @pytest.mark.parametrize(
        "line", [b"HTTP/2 200 OK", b"HTTP/1.1 20 OK", b"ICY 200 OK", b"", b"HTTP/1.1 2000 OK"]
    )
    def test_what_is_no_status_line_is_refused(self, line: bytes):
        with pytest.raises(BrokenAnswer):
            read(line + b"\r\n\r\n")

    def test_endless_interim_answers_end_with_the_longest_head(self):
        with pytest.raises(BrokenAnswer):
            read(b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000)

    @given(
        data=st.one_of(
            st.binary(max_size=120),
            st.lists(
                st.sampled_from(FRAGMENTS),
                max_size=14,
            ).map(b"".join),
        ),
        cuts=st.lists(st.integers(0, 120), max_size=6),
    )
    def test_how_the_bytes_are_cut_into_pieces_changes_nothing(self, data: bytes, cuts: list[int]):
        edges = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
        pieces = [data[start:stop] for start, stop in pairwise(edges)]

        def outcome(parts: list[bytes]) -> object:
            reader = AnswerReader(receiving(parts), method="POST")
            try:
                answer = reader.read()
            except (BrokenAnswer, ConnectionLost) as exc:
                return type(exc), reader.answer
            # Whether more bytes have come already is a matter of time.
            return answer.status, answer.reason, answer.headers, answer.body, answer.broken

        assert outcome(pieces) == outcome([data])


class TestWritingARequest:
    def test_it_is_one_piece(self):
        data = request_bytes("POST", "/a?b", "shop.example", [("X-A", "b")], b"body")

        assert data == b"POST /a?b HTTP/1.1\r\nHost: shop.example\r\nX-A: b\r\nContent-Length: 4\r\n\r\nbody"

    def test_a_post_without_a_body_says_so(self):
        assert b"Content-Length: 0" in request_bytes("POST", "/", "a", [], b"")
        assert b"Content-Length" not in request_bytes("GET", "/", "a", [], b"")

    @given(
        method=st.text(max_size=8),
        target=st.text(max_size=20).map("/".__add__),
        name=st.text(max_size=12),
        value=st.text(max_size=20),
        body=st.binary(max_size=20),
    )
    def test_nothing_can_be_smuggled_into_it(
        self, method: str, target: str, name: str, value: str, body: bytes
    ):
        try:
            data = request_bytes(method, target, "shop.example", [(name, value)], body)
        except UnfitRequest:
            return
        head, _, rest = data.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        assert rest == body
        assert lines[0].count(b" ") == 2
        assert not set(head) & (set(range(32)) - set(b"\r\n\t"))
        assert len(lines) <= 4


class TestDecoding:
    def test_what_is_not_what_it_says_is_left_as_it_is(self):
        assert decoded(b"plain", b"gzip") == b"plain"
        assert decoded(b"plain", b"br") == b"plain"

    @given(st.binary(max_size=60), st.sampled_from([b"gzip", b"deflate", b"br", b"", b"\xff"]))
    def test_any_bytes_are_survived(self, body: bytes, encoding: bytes):
        assert len(decoded(body, encoding)) <= LONGEST_BODY
