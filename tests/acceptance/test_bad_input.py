"""What cannot be sent is refused with one clear sentence and its exit code, and nothing is left half-done."""

import gzip
import os
import random
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.acceptance.ledger import arrivals, assert_books_closed
from tests.processes import Ran, Stack
from tests.third_party import RunningThirdParty

pytestmark = pytest.mark.processes

NO_WORKER_WITHIN = 10.0  # seconds, beside the start of the process
PLAIN = "sku,name\n" + "".join(f"SKU-{number},Thing {number}\n" for number in range(50))


@pytest.fixture(scope="module")
def taker(stack: Stack, third_party: RunningThirdParty) -> RunningThirdParty:
    """The third party, known as the destination “taker”."""
    third_party.behave("taker")
    stack.add_destination("taker", third_party.url("/taker"))
    return third_party


def says_one_sentence(ran: Ran) -> bool:
    """On stderr: no traceback, one line, a sentence (which may begin with a path)."""
    lines = ran.err.strip().splitlines()
    begins = lines[0][:1] == "/" or lines[0][:1].isupper()
    return len(lines) == 1 and begins and lines[0].endswith((".", "?", "NAME URL", "FILE.json"))


def feeds(stack: Stack) -> int:
    found: int = stack.sql("SELECT count(*) FROM feeds_feed")[0][0]
    return found


REJECTED = {
    "empty": b"",
    "header-only": b"sku,name,price\n",
    "binary": b"\x89PNG\r\n\x1a\n" + random.Random(7).randbytes(20_000),
    "truncated-gzip": gzip.compress(random.Random(7).randbytes(5000).hex().encode())[:-40],
    "no-consistent-dialect": "".join(
        ",".join("abcdefghij"[: number % 10 + 1]) + ";x" * (number % 7) + "\n" for number in range(70)
    ).encode(),
    "too-many-columns": ",".join(f"c{number}" for number in range(1001)).encode()
    + b"\n"
    + b"1," * 1000
    + b"1\n",
}


@pytest.mark.parametrize("kind", REJECTED)
def test_a_file_that_cannot_be_read_is_rejected(
    stack: Stack, taker: RunningThirdParty, tmp_path: Path, kind: str
) -> None:
    file = tmp_path / f"{kind}.csv"
    file.write_bytes(REJECTED[kind])
    before = len(arrivals(taker, "/taker").entries)
    sent = stack.manage("send", file, "--to", "taker", "--wait", "--json")
    assert sent.code == 2
    assert says_one_sentence(sent), sent.err
    assert sent.last["status"] == "rejected"
    assert set(sent.last["rows"].values()) == {0}
    assert len(arrivals(taker, "/taker").entries) == before
    assert_books_closed(stack, sent.last["id"])


@pytest.mark.parametrize("kind", sorted(REJECTED.keys() - {"truncated-gzip"}))
def test_without_waiting_a_file_that_cannot_be_read_is_refused_before_a_feed_exists(
    stack: Stack, taker: RunningThirdParty, tmp_path: Path, kind: str
) -> None:
    file = tmp_path / f"{kind}.csv"
    file.write_bytes(REJECTED[kind])
    before = feeds(stack)
    sent = stack.manage("send", file, "--to", "taker", "--json")
    assert (sent.code, sent.out) == (2, "")
    assert says_one_sentence(sent), sent.err
    assert feeds(stack) == before


@pytest.mark.parametrize("options", [(), ("--wait", "--json")])
def test_a_missing_column_stops_before_sending_by_name(
    stack: Stack, taker: RunningThirdParty, tmp_path: Path, options: tuple[str, ...]
) -> None:
    file, mapping = tmp_path / "feed.csv", tmp_path / "mapping.json"
    file.write_text(PLAIN)
    mapping.write_text('{"path": "/{sku}", "fields": ["colour"]}')
    assert stack.manage("add_mapping", "coloured", mapping).code == 0
    arrived, made = len(arrivals(taker, "/taker").entries), feeds(stack)
    sent = stack.manage("send", file, "--to", "taker", "--mapping", "coloured", *options)
    assert sent.code == 2
    assert 'no column "colour"' in sent.err
    assert len(arrivals(taker, "/taker").entries) == arrived
    assert feeds(stack) == (made + 1 if options else made)


INVALID = {
    "nul-byte": (b"sku,name\n1,one\n2,t\x00wo\n3,three\n", {2}),
    "field-over-1-mb": (b"sku,name\n1,one\n2," + b"x" * 1_100_000 + b"\n3,three\n", {2}),
    "wrong-number-of-cells": (b"sku,name\n1,one\n2\n3,three,3\n4,four\n", {2, 3}),
    "unclosed-quote-at-the-end": (b'sku,name\n1,one\n2,two\n3,"three\n', {3}),
}


@pytest.mark.parametrize("kind", INVALID)
def test_a_row_that_cannot_be_read_is_invalid_and_the_others_go(
    stack: Stack, taker: RunningThirdParty, tmp_path: Path, kind: str
) -> None:
    content, invalid = INVALID[kind]
    file = tmp_path / f"{kind}.csv"
    file.write_bytes(content)
    sent = stack.manage("send", file, "--to", "taker", "--wait", "--json")
    assert (sent.code, sent.err) == (1, "")
    rows = sent.last["rows"]
    assert (rows["invalid"], rows["failed"]) == (len(invalid), len(invalid))
    assert rows["succeeded"] == rows["total"] - len(invalid)
    of_feed = [e for e in arrivals(taker, "/taker").entries if e["feed"] == sent.last["id"]]
    assert {int(entry["row"]) for entry in of_feed} == set(range(1, rows["total"] + 1)) - invalid
    stored = stack.sql("SELECT number, error FROM feeds_row WHERE invalid ORDER BY feed_id DESC, number")
    assert {number for number, _ in stored[: len(invalid)]} == invalid
    assert all(error for _, error in stored)
    assert_books_closed(stack, sent.last["id"])


def test_bytes_that_are_no_utf8_are_read_as_the_encoding_found_and_it_says_so(
    stack: Stack, taker: RunningThirdParty, tmp_path: Path
) -> None:
    file = tmp_path / "windows.csv"
    names = ["Café", "Größe", "Señor", "Über", "naïve", "crème brûlée"] * 5
    lines = [f"{number},{name}" for number, name in enumerate(names, start=1)]
    file.write_bytes(("sku,name\r\n" + "\r\n".join(lines) + "\r\n").encode("cp1252"))
    sent = stack.manage("send", file, "--to", "taker", "--wait", "--json")
    assert sent.code == 0
    assert "1252" in sent.err
    assert says_one_sentence(sent), sent.err
    bodies = [e["body"] for e in arrivals(taker, "/taker").entries if e["feed"] == sent.last["id"]]
    assert '"Café"' in "".join(bodies)
    read = stack.manage("read", file)
    assert "1252" in read.err
    assert "crème brûlée" in read.out


UNUSABLE = {
    "unknown-destination": (["send", "{file}", "--to", "nobody"], "no destination nobody"),
    "unknown-mapping": (["send", "{file}", "--to", "taker", "--mapping", "nothing"], "no mapping nothing"),
    "no-such-file": (["send", "{file}.gone", "--to", "taker"], "cannot be opened"),
    "bad-url": (["add_destination", "bad", "ftp://shop.example/"], "http://"),
    "bad-mapping": (["add_mapping", "bad", "{mapping}"], "mapping"),
}


@pytest.mark.parametrize("kind", UNUSABLE)
def test_unusable_arguments_are_refused_before_a_feed_exists(
    stack: Stack, taker: RunningThirdParty, tmp_path: Path, kind: str
) -> None:
    arguments, says = UNUSABLE[kind]
    file, mapping = tmp_path / "feed.csv", tmp_path / "mapping.json"
    file.write_text(PLAIN)
    mapping.write_text('{"body": {"sku": {"column": "sku"}')
    before = feeds(stack)
    ran = stack.manage(*(part.format(file=file, mapping=mapping) for part in arguments))
    assert (ran.code, ran.out) == (2, "")
    assert says in ran.err
    assert says_one_sentence(ran), ran.err
    assert feeds(stack) == before


@pytest.mark.parametrize(
    "url", ["postgres://postgres@127.0.0.1:9/rowpost", "sqlite:////nowhere/at/all/rowpost.sqlite3"]
)
def test_with_the_database_away_it_says_so_and_keeps_nothing(
    stack: Stack, tmp_path: Path, taker: RunningThirdParty, url: str
) -> None:
    file = tmp_path / "feed.csv"
    file.write_text(PLAIN)
    env = {"DATABASE_URL": url, "VAR_DIR": str(tmp_path / "var")}
    ran = stack.managing("send", file, "--to", "taker", "--wait", env=env).finish()
    assert (ran.code, ran.out) == (3, "")
    assert "database" in ran.err
    assert says_one_sentence(ran), ran.err
    assert not list((tmp_path / "var").glob("uploads/*"))


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for a megabyte."""
    place = tmp_path / "full"
    place.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small file system")
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no file system may be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_with_the_disk_full_it_says_so_and_leaves_nothing_behind(
    stack: Stack, taker: RunningThirdParty, tmp_path: Path, full_disk: Path
) -> None:
    file = tmp_path / "feed.csv"
    file.write_text(PLAIN * 4000)
    before = feeds(stack)
    ran = stack.managing(
        "send", file, "--to", "taker", "--wait", env={"STORAGE_URL": f"file://{full_disk}"}
    ).finish()
    assert (ran.code, ran.out) == (3, "")
    assert "No space left on device" in ran.err
    assert says_one_sentence(ran), ran.err
    assert feeds(stack) == before
    assert list(full_disk.iterdir()) == []


def test_with_a_limit_on_files_it_says_so_and_leaves_nothing_behind(
    stack: Stack, taker: RunningThirdParty, tmp_path: Path
) -> None:
    file = tmp_path / "feed.csv"
    file.write_text(PLAIN * 4000)
    storage = tmp_path / "storage"
    before = feeds(stack)
    ran = stack.managing(
        "send",
        *(file, "--to", "taker"),
        env={"STORAGE_URL": f"file://{storage}"},
        under=["prlimit", "--fsize=1000000"],
    ).finish()
    assert (ran.code, ran.out) == (3, "")
    assert says_one_sentence(ran), ran.err
    assert feeds(stack) == before
    assert list(storage.iterdir()) == []


def test_without_a_living_worker_waiting_ends_and_the_feed_is_kept(
    new_stack: Stack, third_party: RunningThirdParty, feed_of: Callable[[int], Path]
) -> None:
    # Given no process at all
    third_party.behave("lonely")
    new_stack.add_destination("lonely", third_party.url("/lonely"))
    start = max(new_stack.manage("outbox", "status").seconds for _ in range(2))
    # When a feed is sent and waited for
    sent = new_stack.manage("send", feed_of(5), "--to", "lonely", "--wait", "--json")
    # Then it says within ten seconds that nobody is there
    assert sent.code == 3
    assert "No worker is alive" in sent.err
    assert says_one_sentence(sent), sent.err
    assert sent.seconds < NO_WORKER_WITHIN + 2 * start
    # And the feed goes as soon as somebody is
    new_stack.start("worker", "relay", "beat")
    new_stack.wait(lambda: len(arrivals(third_party, "/lonely").rows) == 5, within=20, until="its five rows")


def test_waiting_ends_with_the_timeout_and_the_feed_goes_on(
    stack: Stack, third_party: RunningThirdParty, feed_of: Callable[[int], Path]
) -> None:
    third_party.behave("slow", ms=2500)
    stack.add_destination("slow", third_party.url("/slow"))
    sent = stack.manage("send", feed_of(3), "--to", "slow", "--wait", "--timeout", "1", "--json")
    assert sent.code == 3
    assert "1 s" in sent.err
    assert says_one_sentence(sent), sent.err
    stack.wait(lambda: stack.feed(sent.last["id"]).succeeded == 3, within=20, until="its three rows")
