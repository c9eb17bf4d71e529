"""An invalid row that a person mends: it becomes a delivery like any other, and the ledger stays right."""

import threading

import pytest
from django.db import connection, transaction

from deliveries.events import DeliveryFailed, DeliverySucceeded
from deliveries.ids import delivery_id
from deliveries.models import Delivery, Payload
from feeds import commands, handlers
from feeds.editing import NEVER_SENT, edit_row
from feeds.errors import WrongState
from feeds.events import FeedReleased
from feeds.mapping import RowError
from feeds.models import Feed, FeedStatus, Row
from feeds.queries import result_rows
from outbox.models import OutboxEvent
from outbox.outcomes import NextStep

pytestmark = pytest.mark.django_db(transaction=True)

FILE = "sku,price\nA1,9.50\nA2\nA3,1,2\n"  # one row that is good, two that are not


def mend(feed: Feed, number: int = 2, *cells: str, revision: int = NEVER_SENT) -> None:
    edit_row(feed.id, number, cells=cells or ("A2", "3.00"), revision=revision)


def ledger(feed: Feed) -> tuple[str, int, int, int, int]:
    feed.refresh_from_db()
    return feed.status, feed.pending, feed.succeeded, feed.failed, feed.invalid


def arrive(feed: Feed, number: int, *, seq: int = 1) -> None:
    track(DeliverySucceeded, feed, number, seq=seq, http_status=201)


def track(kind, feed: Feed, number: int, **told) -> None:
    event = kind(
        correlation_id=delivery_id(feed.id, number),
        conversation_id=feed.id,
        occurrence=1,
        number=number,
        **told,
    )
    with transaction.atomic():
        handlers.track_progress([event])


def published(kind: str) -> int:
    return OutboxEvent.objects.filter(type=kind).count()


def test_it_becomes_a_delivery_with_its_event_and_the_ledger_follows(send):
    feed = send(FILE)
    assert ledger(feed) == ("delivering", 1, 0, 2, 2)
    created = published("DeliveryCreated")

    mend(feed)

    assert ledger(feed) == ("delivering", 2, 0, 1, 1)
    delivery = Delivery.objects.get(id=delivery_id(feed.id, 2))
    assert (delivery.number, delivery.status, delivery.lane_id) == (2, "created", feed.lane_id)
    assert Payload.objects.get(delivery_id=delivery.id).body == '{"sku":"A2","price":"3.00"}'
    assert published("DeliveryCreated") == created + 1
    row = Row.objects.get(feed_id=feed.id, number=2)
    assert (row.cells, row.mended) == ('["A2"]', '["A2","3.00"]')
    assert (row.outcome, row.code, row.error) == ("", "", "")
    assert feed.deeds.get(what="edited").detail == "row 2 (too_few_cells) and sent it"


def test_a_completed_feed_goes_on_and_completes_its_next_round(send):
    feed = send(FILE)
    arrive(feed, 1)
    assert ledger(feed) == ("completed", 0, 1, 2, 2)
    assert (feed.round, published("FeedTried")) == (1, 1)

    mend(feed)
    assert ledger(feed) == ("delivering", 1, 1, 1, 1)
    assert feed.ended_at is None

    arrive(feed, 2)
    assert ledger(feed) == ("completed", 0, 2, 1, 1)
    assert (feed.round, published("FeedTried")) == (2, 1)


def test_a_row_of_a_paused_feed_is_mended_and_waits_with_the_others(send):
    feed = send(FILE)
    commands.pause(feed.id)
    mend(feed)
    assert ledger(feed) == ("paused", 2, 0, 1, 1)


def test_every_row_is_tried_only_once_the_mended_one_was(send):
    feed = send(FILE)
    mend(feed)
    arrive(feed, 1)
    assert published("FeedTried") == 0
    arrive(feed, 2)
    assert published("FeedTried") == 1


def test_the_result_files_have_what_was_sent_and_the_others_stay_marked(send):
    feed = send(FILE)
    mend(feed)
    track(DeliveryFailed, feed, 2, seq=1, http_status=422, code="http_422", message="No.")
    mended, invalid = result_rows(feed, "failed")
    assert (mended.cells, mended.error_code) == (["A2", "3.00"], "http_422")
    assert (invalid.cells, invalid.error_code) == (["A3", "1", "2"], "too_many_cells")


def test_a_second_click_sends_nothing_also_after_the_row_has_failed(send):
    neighbour, feed = send(FILE), send(FILE)
    mend(feed)
    with pytest.raises(WrongState, match="not invalid any more"):
        mend(feed)
    Delivery.objects.filter(number=2).update(status="failed")
    with pytest.raises(WrongState, match="not invalid any more"):
        mend(feed)
    assert published("DeliveryCreated") == 3
    assert feed.deeds.filter(what="edited").count() == 1
    assert ledger(neighbour) == ("delivering", 1, 0, 2, 2)
    assert not Row.objects.filter(feed_id=neighbour.id).exclude(mended=None).exists()


def test_a_mended_row_that_failed_is_changed_again_as_any_other(send):
    feed = send(FILE)
    mend(feed)
    track(DeliveryFailed, feed, 2, seq=1, http_status=422, code="http_422", message="No.")
    Delivery.objects.filter(number=2).update(status="failed", seq=1)
    mend(feed, 2, "A2", "4.00", revision=1)
    bodies = Payload.objects.filter(delivery_id=delivery_id(feed.id, 2)).order_by("revision")
    assert [payload.body for payload in bodies] == [
        '{"sku":"A2","price":"3.00"}',
        '{"sku":"A2","price":"4.00"}',
    ]
    assert Row.objects.get(feed_id=feed.id, number=2).mended == '["A2","4.00"]'


@pytest.mark.parametrize("cells", [("A2",), ("A2", "[[mend: no cell]]"), ("A2", "3\x00")])
def test_what_cannot_be_sent_is_refused_and_nothing_is_changed(send, cells):
    feed = send(FILE)
    with pytest.raises(RowError):
        mend(feed, 2, *cells)
    assert ledger(feed) == ("delivering", 1, 0, 2, 2)
    assert not feed.deeds.filter(what="edited").exists()


@pytest.mark.parametrize("status", [FeedStatus.CANCELLED, FeedStatus.READY])
def test_a_feed_that_is_not_sent_now_is_left_alone(send, status):
    feed = send(FILE)
    Feed.objects.filter(id=feed.id).update(status=status)
    Delivery.objects.update(status="failed")
    for number, revision in ((2, NEVER_SENT), (1, 1)):
        with pytest.raises(WrongState, match=f"The feed is {status}, and its rows cannot be sent"):
            mend(feed, number, "A2", "3.00", revision=revision)
    assert Row.objects.get(feed_id=feed.id, number=2).invalid
    assert Delivery.objects.get().status == "failed"


def test_a_row_that_was_deleted_meanwhile_is_told(send):
    feed = send(FILE)
    Row.objects.filter(feed_id=feed.id, number=2).delete()
    with pytest.raises(WrongState):
        mend(feed)
    assert ledger(feed) == ("delivering", 1, 0, 2, 2)


def test_a_cancelled_feed_counts_a_mended_row_that_was_not_sent(send):
    feed = send(FILE)
    mend(feed)
    commands.cancel(feed.id)
    assert ledger(feed) == ("cancelled", 2, 0, 1, 1)


def test_it_is_mended_while_the_import_of_its_feed_is_between_reading_and_writing(send):
    # Given a feed of which the first rows are imported, and a worker that has read the next ones
    feed = send(FILE)
    end = feed.position
    Row.objects.filter(feed_id=feed.id, number=3).delete()
    Feed.objects.filter(id=feed.id).update(
        import_done=False, position={**end, "row": 2, "byte": len("sku,price\nA1,9.50\nA2\n"), "line": 4}
    )
    write = handlers.import_rows(FeedReleased(correlation_id=feed.id))
    assert callable(write)
    # When a row is mended before it writes
    mend(feed)
    with transaction.atomic():
        assert isinstance(write(), NextStep)
    # Then neither undoes the other
    assert ledger(feed) == ("delivering", 2, 0, 1, 1)
    assert feed.created == 2
    assert Row.objects.filter(feed_id=feed.id).count() == 3


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer")
def test_two_people_who_mend_the_same_row_at_once_send_it_once(send):
    feed = send(FILE)
    told: list[str] = []

    def run() -> None:
        try:
            mend(feed)
            told.append("sent")
        except WrongState:
            told.append("told")
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(4)]
    with transaction.atomic():
        commands.locked(feed.id)  # so that all of them stand at the door
        for thread in threads:
            thread.start()
    for thread in threads:
        thread.join()
    assert sorted(told) == ["sent", "told", "told", "told"]
    assert ledger(feed) == ("delivering", 2, 0, 1, 1)
