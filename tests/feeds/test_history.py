"""What nobody clicked stands in the history too: what Rowpost did itself, and what the command line did."""

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import transaction
from django.utils import timezone

from deliveries.commands import add_destination, pause_destination
from deliveries.models import Destination
from feeds import queries
from feeds.deeds import note_deed
from feeds.destinations import resume_destination
from feeds.models import Deed, Feed
from outbox import parking
from outbox.models import Error, Handling, Lane, OutboxEvent, State, Subscription, uuid7
from outbox.notices import OutboxChanged

pytestmark = pytest.mark.django_db(transaction=True)


def history(destination: Destination) -> list[tuple[str, str, str]]:
    """Who did what with it, the oldest first."""
    newest_first = queries.deeds_of_destination(destination).items
    return [(deed.who, deed.what, deed.detail) for deed in reversed(newest_first)]


def due(shop: Destination) -> None:
    """The time until which the destination is held has passed."""
    Lane.objects.filter(id=shop.lane_id).update(held_until=timezone.now() - timedelta(seconds=1))


@pytest.fixture
def parked():
    """600 handlings of two groups, more than a batch."""
    subscription = Subscription.objects.create(event_type="T", handler="t.one", kind="effect", queue="q")
    lane = add_destination(name="elsewhere", url="https://shop.example").lane_id
    for number in range(2):
        error = Error.objects.create(
            handler="t.one", exception="ValueError", place=f"t.py:{number}", sample="x"
        )
        Handling.objects.bulk_create(
            Handling(
                event_id=event, subscription=subscription, lane_id=lane, state=State.PARKED, error=error,
                finished_at=timezone.now(),
            )
            for event in range(1000 * number, 1000 * number + 300)
        )  # fmt: skip
    return subscription


def test_a_breaker_that_opens_and_closes_is_told_once_each_with_the_reason(third_party, shop, sent, pipeline):
    third_party.fail(*range(1, 7), status=503)
    feed = sent(6)
    reason = "it failed 5 times in a row: "
    [(who, what, detail)] = history(shop)
    assert (who, what) == ("Rowpost", "held")
    assert detail.startswith(f"it, because {reason}"), detail

    for _ in range(2):  # probes that fail are no news
        due(shop)
        pipeline.settle(feed, due=True)
    assert Destination.objects.get().breaker_opened > 1
    assert len(history(shop)) == 1

    third_party.fail()
    due(shop)
    pipeline.settle(feed, due=True)
    assert history(shop)[1:] == [("Rowpost", "resumed", "it, because a request went through")]


def test_a_pause_for_refusals_is_rowposts_and_its_end_a_persons(third_party, shop, sent, pipeline):
    third_party.fail(*range(1, 5), status=401)
    feed = sent(4)
    [(who, what, detail)] = history(shop)
    assert (who, what) == ("Rowpost", "paused")
    assert detail.startswith("it, because it refused 3 deliveries in a row: ")

    third_party.fail()
    resume_destination(shop.id, user=User.objects.create_user("anna"))
    pipeline.settle(feed, due=True)
    assert history(shop)[1:] == [("anna", "resumed", "")]


def test_a_persons_pause_is_not_told_twice(shop, pipeline):
    with transaction.atomic():
        pause_destination(shop.id, reason="anna paused it.", by_person=True)
    pipeline.broker.settle()
    assert history(shop) == []


def test_what_rowpost_did_is_dated_by_what_happened_not_by_when_it_was_written(third_party, shop, sent):
    third_party.fail(*range(1, 7), status=503)
    sent(6)
    assert Deed.objects.get(what="held").at == OutboxEvent.objects.get(type="BreakerOpened").occurred_at


def test_an_upload_is_a_deed_and_the_last_on_the_last_page(checked):
    olga = User.objects.create_user("olga")
    feed = checked("sku\n1\n", owner_id=olga.pk)
    for number in range(30):
        note_deed(feed.id, user_id=olga.pk, what="retried", detail=str(number))
    first = queries.deeds_of_feed(feed)
    assert {deed.what for deed in first.items} == {"retried"}
    last = queries.deeds_of_feed(feed, first.next)
    assert [(deed.who, deed.what) for deed in last.items][-1] == ("olga", "uploaded")
    assert [deed.what for deed in last.items].count("uploaded") == 1
    assert not last.next


@pytest.mark.parametrize("who", ["olga", "the command line"])
def test_an_upload_of_an_earlier_release_has_no_deed_and_is_told(checked, who):
    feed = checked("sku\n1\n", owner_id=User.objects.create_user("olga").pk if who == "olga" else None)
    Deed.objects.all().delete()
    [deed] = queries.deeds_of_feed(Feed.objects.get()).items
    assert (deed.who, deed.what, deed.at) == (who, "uploaded", feed.created_at)
    assert queries.upload_of(feed).who == who


def test_an_upload_that_is_pressed_twice_is_one_deed(checked):
    olga, ticket = User.objects.create_user("olga"), uuid7()
    for _ in range(2):
        checked("sku\n1\n", owner_id=olga.pk, ticket=ticket)
    assert Deed.objects.filter(what="uploaded").count() == 1


def test_whose_account_was_deleted_is_not_the_command_line(checked):
    olga = User.objects.create_user("olga")
    feed = checked("sku\n1\n", owner_id=olga.pk)
    olga.delete()
    feed.refresh_from_db()
    assert queries.deeds_of_feed(feed).items[-1].who == "somebody"


def test_a_file_from_the_command_line_says_so_and_that_rowpost_sent_it(shop, pipeline, tmp_path):
    (tmp_path / "f.csv").write_text("sku\n1\n")
    with pytest.raises(SystemExit):
        call_command("send", str(tmp_path / "f.csv"), "--to", "shop", stdout=StringIO())
    feed = pipeline.settle(Feed.objects.get())
    assert [(deed.who, deed.what, deed.detail) for deed in queries.deeds_of_feed(feed).items] == [
        ("Rowpost", "sent", "it as soon as it was checked"),
        ("the command line", "uploaded", ""),
    ]


def test_what_the_command_line_adds_says_so(tmp_path):
    (tmp_path / "m.json").write_text(json.dumps({"path": "/{sku}"}))
    call_command("add_destination", "shop", "https://shop.example", stdout=StringIO())
    call_command("add_mapping", "products", str(tmp_path / "m.json"), stdout=StringIO())
    assert history(Destination.objects.get()) == [("the command line", "added", "")]
    [saved] = queries.deeds_of_mapping("products").items
    assert (saved.who, saved.what, saved.detail) == ("the command line", "saved", "version 1")


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (["--all"], "all that was parked"),
        (["--handler", "t.one"], "what t.one had parked"),
    ],
)
def test_parked_work_that_the_command_line_retries_is_told_on_the_overview(parked, pipeline, asked, told):
    call_command("outbox", "retry", *asked, stdout=StringIO())
    call_command("outbox", "retry", *asked, stdout=StringIO())  # finds nothing
    pipeline.broker.settle()
    done = [(each.who, each.what) for each in queries.recent_deeds().items]
    assert done == [("the command line", f"retried {told}")]


def test_a_handler_that_the_command_line_switches_is_told_on_the_overview(parked, pipeline):
    call_command("outbox", "subscriptions", "--off", "t.one", stdout=StringIO())
    pipeline.broker.settle()
    [done] = queries.recent_deeds().items
    assert (done.who, done.what) == ("the command line", "switched off the handler t.one")


def test_a_retry_that_dies_after_its_first_batch_is_told_all_the_same(parked, pipeline, monkeypatch):
    # Given
    wakes = iter([None])
    monkeypatch.setattr(parking, "wake_relay", lambda: next(wakes))  # the second commit is its last
    anna = User.objects.create_user("anna")
    told = OutboxChanged(
        correlation_id=uuid7(), what="retried", detail="what t.one had parked", user_id=anna.pk
    )

    # When
    with pytest.raises(StopIteration):
        parking.retry_all(handler="t.one", telling=told)

    # Then
    assert Handling.objects.filter(state=State.WAITING).exists()
    Handling.objects.filter(subscription=parked).delete()
    pipeline.broker.settle()
    assert [(each.who, each.what) for each in queries.recent_deeds().items] == [
        ("anna", "retried what t.one had parked")
    ]


def test_a_retry_that_finds_nothing_is_no_deed():
    told = OutboxChanged(correlation_id=uuid7(), what="retried", detail="nothing")
    assert parking.retry_all(telling=told) == 0
    assert not OutboxEvent.objects.exists()
