"""Flow control: holds, rates, slots, turns and probes, all decided at hand-over."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from outbox import board, lanes, relay, sql
from outbox.effects import EffectBatch
from outbox.models import Handling, Kind, Lane, Lease
from outbox.publishing import publish
from outbox.starts import SLOT_TOLERANCE
from tests.outbox.conftest import Noted, counted_ready, crew, expire, note, states

pytestmark = pytest.mark.django_db(transaction=True)


class Acts(EffectBatch[Noted, None]):
    done: list[str]

    def load(self, events):
        pass

    def is_wanted(self, event):
        return True

    def act(self, event):
        self.done.append(event.text)

    def record(self, acts):
        pass


@pytest.fixture
def acts(add_handler) -> list[str]:
    done: list[str] = []
    kind = type("Seen", (Acts,), {"done": done})
    add_handler("t.act", kind=Kind.EFFECT, batch=100, in_lane=True, slots=64)(kind)
    return done


def lane(key: str, **options: Any) -> int:
    return lanes.ensure("t.act", key, **options)


def fill(lane_id: int, count: int, text: str = "x") -> None:
    for start in range(0, count, 1000):
        with transaction.atomic():
            publish(*[note(text, lane_id=lane_id) for _ in range(min(1000, count - start))])


# Hold and pause


@pytest.mark.parametrize("parent", [False, True])
@pytest.mark.parametrize("how", ["pause", "hold"])
def test_nothing_of_a_closed_lane_is_handed_over_until_it_is_open(broker, acts, how, parent):
    # Given
    shop = lane("shop")
    feed = lane("feed", parent_id=shop)
    closed = shop if parent else feed
    if how == "pause":
        lanes.pause([closed], why="tea")
    else:
        lanes.hold(closed, until=sql.database_now() + timedelta(hours=1), why="429")
    other = lane("other")
    fill(feed, 10)
    fill(other, 1, "other")

    # When
    broker.settle()

    # Then
    assert acts == ["other"]
    assert states(lane_id=feed) == {"ready": 10}
    assert Lane.objects.get(id=closed).held_for == ("tea" if how == "pause" else "429")
    assert lanes.resume([closed]) == 1
    broker.settle()
    assert states() == {"done": 11}


def test_a_hold_ends_by_itself(broker, acts):
    shop = lane("shop")
    lanes.hold(shop, until=sql.database_now() - timedelta(seconds=1), why="429")
    fill(shop, 1)
    broker.settle()
    assert acts == ["x"]


def test_the_longer_of_two_holds_stands(acts):
    shop = lane("shop")
    now = sql.database_now()
    for minutes in (5, 10, 1):
        lanes.hold(shop, until=now + timedelta(minutes=minutes), why=f"{minutes} min")
    held = Lane.objects.get(id=shop)
    assert (held.held_until, held.held_for) == (now + timedelta(minutes=10), "10 min")


def writes(queries: Any) -> list[str]:
    return [q["sql"] for q in queries if q["sql"].startswith(("UPDATE", "INSERT", "DELETE", "COPY"))]


def test_to_close_or_open_a_lane_of_thousands_writes_one_row(broker, acts):
    # Given
    shop = lane("shop")
    crew(processes=0, concurrency=0)
    fill(shop, 3000)
    while relay.run_pass():
        pass

    # When
    for call in (
        lambda: lanes.pause([shop], why="tea"),
        lambda: lanes.resume([shop]),
        lambda: lanes.limit(shop, max_slots=3, interval=None, act_limit=10.0),
    ):
        with CaptureQueriesContext(connection) as queries:
            call()
        assert len(writes(queries)) == 1
        assert all("outbox_lane" in statement for statement in writes(queries))
    lanes.pause([shop], why="tea")
    before = list(Handling.objects.values())
    crew()
    for _ in range(3):
        relay.run_pass()
    assert list(Handling.objects.values()) == before


@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite locks no rows")
def test_many_lanes_are_locked_in_the_order_of_their_ids(acts):
    ids = [lane(str(i)) for i in range(5)]
    for call in (lambda: lanes.pause(reversed(ids), why="tea"), lambda: lanes.resume(reversed(ids))):
        with CaptureQueriesContext(connection) as queries:
            assert call() == 5
        first = next(q["sql"] for q in queries if "outbox_lane" in q["sql"])
        assert first.startswith('SELECT "outbox_lane"."id"')
        assert first.endswith("ORDER BY 1 ASC FOR NO KEY UPDATE")


def test_a_message_that_was_on_its_way_when_its_lane_was_closed_starts_nothing(broker, acts):
    shop = lane("shop")
    fill(shop, 3)
    relay.run_pass()
    lanes.pause([shop], why="tea")
    broker.deliver_all()
    assert acts == []
    assert states(tries=0, deaths=0) == {"waiting": 3}
    lanes.resume([shop])
    broker.settle()
    assert states() == {"done": 3}


def test_a_lane_that_drains_is_bound_by_no_limit_of_its_parent(broker, acts):
    shop = lane("shop", max_slots=1, interval=60.0)
    feed = lane("feed", parent_id=shop)
    lanes.pause([shop], why="away")
    fill(feed, 150)
    relay.run_pass()
    assert broker.messages == []
    lanes.drain(feed)
    relay.run_pass()
    assert states() == {"leased": 150}
    assert set(Lease.objects.values_list("parent_id", flat=True)) == {None}


# Slots


def test_slots_in_flight_are_never_more_than_the_lane_has(broker, acts):
    shop = lane("shop", max_slots=10)
    feeds = [lane(f"feed {i}", parent_id=shop) for i in range(3)]
    for feed in feeds:
        fill(feed, 300)
    crew(processes=8, concurrency=64)
    for _ in range(30):
        relay.run_pass()
        assert sum(Lease.objects.filter(parent_id=shop).values_list("slots", flat=True)) <= 10
        if broker.messages:
            broker.deliver()
    assert counted_ready() == {}


def test_a_lane_with_one_slot_has_one_batch_at_a_time(broker, acts):
    shop = lane("shop", max_slots=1)
    fill(shop, 300)
    relay.run_pass()
    relay.run_pass()
    assert list(Lease.objects.values_list("slots", flat=True)) == [1]


# Turns


def test_a_lane_of_ten_is_served_beside_a_lane_of_thousands(broker, acts):
    # Given one big lane, which was there first
    big, small = lane("big"), lane("small")
    crew(processes=1, concurrency=1)
    fill(big, 5000, "big")
    while relay.run_pass():
        pass
    fill(small, 10, "small")

    # When
    batches = 0
    while acts.count("small") < 10:
        relay.run_pass()
        broker.deliver()
        batches += 1

    # Then it had to wait for what was under way only
    assert batches <= 4
    assert acts.count("big") <= 400


def test_lanes_under_one_parent_share_its_rate(acts, clock, starts):
    shop = lane("shop", interval=0.05)
    feeds = [lane(f"feed {i}", parent_id=shop) for i in range(4)]
    crew(processes=0, concurrency=0)
    for feed in feeds:
        fill(feed, 1)
    relay.run_pass()
    crew()
    for feed, count in zip(feeds, (1000, 300, 200, 150), strict=True):
        fill(feed, count)
    relay.run_pass()
    assert max(len(ids) for ids in Lease.objects.values_list("ids", flat=True)) <= 40 / 4
    for _ in range(100):
        starts.take()
        clock.forward(0.2)
    done = [Handling.objects.filter(lane_id=feed, state="done").count() for feed in feeds]
    assert sum(done) >= 0.95 * 400
    assert min(done) >= 0.7 * 100


# Probing


def test_a_lane_that_is_probed_lets_one_through_at_a_time(broker, acts):
    # Given
    shop = lane("shop")
    feeds = [lane(f"feed {i}", parent_id=shop) for i in range(2)]
    lanes.probe(shop, until=sql.database_now() - timedelta(seconds=1), why="five failures")
    for feed in feeds:
        fill(feed, 20)

    # When
    for _ in range(3):
        relay.run_pass()
        assert [len(ids) for ids in Lease.objects.values_list("ids", flat=True)] == [1]
        broker.deliver()

    # Then
    assert len(acts) == 3
    lanes.end_probe(shop)
    broker.settle()
    assert states() == {"done": 40}


# Rate: in any window of T seconds at most rate x T + burst starts


class Clock:
    """The database's clock in the test's hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = sql.database_now()
        self.zero = self.now
        monkeypatch.setattr(sql, "database_now", lambda: self.now)

    def forward(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def since(self, at: datetime) -> float:
        return (at - self.zero).total_seconds()


class Starts:
    """Takes every message at once, notes when its starts may be at the earliest, and settles it."""

    def __init__(self, broker: Any, clock: Clock) -> None:
        self.broker, self.clock = broker, clock
        self.times: list[float] = []

    def take(self) -> None:
        crew()
        relay.run_pass()
        for lease in Lease.objects.order_by("id"):
            assert lease.paced_from is not None
            assert lease.pace is not None
            first = max(self.clock.since(lease.paced_from), self.clock.since(self.clock.now))
            self.times += [first + i * lease.pace for i in range(len(lease.ids))]
            Handling.objects.filter(lease_id=lease.id).update(state="done", lease_id=None)
            lease.delete()
        self.broker.messages.clear()

    def most_in(self, window: float) -> int:
        times = sorted(self.times)
        return max(sum(start <= t < start + window for t in times) for start in times)


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


@pytest.fixture
def starts(broker, clock):
    return Starts(broker, clock)


def within(starts: Starts, rate: float) -> None:
    for window in (0.1, 0.5, 1.0, 2.0, 5.0, 20.0):
        assert starts.most_in(window) <= rate * window + 1 + 1e-6, window


def test_a_rate_is_kept_and_used_over_time(acts, clock, starts):
    shop = lane("shop", interval=0.1)
    fill(shop, 1000)
    for _ in range(100):
        starts.take()
        clock.forward(0.2)
    within(starts, 10)
    assert len(starts.times) >= 0.95 * 200


def test_no_more_than_two_seconds_of_starts_are_granted_ahead(acts, clock, starts):
    shop = lane("shop", interval=0.1)
    fill(shop, 1000)
    starts.take()
    starts.take()
    assert len(starts.times) <= 21
    assert max(starts.times) <= board.AHEAD + board.LEAD


def test_a_pause_earns_no_burst(acts, clock, starts):
    shop = lane("shop", interval=0.1)
    fill(shop, 500)
    starts.take()
    lanes.pause([shop], why="half an hour")
    for _ in range(3):
        clock.forward(600.0)
        starts.take()
    lanes.resume([shop])
    for _ in range(50):
        starts.take()
        clock.forward(0.2)
    within(starts, 10)


def test_an_idle_time_earns_no_burst(acts, clock, starts):
    shop = lane("shop", interval=0.1)
    for _ in range(5):
        fill(shop, 50)
        for _ in range(30):
            starts.take()
            clock.forward(0.2)
        clock.forward(120.0)
    within(starts, 10)
    assert len(starts.times) == 250


def test_a_changed_rate_holds_for_all_that_is_not_granted_yet(acts, clock, starts):
    # Given two seconds of starts granted at the old rate
    shop = lane("shop", interval=0.1)
    fill(shop, 2000)
    starts.take()
    granted = len(starts.times)

    # When
    lanes.limit(shop, max_slots=None, interval=0.5, act_limit=10.0)
    for _ in range(100):
        clock.forward(0.2)
        starts.take()

    # Then
    later = sorted(starts.times[granted:])
    assert later[0] >= max(starts.times[:granted])
    starts.times = later
    within(starts, 2)
    assert len(later) >= 0.9 * 36

    # When it is raised
    lanes.limit(shop, max_slots=None, interval=0.01, act_limit=10.0)
    granted = len(starts.times)
    for _ in range(50):
        clock.forward(0.2)
        starts.take()
    assert len(starts.times) - granted >= 0.8 * 1000


def test_a_restart_keeps_the_rate_since_it_stands_in_the_lane(acts, clock, starts):
    # Given what a process was granted and never started
    shop = lane("shop", interval=0.1)
    fill(shop, 300)
    starts.take()
    relay.run_pass()
    expire()
    for _ in range(20):
        clock.forward(0.3)
        starts.take()
    within(starts, 10)


def test_the_slower_of_lane_and_parent_sets_the_pace(acts, clock, starts):
    shop = lane("shop", interval=0.2)
    feed = lane("feed", parent_id=shop, interval=0.05)
    fill(feed, 100)
    for _ in range(50):
        starts.take()
        clock.forward(0.2)
    within(starts, 5)
    assert len(starts.times) >= 0.9 * 50


@pytest.mark.parametrize("rate", [0.2, 3.0, 250.0])
def test_any_rate_is_kept(acts, clock, starts, rate):
    shop = lane("shop", interval=1 / rate)
    fill(shop, int(rate * 20))
    for _ in range(60):
        starts.take()
        clock.forward(0.25)
    within(starts, rate)
    assert len(starts.times) >= 0.9 * rate * 14.75


def test_what_a_late_start_adds_is_small():
    assert SLOT_TOLERANCE <= 0.1
