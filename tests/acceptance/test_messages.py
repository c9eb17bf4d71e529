"""The broker only wakes workers up: its messages may come twice, late or never, and leases may be stolen."""

import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.acceptance.conftest import ONE_OF_EACH
from tests.acceptance.ledger import arrivals, assert_all_succeeded, assert_each_arrived, watch
from tests.acceptance.proxy import Proxy
from tests.acceptance.stores import BROKER_IS_A_SERVER
from tests.processes import Stack
from tests.third_party import RunningThirdParty

pytestmark = pytest.mark.processes

EXECUTE = "deliveries.execute_delivery"
HAND_OVER_HOLD = 10.0  # seconds after which a message that nobody claimed counts as lost
PUBLISHED_WITHIN = 2.0 + 1.0  # seconds, and one for a busy machine
CLOSED_WITHIN = 4.0  # seconds that a RabbitMQ which says nothing is given to close channel and connection


def lease_all(stack: Stack, destination_id: int, rows: int) -> list[tuple[int, str]]:
    """Lets the relay hand rows over that wait in a paused destination, to a worker that stands still.

    Returns the leases: (id, token).
    """
    ready = "SELECT count(*) FROM outbox_handling h JOIN outbox_lane l ON l.id = h.lane_id"
    ready += f" WHERE h.state = 'ready' AND l.handler = '{EXECUTE}'"
    stack.wait(lambda: stack.sql(ready)[0][0] == rows, within=20, until=f"{rows} rows to wait")
    stack.wait(lambda: not stack.sql("SELECT 1 FROM outbox_lease"), within=20, until="idle workers")
    stack.freeze("worker")
    stack.call("tests.acceptance.console.resume_destination", destination_id)

    def leases() -> list[tuple[int, str]]:
        # Its heart beats on, however long this takes: the relay hands nothing to the dead.
        stack.sql("UPDATE outbox_heartbeat SET seen_at = %s", datetime.now(UTC))
        handed_over = "SELECT id, token FROM outbox_lease WHERE state = 'handed_over' AND handler = %s"
        found = stack.sql(handed_over, EXECUTE)
        return [(lease_id, str(uuid.UUID(str(token)))) for lease_id, token in found]

    return stack.wait(leases, within=8, until="leases on their way")


def test_a_message_delivered_twice_sends_once(
    stack: Stack, third_party: RunningThirdParty, feed_of: Callable[[int], Path]
) -> None:
    # Given leases whose messages lie in the broker
    third_party.behave("twice", ms=20)
    destination = stack.add_destination("twice", third_party.url("/twice"), concurrency=8)
    stack.call("tests.acceptance.console.pause_destination", destination)
    feed = stack.send(feed_of(60), to="twice")
    leases = lease_all(stack, destination, 60)
    # When each message comes three times, at once and while the first is at work
    for lease_id, token in leases * 2:
        stack.call("tests.acceptance.console.repeat_message", EXECUTE, lease_id, token)
    stack.thaw("worker")
    watch(lambda: third_party.stats()["per_path"].get("/twice", 0) > 5, within=20, until="first requests")
    for lease_id, token in leases:
        stack.call("tests.acceptance.console.repeat_message", EXECUTE, lease_id, token)
    stack.wait_for_end(feed, within=30)
    # And once more when all is done
    for lease_id, token in leases:
        stack.call("tests.acceptance.console.repeat_message", EXECUTE, lease_id, token)
    time.sleep(0.5)
    # Then every message was understood, and no row was sent twice
    assert "lease.unclaimed" not in stack.log("worker")
    assert_each_arrived(arrivals(third_party, "/twice"), range(1, 61))
    assert_all_succeeded(stack, feed, 60)


def test_a_lease_stolen_from_a_slow_worker_leaves_it_nothing_to_write(
    stack: Stack, third_party: RunningThirdParty, feed_of: Callable[[int], Path]
) -> None:
    # Given requests that take their time
    third_party.behave("stolen", ms=3000)
    stack.add_destination("stolen", third_party.url("/stolen"), concurrency=8)
    feed = stack.send(feed_of(4), to="stolen")
    watch(lambda: third_party.stats()["in_flight"] == 4, within=20, until="four requests in flight")
    # When their lease ends before they do, and their rows are given to others
    third_party.behave("stolen", ms=50)
    long_ago = datetime.now(UTC) - timedelta(minutes=1)
    stack.sql("UPDATE outbox_lease SET until = %s WHERE handler = %s", long_ago, EXECUTE)
    stack.wait_for_end(feed, within=30)
    # Then the rows were sent again under the same keys, and each has one outcome, the second's
    stack.wait(lambda: "lease.lost" in stack.log("worker"), within=20, until="the first to lose its lease")
    assert_each_arrived(arrivals(third_party, "/stolen"), range(1, 5), repeated_at_most=4)
    outcomes = "SELECT count(*) FROM outbox_outboxevent WHERE conversation_id = %s AND type = %s"
    assert stack.sql(outcomes, feed, "DeliverySucceeded") == [(4,)]
    assert stack.sql("SELECT max(seq), min(seq) FROM deliveries_delivery WHERE group_id = %s", feed) == [
        (1, 1)
    ]
    sends = "SELECT sends FROM deliveries_attempt a JOIN deliveries_delivery d ON d.id = a.delivery_id"
    assert stack.sql(f"{sends} WHERE group_id = %s", feed) == [(2,)] * 4
    assert_all_succeeded(stack, feed, 4)


def test_a_broker_flushed_in_the_middle_costs_time_and_nothing_else(
    stack: Stack, third_party: RunningThirdParty, feed_of: Callable[[int], Path]
) -> None:
    # Given leases whose messages lie in the broker
    third_party.behave("flushed", ms=5)
    destination = stack.add_destination("flushed", third_party.url("/flushed"), concurrency=8)
    stack.call("tests.acceptance.console.pause_destination", destination)
    feed = stack.send(feed_of(500), to="flushed")
    lease_all(stack, destination, 500)
    # When the broker loses everything; its server would give back what a living worker had been given
    stack.kill("worker")
    stack.broker.flush(stack.queues())
    flushed = time.monotonic()
    stack.start("worker")
    # Then the rows go as soon as their messages count as lost
    stack.wait(
        lambda: len(arrivals(third_party, "/flushed").entries) > 50,
        within=HAND_OVER_HOLD + 10,
        until="new messages",
    )
    assert time.monotonic() - flushed < HAND_OVER_HOLD + 10
    # And if it happens again while they go, all the same
    stack.broker.flush(stack.queues())
    stack.wait_for_end(feed, within=40)
    assert_each_arrived(arrivals(third_party, "/flushed"), range(1, 501))
    assert_all_succeeded(stack, feed, 500)
    counted = (
        "SELECT sum(tries), sum(deaths) FROM outbox_handling h JOIN outbox_outboxevent e ON e.id = h.event_id"
    )
    assert stack.sql(f"{counted} WHERE e.conversation_id = %s", feed) == [(0, 0)]


def test_with_the_broker_away_a_feed_is_accepted_and_waits(
    tmp_path: Path, third_party: RunningThirdParty, feed_of: Callable[[int], Path]
) -> None:
    if not BROKER_IS_A_SERVER:
        pytest.skip("the embedded broker is a file: it can be lost, not away")
    # Given a broker behind a wire that can be cut
    third_party.behave("away", ms=5)
    with Stack(tmp_path / "stack") as stack, Proxy(stack.broker.url) as proxy:
        stack.env["BROKER_URL"] = proxy.url
        stack.start(*ONE_OF_EACH)
        stack.add_destination("away", third_party.url("/away"))
        before = stack.manage("outbox", "status")
        # When it is cut
        proxy.cut()
        sent = stack.manage("send", feed_of(200), "--to", "away", "--json")
        # Then the feed is accepted within two seconds, beside the start of the process, and waits
        assert (sent.code, sent.err) == (0, "")
        assert sent.seconds < 2.0 + before.seconds
        feed = uuid.UUID(sent.last["id"])
        time.sleep(3.0)
        assert stack.feed(feed).status == "checking"
        # And goes on when the wire is mended
        proxy.mend()
        stack.wait_for_end(feed, within=40)
        assert_each_arrived(arrivals(third_party, "/away"), range(1, 201))
        assert_all_succeeded(stack, feed, 200)
        assert stack.sql("SELECT sum(tries) FROM outbox_handling") == [(0,)]


def test_a_broker_that_stands_still_holds_no_publisher_up_for_long(tmp_path: Path) -> None:
    if not BROKER_IS_A_SERVER:
        pytest.skip("the embedded broker is a file: it does not stand still")
    with Stack(tmp_path / "stack") as stack, Proxy(stack.broker.url) as proxy:
        # Given a connection that works
        stack.env["BROKER_URL"] = proxy.url
        assert stack.call("tests.acceptance.console.publish")["sent"]
        # When nothing comes back over it any more
        proxy.freeze()
        told = stack.call("tests.acceptance.console.publish")
        # Then the publish has failed after two seconds, and the time in which such a connection is closed
        assert not told["sent"]
        assert told["seconds"] < PUBLISHED_WITHIN + (CLOSED_WITHIN if proxy.url.startswith("amqp") else 0.0)
