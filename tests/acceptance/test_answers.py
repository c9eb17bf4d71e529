"""What the third party answers decides what becomes of a row, and people can pause, cancel and retry."""

import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.acceptance.conftest import ONE_OF_EACH
from tests.acceptance.ledger import (
    arrivals,
    assert_all_succeeded,
    assert_books_closed,
    assert_each_arrived,
    watch,
)
from tests.processes import Stack
from tests.third_party import RunningThirdParty

pytestmark = pytest.mark.processes

PAUSE = "tests.acceptance.console.pause_destination"
RESUME = "tests.acceptance.console.resume_destination"
PAUSED_WITHIN = 1.0  # seconds after which nothing starts any more


def fail_counts(stack: Stack, feed: uuid.UUID) -> int:
    """The attempts of the feed's deliveries that were counted against their schedule."""
    found: int = stack.sql("SELECT sum(fail_count) FROM deliveries_delivery WHERE group_id = %s", feed)[0][0]
    return found


def lane(stack: Stack, destination: int, column: str) -> object:
    return stack.sql(
        f"SELECT l.{column} FROM outbox_lane l JOIN deliveries_destination d ON d.lane_id = l.id"
        " WHERE d.id = %s",
        destination,
    )[0][0]


def test_a_429_holds_the_whole_destination_and_counts_no_attempt(
    stack: Stack, third_party: RunningThirdParty, feed_of: Callable[[int], Path]
) -> None:
    # Given a third party that asks for two seconds of peace
    third_party.behave("busy", fail_next=1, fail_status=429, retry_after="2", ms=20)
    stack.add_destination("busy", third_party.url("/busy"), concurrency=4)
    # When a feed meets that
    feed = stack.send(feed_of(60), to="busy")
    stack.wait_for_end(feed, within=30)
    # Then nothing came in these seconds, but what was under way
    found = arrivals(third_party, "/busy")
    [throttled] = [entry["at"] for entry in found.entries if entry["status"] == 429]
    assert not [at for at in found.times if throttled + PAUSED_WITHIN < at < throttled + 2.0]
    assert max(found.times) > throttled + 2.0
    # And no attempt was counted
    assert fail_counts(stack, feed) == 0
    assert_each_arrived(found, range(1, 61), repeated_at_most=1)
    assert_all_succeeded(stack, feed, 60)


def test_three_refusals_pause_the_destination_and_resuming_loses_nothing(
    stack: Stack, third_party: RunningThirdParty, feed_of: Callable[[int], Path]
) -> None:
    # Given a third party that no longer knows our key
    third_party.behave("locked", status=401, ms=20)
    destination = stack.add_destination("locked", third_party.url("/locked"), concurrency=4)
    # When a feed is sent there
    feed = stack.send(feed_of(50), to="locked")
    # Then the destination is paused after a few answers
    stack.wait(lambda: lane(stack, destination, "paused"), within=20, until="the pause")
    time.sleep(PAUSED_WITHIN)
    refused = len(arrivals(third_party, "/locked").entries)
    assert 3 <= refused <= 3 + 4
    time.sleep(1.5)
    assert len(arrivals(third_party, "/locked").entries) == refused
    assert stack.feed(feed).pending == 50
    # And when the key is mended and the destination resumed, every row goes
    third_party.behave("locked", ms=5)
    assert stack.call(RESUME, destination)
    stack.wait_for_end(feed, within=30)
    assert_each_arrived(arrivals(third_party, "/locked"), range(1, 51), repeated_at_most=refused)
    assert fail_counts(stack, feed) == 0
    assert_all_succeeded(stack, feed, 50)


def test_five_failures_open_the_breaker_and_probes_close_it(
    stack: Stack, third_party: RunningThirdParty, feed_of: Callable[[int], Path]
) -> None:
    _break_and_mend(stack, third_party, feed_of(16), hasten=True)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_breaker_at_its_own_pace(
    stack: Stack, third_party: RunningThirdParty, feed_of: Callable[[int], Path]
) -> None:
    _break_and_mend(stack, third_party, feed_of(16), hasten=False)


def _break_and_mend(stack: Stack, third_party: RunningThirdParty, file: Path, *, hasten: bool) -> None:
    name = f"broken{'' if hasten else '-slowly'}"
    # Given a third party that fails
    third_party.behave(name, status=500, ms=20)
    destination = stack.add_destination(name, third_party.url(f"/{name}"), concurrency=4, retry_first=1.0)

    def count() -> int:
        return len(arrivals(third_party, f"/{name}").entries)

    # When a feed is sent there
    feed = stack.send(file, to=name)
    # Then the destination is held after five failures, of which no more than these count
    stack.wait(lambda: lane(stack, destination, "probing"), within=20, until="the breaker to open")
    time.sleep(PAUSED_WITHIN)
    before_probes = count()
    assert 5 <= before_probes <= 5 + 4
    stack.wait(lambda: fail_counts(stack, feed) == 5, within=5, until="five attempts to be counted")
    # And one delivery at a time probes it, each time another, spending no attempt
    probes = []
    for number in (1, 2):
        if hasten:
            _end_hold(stack, destination)
        stack.wait(lambda n=number: count() == before_probes + n, within=40, until=f"probe {number}")  # type: ignore[misc]
        time.sleep(PAUSED_WITHIN)
        assert count() == before_probes + number
        probes.append(arrivals(third_party, f"/{name}").entries[-1]["row"])
    assert probes[0] != probes[1]
    assert fail_counts(stack, feed) == 5
    # And when a probe goes through, all others follow
    third_party.behave(name, ms=600)
    if hasten:
        _end_hold(stack, destination)
    stack.wait_for_end(feed, within=100)
    found = arrivals(third_party, f"/{name}")
    after = found.times[before_probes + 2 :]
    assert after[1] - after[0] >= 0.6, "The third probe was not alone."
    assert fail_counts(stack, feed) == 5
    assert lane(stack, destination, "held_until") is None
    assert_each_arrived(found, range(1, 17), repeated_at_most=before_probes + 2)
    assert_all_succeeded(stack, feed, 16)


def _end_hold(stack: Stack, destination: int) -> None:
    """As if the time had passed."""
    stack.wait(lambda: lane(stack, destination, "held_until"), within=5, until="the hold")
    stack.sql(
        "UPDATE outbox_lane SET held_until = %s WHERE id ="
        " (SELECT lane_id FROM deliveries_destination WHERE id = %s)",
        datetime.now(UTC) + timedelta(seconds=0.1),
        destination,
    )


def test_what_the_third_party_refuses_for_good_is_not_sent_again(
    stack: Stack, third_party: RunningThirdParty, feed_of: Callable[[int], Path]
) -> None:
    # Given a third party that refuses three rows, one of them with a redirect
    elsewhere = {"status": 302, "headers": {"Location": third_party.url("/elsewhere")}}
    third_party.behave("strict", rows={"2": {"status": 400}, "3": {"status": 404}, "5": elsewhere})
    stack.add_destination("strict", third_party.url("/strict"))
    # When a feed is sent there
    feed = stack.send(feed_of(6), to="strict")
    stack.wait_for_end(feed, within=20)
    # Then they have failed at the first attempt, each with its reason, and the redirect was not followed
    assert_each_arrived(arrivals(third_party, "/strict"), range(1, 7))
    assert not arrivals(third_party, "/elsewhere").entries
    failed = stack.sql(
        "SELECT number, code, attempts, error FROM feeds_row WHERE feed_id = %s AND outcome = 'failed'"
        " ORDER BY number",
        feed,
    )
    assert [row[:3] for row in failed] == [(2, "http_400", 1), (3, "http_404", 1), (5, "http_302", 1)]
    assert "redirect" in failed[2][3]
    assert (stack.feed(feed).succeeded, stack.feed(feed).failed) == (3, 3)
    assert_books_closed(stack, feed)


def test_an_address_that_is_not_allowed_is_refused_naming_the_setting(
    stack: Stack, feed_of: Callable[[int], Path]
) -> None:
    stack.add_destination("inside", "http://10.1.2.3/orders")
    feed = stack.send(feed_of(3), to="inside")
    stack.wait_for_end(feed, within=20)
    assert stack.feed(feed).failed == 3
    errors = stack.sql("SELECT DISTINCT code, error FROM feeds_row WHERE feed_id = %s", feed)
    assert [code for code, _ in errors] == ["refused_address"]
    assert "10.1.2.3 is a private address" in errors[0][1]
    assert "ALLOWED_NETWORKS" in errors[0][1]
    assert_books_closed(stack, feed)


def test_after_a_pause_nothing_starts_and_after_resuming_all_goes_on(
    stack: Stack, third_party: RunningThirdParty, feed_of: Callable[[int], Path]
) -> None:
    # Given a feed on its way
    third_party.behave("paused", ms=30)
    destination = stack.add_destination("paused", third_party.url("/paused"), concurrency=16)
    feed = stack.send(feed_of(900), to="paused")

    def arrived() -> int:
        return len(arrivals(third_party, "/paused").entries)

    for pause, resume, whom in (
        ("feeds.commands.pause", "feeds.commands.resume", str(feed)),
        (PAUSE, RESUME, destination),
    ):
        before = arrived()
        watch(lambda before=before: arrived() > before + 50, within=20, until="rows to be on their way")  # type: ignore[misc]
        # When it, or its destination, is paused
        stack.call(pause, whom)
        paused = time.time()
        time.sleep(PAUSED_WITHIN + 1.5)
        # Then nothing starts later than a second after that
        assert max(arrivals(third_party, "/paused").times) < paused + PAUSED_WITHIN
        assert stack.feed(feed).pending > 0
        # And what is left goes when it is resumed
        stack.call(resume, whom)
    stack.wait_for_end(feed, within=30)
    assert_each_arrived(arrivals(third_party, "/paused"), range(1, 901))
    assert_all_succeeded(stack, feed, 900)


def test_cancelling_in_the_middle_ends_what_was_not_on_its_way(
    stack: Stack, third_party: RunningThirdParty, feed_of: Callable[[int], Path]
) -> None:
    # Given a feed on its way
    third_party.behave("cancelled", ms=100)
    stack.add_destination("cancelled", third_party.url("/cancelled"), concurrency=8)
    feed = stack.send(feed_of(1200), to="cancelled")
    watch(lambda: len(arrivals(third_party, "/cancelled").entries) > 60, within=20, until="60 requests")
    # When it is cancelled
    stack.call("feeds.commands.cancel", feed)
    cancelled = time.time()
    ended = stack.wait_for_end(feed, within=20)
    stack.assert_at_rest()
    # Then what had been sent has succeeded, and all else is cancelled
    found = arrivals(third_party, "/cancelled")
    assert max(found.times) < cancelled + PAUSED_WITHIN
    assert found.repeated == 0
    assert ended.status == "cancelled"
    assert stack.feed(feed).succeeded == len(found.rows) < 1200
    assert stack.feed(feed).cancelled == 1200 - len(found.rows)
    assert_books_closed(stack, feed)


def test_retrying_what_failed_sends_only_that(
    stack: Stack, third_party: RunningThirdParty, feed_of: Callable[[int], Path]
) -> None:
    # Given a feed of which two rows failed
    third_party.behave("again", rows={"2": {"status": 422}, "7": {"status": 422}})
    stack.add_destination("again", third_party.url("/again"))
    feed = stack.send(feed_of(10), to="again")
    assert stack.wait_for_end(feed, within=20).failed == 2
    stack.assert_at_rest()
    # When the third party has mended its side and the failed rows are retried
    third_party.behave("again")
    stack.call("feeds.errands.retry_failed", feed)
    stack.wait(lambda: stack.feed(feed).succeeded == 10, within=20, until="ten successes")
    # Then only they went again, under their keys, and the feed was completed a second time
    found = arrivals(third_party, "/again")
    assert sorted(int(entry["row"]) for entry in found.entries[10:]) == [2, 7]
    assert_each_arrived(found, range(1, 11), repeated_at_most=2)
    stack.wait(lambda: stack.feed(feed).status == "completed", within=10, until="its completion")
    assert stack.feed(feed).round == 2
    assert_books_closed(stack, feed)


def test_giving_up_ends_what_still_retries_by_name(
    stack: Stack, third_party: RunningThirdParty, feed_of: Callable[[int], Path]
) -> None:
    # Given a feed of which two rows fail and would be tried again in a minute
    third_party.behave("tired", rows={"3": {"status": 503}, "8": {"status": 503}})
    stack.add_destination("tired", third_party.url("/tired"))
    feed = stack.send(feed_of(10), to="tired")
    stack.wait(lambda: stack.feed(feed).succeeded == 8, within=20, until="eight successes")
    stack.wait(lambda: fail_counts(stack, feed) == 2, within=10, until="two counted failures")
    # When somebody gives up
    stack.call("feeds.errands.give_up", feed, by="olga")
    ended = stack.wait_for_end(feed, within=20)
    # Then the feed is completed, and says who gave up
    assert (ended.status, ended.succeeded, ended.failed) == ("completed", 8, 2)
    said = stack.sql("SELECT code, error FROM feeds_row WHERE feed_id = %s AND outcome = 'failed'", feed)
    assert set(said) == {("given_up", "Given up by olga.")}
    assert arrivals(third_party, "/tired").repeated == 0


def test_a_trial_waits_through_a_killed_worker_and_the_rest_is_sent_once(
    new_stack: Stack, third_party: RunningThirdParty, feed_of: Callable[[int], Path]
) -> None:
    # Given a checked feed of which ten rows are tried
    stack = new_stack
    stack.start(*ONE_OF_EACH)
    third_party.behave("tried", ms=5)
    stack.add_destination("tried", third_party.url("/tried"))
    feed = uuid.UUID(stack.call("tests.acceptance.console.upload", str(feed_of(300)), to="tried"))
    stack.wait(lambda: stack.feed(feed).status == "ready", within=20, until="the check")
    stack.call("feeds.commands.try_first", feed)
    stack.wait(lambda: stack.feed(feed).succeeded == 10, within=20, until="ten successes")
    # When the worker dies, another starts, and a person sends the rest
    stack.kill("worker")
    stack.start("worker-2")
    assert stack.feed(feed).pending == 290
    stack.call("feeds.commands.release_rest", feed)
    stack.wait_for_end(feed, within=40)
    # Then every row has arrived once, and what the dead worker was recording is recorded after its lease
    assert_each_arrived(arrivals(third_party, "/tried"), range(1, 301))
    assert_all_succeeded(stack, feed, 300, within=30)
