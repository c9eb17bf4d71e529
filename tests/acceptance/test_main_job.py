"""The main job: a file goes in at the command line, every row arrives, and the exit code says so."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.ledger import arrivals, assert_books_closed, assert_each_arrived
from tests.processes import Stack
from tests.third_party import RunningThirdParty

pytestmark = pytest.mark.processes


def test_a_file_sent_with_wait_arrives_whole_and_exits_with_zero(
    stack: Stack, third_party: RunningThirdParty, feed_of: Callable[[int], Path]
) -> None:
    # Given a destination that takes everything
    third_party.behave("main", ms=5)
    added = stack.manage("add_destination", "main", third_party.url("/main"), "--concurrency", "8")
    assert (added.code, added.err) == (0, "")
    # When a file is sent and waited for
    sent = stack.manage("send", feed_of(300), "--to", "main", "--wait", "--json")
    # Then the exit code, the last line, the third party's ledger and ours agree
    assert (sent.code, sent.err) == (0, "")
    counts = {"total": 300, "invalid": 0, "pending": 0, "succeeded": 300, "failed": 0, "cancelled": 0}
    assert sent.last == {"id": sent.last["id"], "status": "completed", "rows": counts}
    found = arrivals(third_party, "/main")
    assert_each_arrived(found, range(1, 301))
    assert {entry["feed"] for entry in found.entries} == {sent.last["id"]}
    assert {entry["method"] for entry in found.entries} == {"POST"}
    assert_books_closed(stack, sent.last["id"])


def test_without_a_mapping_the_row_arrives_as_a_json_object(
    stack: Stack, third_party: RunningThirdParty, tmp_path: Path
) -> None:
    third_party.behave("plain")
    stack.add_destination("plain", third_party.url("/plain"))
    file = tmp_path / "feed.csv"
    file.write_text('sku,name\n007,"Café, large"\n')
    feed = stack.send(file, to="plain")
    stack.wait_for_end(feed, within=20)
    [entry] = arrivals(third_party, "/plain").entries
    assert json.loads(entry["body"]) == {"sku": "007", "name": "Café, large"}
    assert entry["headers"]["content-type"].startswith("application/json")


def test_rows_that_fail_or_are_invalid_are_counted_and_exit_with_one(
    stack: Stack, third_party: RunningThirdParty, tmp_path: Path
) -> None:
    # Given a file with two rows of the wrong length, and a third party that refuses two others
    refused = {"status": 422, "body": '{"error": "no such category"}'}
    third_party.behave("mixed", rows={"2": refused, "9": refused})
    stack.add_destination("mixed", third_party.url("/mixed"))
    lines = [f"SKU-{number},{number}" for number in range(1, 11)]
    lines[3], lines[5] = "SKU-4", "SKU-6,6,6"
    file = tmp_path / "feed.csv"
    file.write_text("sku,stock\n" + "\n".join(lines) + "\n")
    # When it is sent
    sent = stack.manage("send", file, "--to", "mixed", "--wait", "--json")
    # Then the good ones went, and each of the others has its reason
    assert (sent.code, sent.err) == (1, "")
    assert sent.last["status"] == "completed"
    assert sent.last["rows"] == {
        "total": 10, "invalid": 2, "pending": 0, "succeeded": 6, "failed": 4, "cancelled": 0,
    }  # fmt: skip
    assert_each_arrived(arrivals(third_party, "/mixed"), set(range(1, 11)) - {4, 6})
    assert_books_closed(stack, sent.last["id"])
    rows = stack.sql("SELECT number, line, error FROM feeds_row WHERE outcome = 'failed' ORDER BY number")
    assert [(number, line) for number, line, _ in rows] == [(2, 3), (4, 5), (6, 7), (9, 10)]
    assert all(error for _, _, error in rows)


def test_the_progress_goes_to_stderr_and_the_sum_to_stdout(
    stack: Stack, third_party: RunningThirdParty, feed_of: Callable[[int], Path]
) -> None:
    third_party.behave("bar")
    stack.add_destination("bar", third_party.url("/bar"))
    sent = stack.manage("send", feed_of(20), "--to", "bar", "--wait")
    assert (sent.code, sent.out) == (0, "20 of 20 rows arrived.\n")
    assert "20/20" in sent.err


def test_without_wait_it_is_accepted_at_once(
    stack: Stack, third_party: RunningThirdParty, feed_of: Callable[[int], Path]
) -> None:
    third_party.behave("later")
    stack.add_destination("later", third_party.url("/later"))
    sent = stack.manage("send", feed_of(5), "--to", "later", "--json")
    assert (sent.code, sent.last["status"]) == (0, "checking")
    stack.wait(
        lambda: arrivals(third_party, "/later").rows == set(range(1, 6)), within=20, until="its five rows"
    )
