"""The overview: what is told of the last hour, of what waits, and of what stands still."""

import re
import uuid
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from deliveries.models import Tally
from feeds.models import Deed
from feeds.queries.throughput import throughput
from outbox import heartbeats, queries, sql
from outbox.models import Handling, Heartbeat, Lane, OutboxEvent, State, Subscription

pytestmark = pytest.mark.django_db


@pytest.fixture
def page(as_, admin):
    """Its text, as it is now."""
    return lambda: as_(admin).get(reverse("feeds:overview")).text


@pytest.fixture
def worker():
    heartbeats.beat("beat", kind="beat")
    heartbeats.beat("worker@here", kind="worker", queues=["outbox.relay"])
    return Heartbeat.objects.get(name="worker@here")


def tally(minutes_ago, succeeded, failed, share=0, destination_id=0):
    minute = timezone.now().replace(second=0, microsecond=0) - timedelta(minutes=minutes_ago)
    Tally.objects.create(
        minute=minute, destination_id=destination_id, share=share, succeeded=succeeded, failed=failed
    )


def test_the_last_hour_is_drawn_and_told_in_words_and_as_a_table(page):
    tally(1, 40, 0)
    tally(1, 20, 3, share=1)
    tally(59, 1000, 0)
    tally(60, 7777, 0)
    text = page()
    assert "1,060 succeeded and 3 failed" in text
    assert text.count("<rect") == 3
    assert "7,777" not in text
    assert '<td class="num">60</td><td class="num">3</td>' in text
    hour = throughput(timezone.now())
    assert [(minute.succeeded, minute.failed) for minute in hour.busy] == [(60, 3), (1000, 0)], (
        "the newest first"
    )
    [mixed] = [bar for bar in hour.columns if bar.bad]
    assert mixed.good > mixed.bad


def test_an_hour_in_which_nothing_ended_says_so(page):
    assert "As soon as rows are sent" in page()


def test_the_rate_is_that_of_the_last_minute_also_when_another_has_just_begun(page):
    now = timezone.now().replace(second=15, microsecond=0)
    for minute, count in ((0, 150), (1, 600)):
        begins = now.replace(second=0) - timedelta(minutes=minute)
        Tally.objects.create(minute=begins, share=0, succeeded=count)
    assert throughput(now).rate == (150 + 600 * 0.75) / 60


@pytest.mark.parametrize(("most", "top"), [(0, 1), (1, 1), (5, 6), (63, 80), (100, 100), (130_000, 200_000)])
def test_the_chart_reaches_to_a_round_number(most, top):
    if most:
        tally(0, most, 0)
    assert throughput(timezone.now()).top == top


def ready(*, minutes, **lane_fields):
    """A handler with something ready for so long."""
    subscription = Subscription.objects.create(
        event_type="T", handler="t.one", kind="transactional", queue="t.one"
    )
    lane = Lane.objects.create(handler="t.one", key="t", ready=1, **lane_fields)
    event = OutboxEvent.objects.create(
        type="T",
        correlation_id=uuid.uuid4(),
        payload={},
        occurred_at=timezone.now() - timedelta(minutes=minutes),
    )
    Handling.objects.create(event_id=event.id, subscription=subscription, lane=lane, state=State.READY, pos=1)


def test_ready_work_that_nothing_holds_and_nobody_takes_is_told(page, worker):
    ready(minutes=3)
    assert "Work stands still" in page()


@pytest.mark.parametrize(
    ("minutes", "lane"), [(0.5, {}), (3, {"paused": True}), (3, {"interval": 2.0}), (3, {"max_slots": 1})]
)
def test_work_that_waits_on_purpose_is_not(page, worker, minutes, lane):
    ready(minutes=minutes, **lane)
    assert "Work stands still" not in page()


MISSING = {
    "worker": "Nothing moves: no worker is running.",
    "relay": "No relay is running, so nothing is handed to the workers.",
    "beat": "Beat is not running, so nothing that is due later is begun.",
}


@pytest.mark.parametrize("part", MISSING)
@pytest.mark.parametrize("where", ["feeds:overview", "feeds:list"])
def test_what_stands_still_is_told_to_admins_on_every_page_with_its_last_sign_of_life(
    as_, admin, part, where
):
    heartbeats.beat("worker", kind="worker", queues=["t.one"])
    heartbeats.beat("relay", kind="relay", queues=["outbox.relay"])
    heartbeats.beat("beat", kind="beat")
    assert not [told for told in MISSING.values() if told in as_(admin).get(reverse(where)).text]
    dead = sql.database_now() - timedelta(seconds=heartbeats.FRESH + 1)
    Heartbeat.objects.filter(name=part).update(seen_at=dead)
    page = as_(admin).get(reverse(where)).text
    assert [name for name, told in MISSING.items() if told in page] == [part]
    if (part, where) != ("worker", "feeds:overview"):
        assert f'The last one was seen <time datetime="{dead.isoformat()}"' in page


@pytest.mark.parametrize(
    "odd",
    [
        {"until": "2026-01-01T00:00:00"},
        {"until": "0001-01-01T00:00:00+14:00"},
        {"error_id": "9" * 30},
        {"handler": "\x00"},
        {"handler": ""},
    ],
)
def test_a_retry_that_no_page_asks_for_runs_nothing_again(as_, admin, odd):
    form = {"until": timezone.now().isoformat(), "error_id": "1", "handler": "t.one"} | odd
    page = as_(admin).post(reverse("feeds:retry_parked"), form, follow=True)
    assert page.redirect_chain == [(reverse("feeds:overview"), 302)]
    assert not Deed.objects.exists()


def test_what_waits_and_what_is_parked_is_counted_up_to_a_bound(page, monkeypatch):
    from outbox.models import Error

    monkeypatch.setattr(queries, "COUNTED", 3)
    subscription = Subscription.objects.create(event_type="T", handler="t.one", kind="effect", queue="t.one")
    lane = Lane.objects.create(handler="t.one", key="t")
    error = Error.objects.create(handler="t.one", exception="E", place="p", sample="s")
    later = timezone.now() + timedelta(hours=1)
    common = {"subscription": subscription, "lane": lane}
    Handling.objects.bulk_create(
        [Handling(event_id=n, state=State.WAITING, due_at=later, **common) for n in range(5)]
        + [
            Handling(event_id=n, state=State.PARKED, error=error, finished_at=later, **common)
            for n in range(10, 15)
        ]
    )
    found = {handler.handler: handler for handler in queries.status().handlers}["t.one"]
    assert (found.waiting, found.more_waiting, found.parked) == (3, True, 3)
    assert "<strong>3+</strong>" in page()


def test_the_first_sentence_says_how_everything_stands(page, worker, delivering):
    assert "All is well, and nothing waits." in page()
    ready(minutes=0)
    assert "All is well, and there is work." in page()
    Lane.objects.filter(id=delivering.destination.lane_id).update(paused=True)
    assert "1 destination needs a look." in page()
    Heartbeat.objects.all().delete()
    assert "Nothing moves: no worker is running." in page()


def test_handlers_without_work_are_folded_away(page, worker):
    ready(minutes=0)
    busy, idle = re.split("[0-9]+ more have nothing to do", page())
    assert "<code>t.one</code>" in busy
    assert "<code>feeds.check_feed</code>" not in busy
    assert "<code>feeds.check_feed</code>" in idle
