"""Processes that die or stand still: nothing is lost, and what is repeated was in flight."""

import random
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import ONE_OF_EACH
from tests.acceptance.ledger import arrivals, assert_all_succeeded, assert_each_arrived, watch
from tests.acceptance.stores import PostgresDatabase
from tests.processes import Stack
from tests.third_party import RunningThirdParty

pytestmark = pytest.mark.processes

RUN_LEASE = 20.0  # seconds after which a dead worker's batch may be taken by another
START_BUDGET = 5.5  # seconds after which a batch starts nothing more, and a bit
FLUSH = 50  # outcomes that one batch settles together
EXECUTE = "deliveries.execute_delivery"
# All that a worker may change.
WRITTEN_BY_WORKERS = (
    "SELECT id, status, seq, attempt, fail_count, maybe_arrived FROM deliveries_delivery ORDER BY id",
    "SELECT delivery_id, number, outcome, sends FROM deliveries_attempt ORDER BY delivery_id, number",
    "SELECT id, type, correlation_id, occurrence FROM outbox_outboxevent ORDER BY id",
    "SELECT id, state, tries, deaths, lease_id FROM outbox_handling ORDER BY id",
    "SELECT number, outcome, outcome_seq, attempts FROM feeds_row ORDER BY number",
    "SELECT id, status, round, succeeded, failed, cancelled, pending FROM feeds_feed ORDER BY id",
)


def everything(stack: Stack) -> list[Any]:
    return [stack.sql(statement) for statement in WRITTEN_BY_WORKERS]


def test_a_worker_killed_between_answer_and_commit_repeats_only_what_was_in_flight(
    new_stack: Stack, third_party: RunningThirdParty, feed_of: Callable[[int], Path]
) -> None:
    # Given a worker that sends sixteen requests at once
    new_stack.start(*ONE_OF_EACH)
    third_party.behave("killed", ms=100)
    new_stack.add_destination("killed", third_party.url("/killed"), concurrency=16)
    feed = new_stack.send(feed_of(260), to="killed")

    def answered_but_not_committed() -> int:
        stats = third_party.stats()
        answered = stats["per_path"].get("/killed", 0) - stats["in_flight"]
        return int(answered) - new_stack.deliveries("succeeded")

    watch(lambda: third_party.stats()["per_path"].get("/killed", 0) > 60, within=20, until="60 requests")
    watch(lambda: answered_but_not_committed() >= 10, within=20, until="answers that are not yet committed")
    # When it is killed with answers in its hands
    batches = new_stack.sql("SELECT count(*) FROM outbox_lease WHERE handler = %s", EXECUTE)[0][0]
    new_stack.kill("worker")
    died = time.monotonic()
    third_party.behave("killed", ms=5)
    new_stack.start("worker")
    # Then its successor takes the rest up once the lease is over
    new_stack.wait_for_end(feed, within=RUN_LEASE + 30)
    took = time.monotonic() - died
    assert took < RUN_LEASE + 30
    found = arrivals(third_party, "/killed")
    assert found.repeated > 0, "It was not killed between an answer and its commit."
    assert_each_arrived(found, range(1, 261), repeated_at_most=16 + FLUSH * batches)
    assert_all_succeeded(new_stack, feed, 260)


def test_a_relay_killed_between_lease_and_publish_delays_and_repeats_nothing(
    new_stack: Stack, third_party: RunningThirdParty, feed_of: Callable[[int], Path]
) -> None:
    # Given several feeds on their way, so that the relay is busy
    new_stack.start(*ONE_OF_EACH)
    third_party.behave("relayed", ms=2)
    feeds = []
    for name in ("one", "two", "three"):
        new_stack.add_destination(name, third_party.url(f"/relayed/{name}"), concurrency=4)
        feeds.append(new_stack.send(feed_of(1500), to=name))
    watch(lambda: third_party.stats()["per_path"].get("/relayed", 0) > 50, within=20, until="first requests")
    # When the relay is killed with leases that it has committed and not yet published
    orphans = _kill_relay_before_it_publishes(new_stack)
    new_stack.start("relay")
    # And twice more, wherever it happens to be, and beat with it
    for _ in range(2):
        time.sleep(random.uniform(0.1, 0.6))
        new_stack.kill("relay")
        new_stack.kill("beat")
        new_stack.start("relay", "beat")
    # Then every row arrives once, and no try is counted
    for feed, name in zip(feeds, ("one", "two", "three"), strict=True):
        new_stack.wait_for_end(feed, within=60)
        assert_each_arrived(arrivals(third_party, f"/relayed/{name}"), range(1, 1501))
        assert_all_succeeded(new_stack, feed, 1500)
    assert orphans
    assert new_stack.sql("SELECT sum(tries), sum(deaths) FROM outbox_handling") == [(0, 0)]


def _kill_relay_before_it_publishes(stack: Stack) -> set[int]:
    """Stops it at random until it stands between a lease's commit and its message; returns those leases."""

    def handed_over() -> set[int]:
        return {row[0] for row in stack.sql("SELECT id FROM outbox_lease WHERE state = 'handed_over'")}

    for _ in range(20):
        for _ in range(100):
            stack.freeze("relay", anywhere=True)
            time.sleep(0.05)
            # A message that was sent is claimed soon; what is still there after that was never sent.
            if before := handed_over():
                time.sleep(0.3)
                if before & handed_over():
                    break
            stack.thaw("relay")
            time.sleep(random.uniform(0.002, 0.02))
        stack.kill("relay")
        time.sleep(0.5)
        if orphans := handed_over():
            return orphans
        stack.start("relay")
    return set()


def test_without_beat_the_work_waits_and_goes_on_with_its_successor(
    new_stack: Stack, third_party: RunningThirdParty, feed_of: Callable[[int], Path]
) -> None:
    # Given rows that all fail once, to be sent again after two seconds
    new_stack.start(*ONE_OF_EACH)
    third_party.behave("beaten", fail_first=1, fail_status=425)
    new_stack.add_destination("beaten", third_party.url("/beaten"), retry_first=2.0)
    # When beat is killed
    new_stack.kill("beat")
    feed = new_stack.send(feed_of(3), to="beaten")
    new_stack.wait(lambda: len(arrivals(third_party, "/beaten").entries) == 3, within=20, until="3 requests")
    time.sleep(4.0)
    # Then nobody wakes what has become due
    assert len(arrivals(third_party, "/beaten").entries) == 3
    # Until there is a beat again
    new_stack.start("beat")
    new_stack.wait_for_end(feed, within=20)
    assert_each_arrived(arrivals(third_party, "/beaten"), range(1, 4), repeated_at_most=3)
    assert_all_succeeded(new_stack, feed, 3)


def test_a_worker_that_stood_still_past_its_lease_writes_nothing(
    new_stack: Stack, third_party: RunningThirdParty, feed_of: Callable[[int], Path]
) -> None:
    _stand_still_past_the_lease(new_stack, third_party, feed_of(40), steal=True)


@pytest.mark.slow
def test_a_worker_that_stood_still_until_its_lease_ran_out_writes_nothing(
    new_stack: Stack, third_party: RunningThirdParty, feed_of: Callable[[int], Path]
) -> None:
    _stand_still_past_the_lease(new_stack, third_party, feed_of(40), steal=False)


def _stand_still_past_the_lease(
    stack: Stack, third_party: RunningThirdParty, file: Path, *, steal: bool
) -> None:
    # Given a worker with requests under way
    stack.start(*ONE_OF_EACH)
    third_party.behave("frozen", ms=500)
    stack.add_destination("frozen", third_party.url("/frozen"), concurrency=8)
    feed = stack.send(file, to="frozen")
    watch(lambda: third_party.stats()["in_flight"] >= 4, within=20, until="four requests in flight")
    # When it stands still, and another takes its batches over
    stack.freeze("worker")
    frozen_at = time.monotonic()
    stack.start("worker2")
    if steal:
        long_ago = datetime.now(UTC) - timedelta(minutes=1)
        stack.sql("UPDATE outbox_lease SET until = %s WHERE state = 'running'", long_ago)
    # On RabbitMQ the frozen worker keeps what was already given to it, until each message counts as lost.
    stack.wait_for_end(feed, within=60)
    assert_each_arrived(arrivals(third_party, "/frozen"), range(1, 41), repeated_at_most=8 + 2 * FLUSH)
    assert_all_succeeded(stack, feed, 40)
    before, sent = everything(stack), len(arrivals(third_party, "/frozen").entries)
    # Then, when it wakes up, it finds its lease gone, sends no more, and changes nothing. By its own clock a
    # stolen lease is good, so it is the time for starting that must have gone by.
    time.sleep(max(0.0, frozen_at + START_BUDGET - time.monotonic()))
    stack.thaw("worker")
    stack.wait(lambda: "lease.lost" in stack.log("worker"), within=20, until="the worker to lose its lease")
    stack.stop("worker")
    assert everything(stack) == before
    assert len(arrivals(third_party, "/frozen").entries) == sent


def test_a_worker_told_to_stop_finishes_what_it_has_begun_and_repeats_nothing(
    new_stack: Stack, third_party: RunningThirdParty, feed_of: Callable[[int], Path]
) -> None:
    # Given a worker in the middle of a feed
    new_stack.start(*ONE_OF_EACH)
    third_party.behave("stopped", ms=200)
    new_stack.add_destination("stopped", third_party.url("/stopped"), concurrency=8)
    feed = new_stack.send(feed_of(150), to="stopped")
    watch(lambda: third_party.stats()["per_path"].get("/stopped", 0) > 40, within=20, until="40 requests")
    # When it is told to stop
    new_stack.stop("worker", within=10)
    at_stop = arrivals(third_party, "/stopped")
    # Then it has committed what it had sent, and given the rest back
    assert new_stack.deliveries("succeeded") == len(at_stop.entries) < 150
    assert not new_stack.sql("SELECT 1 FROM outbox_lease WHERE state = 'running'")
    new_stack.start("worker")
    new_stack.wait_for_end(feed, within=30)
    assert_each_arrived(arrivals(third_party, "/stopped"), range(1, 151))
    assert_all_succeeded(new_stack, feed, 150)
    assert new_stack.sql("SELECT sum(tries), sum(deaths) FROM outbox_handling") == [(0, 0)]


def test_workers_with_nothing_to_do_stop_as_soon_as_they_are_told(new_stack: Stack) -> None:
    new_stack.start("worker", "relay")
    new_stack.wait(lambda: " ready." in new_stack.log("worker"), within=20, until="the worker to be ready")
    time.sleep(1.0)  # and then to wait for messages
    new_stack.stop("worker", within=6)
    new_stack.stop("relay", within=6)


def test_beat_told_to_stop_in_the_middle_of_a_query_ends_with_it(new_stack: Stack) -> None:
    if not isinstance(new_stack.database, PostgresDatabase):
        pytest.skip("a query of SQLite does not wait in Python")
    new_stack.start("beat")
    new_stack.wait(lambda: "Sending due task relay" in new_stack.log("beat"), within=20, until="a tick")
    # Given a query of beat that waits for somebody
    with new_stack.database.connect() as other:
        other.execute("LOCK TABLE django_celery_beat_periodictasks IN ACCESS EXCLUSIVE MODE")
        waiting = "SELECT 1 FROM pg_stat_activity"
        waiting += " WHERE wait_event_type = 'Lock' AND datname = current_database()"
        new_stack.wait(lambda: new_stack.sql(waiting), within=20, until="beat to wait")
        # When it is told to stop, and the query ends
        new_stack.tell_to_stop("beat")
        time.sleep(0.5)  # the signal has to be met by the query, not by its end
    # Then beat ends too
    new_stack.wait_until_gone("beat", within=10)
