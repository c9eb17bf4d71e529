"""Failed rows by what they have in common: counted with their outcomes, exact after every commit."""

import importlib
import random
import threading
from collections import Counter
from datetime import timedelta

import pytest
from django.apps import apps
from django.db import connection, transaction
from django.db.models import Sum
from django.test.utils import CaptureQueriesContext

from deliveries.events import DeliveryCancelled, DeliveryFailed, DeliveryReopened, DeliverySucceeded
from deliveries.ids import delivery_id
from deliveries.models import Delivery
from feeds import errands, grouping, handlers, queries, retention
from feeds.editing import NEVER_SENT, edit_row
from feeds.errors import WrongState
from feeds.grouping import recount_what_differs
from feeds.models import OTHERS, Errand, FailureGroup, Feed, Row
from feeds.reasons import group_key
from feeds.results import RESULT_COLUMNS, UNMENDED

pytestmark = pytest.mark.django_db(transaction=True)

SHORT = "This row has 1 cell, but the file has 2 columns."


def rows(count: int, *more: str) -> str:
    return "sku,price\n" + "".join(f"A{number},1\n" for number in range(1, count + 1)) + "".join(more)


def event(kind, feed: Feed, number: int, seq: int, **told):
    return kind(
        correlation_id=delivery_id(feed.id, number), conversation_id=feed.id, occurrence=seq,
        number=number, seq=seq, **told,
    )  # fmt: skip


def failed(feed: Feed, number: int, why: str, *, seq: int = 1) -> DeliveryFailed:
    told: DeliveryFailed = event(
        DeliveryFailed, feed, number, seq, http_status=422, code="http_422", message=why
    )
    return told


def track(*events) -> None:
    with transaction.atomic():
        handlers.track_progress(list(events))


def groups(feed: Feed) -> dict[str, int]:
    """What the page tells; and that it is what the rows say, and the ledger."""
    feed.refresh_from_db()
    counted = FailureGroup.objects.filter(feed=feed).aggregate(Sum("count"), Sum("invalid"))
    assert (counted["count__sum"] or 0, counted["invalid__sum"] or 0) == (feed.failed, feed.invalid)
    told = {group.key: group.count for group in queries.failed_groups(feed, whole=True).items}
    keys = Counter(
        group_key(*fields)
        for fields in Row.objects.filter(feed_id=feed.id, outcome="failed").values_list(
            "http_status", "code", "error"
        )
    )
    others = sum(count for key, count in keys.items() if key not in told)
    named = {key: count for key, count in keys.items() if key in told}
    assert told == named | ({OTHERS: others} if others else {})
    return {
        "others" if group.is_others else group.reason: group.count
        for group in queries.failed_groups(feed, whole=True).items
    }


def test_rows_are_counted_as_they_fail_and_no_more_when_they_do_not(send):
    feed = send(rows(4, "A5\n", "A6\n"))
    assert groups(feed) == {SHORT: 2}

    track(*(failed(feed, number, f"SKU A{number} unknown.") for number in (1, 2, 3)), failed(feed, 4, "No."))
    assert groups(feed) == {"SKU … unknown.": 3, SHORT: 2, "No.": 1}

    track(event(DeliveryReopened, feed, 1, 2), event(DeliverySucceeded, feed, 4, 2, http_status=200))
    assert groups(feed) == {"SKU … unknown.": 2, SHORT: 2}
    track(event(DeliveryCancelled, feed, 1, 3, code="cancelled", message="Cancelled."))
    edit_row(feed.id, 5, cells=("A5", "1"), revision=NEVER_SENT)
    assert groups(feed) == {"SKU … unknown.": 2, SHORT: 1}


def test_events_in_any_order_count_a_row_once(send):
    feed = send(rows(2))
    first, again = failed(feed, 1, "No."), failed(feed, 1, "Still no.", seq=3)
    track(again)
    track(first, event(DeliveryReopened, feed, 1, 2))
    track(again)
    assert groups(feed) == {"Still no.": 1}
    track(event(DeliveryReopened, feed, 1, 4), failed(feed, 1, "Never.", seq=5))
    assert groups(feed) == {"Never.": 1}


def test_every_failed_row_is_in_a_group_however_many_there_are(send):
    """5,500 rows that cannot be sent, and after them one with a reason of its own."""
    header = ",".join(("sku", "price", *RESULT_COLUMNS)) + "\n"
    unmended = "".join(f"A{number},[[mend: no cell]],failed,,0,,\n" for number in range(1, 5501))
    feed = send(f"{header}{unmended}A5501,1,failed,,0,,\nA5502\n")
    short = "This row has 1 cell, but the file has 7 columns."
    assert groups(feed) == {UNMENDED[1]: 5500, short: 1}


def test_a_batch_writes_each_group_once_and_nothing_where_nothing_failed(send):
    feed = send(rows(60))
    track(*(failed(feed, number, "No.") for number in range(1, 21)))

    def asked(events):
        with CaptureQueriesContext(connection) as found:
            track(*events)
        return [query["sql"] for query in found.captured_queries if "failuregroup" in query["sql"]]

    assert not asked(event(DeliverySucceeded, feed, number, 1, http_status=200) for number in range(21, 31))
    assert len(asked(failed(feed, number, f"{number} no.") for number in range(31, 41))) == 2


def test_an_example_is_a_row_that_is_still_in_the_group(send):
    feed = send(rows(4))
    track(*(failed(feed, number, "No.") for number in (2, 3, 4)))
    assert FailureGroup.objects.get().number == 2
    track(event(DeliveryReopened, feed, 2, 2))
    assert FailureGroup.objects.get().number == 3


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(grouping, "MOST", 2)


WHYS = ("one", "two", "three", "four")


@pytest.fixture
def crowded(few, send):
    """Four reasons of which two have a group."""
    feed = send(rows(6))
    for number, why in enumerate(WHYS, 1):
        track(failed(feed, number, why))
    Delivery.objects.filter(number__lte=4).update(status="failed", seq=1)
    return feed


def test_rows_of_reasons_beyond_the_most_are_in_one_group_that_says_so(crowded):
    assert groups(crowded) == {"one": 1, "two": 1, "others": 2}
    track(event(DeliveryReopened, crowded, 1, 2), failed(crowded, 5, "five"))
    assert groups(crowded) == {"two": 1, "others": 3}, "a name that is free is not given away meanwhile"
    track(*(event(DeliveryReopened, crowded, number, 2) for number in (3, 4, 5)))
    assert groups(crowded) == {"two": 1}
    track(failed(crowded, 6, "six"))
    assert groups(crowded) == {"two": 1, "six": 1}


def test_the_others_are_retried_and_downloaded_as_well(crowded):
    assert [row.error for row in queries.result_rows(crowded, "failed", group=OTHERS)] == ["three", "four"]
    errands.retry_failed(crowded.id, group=OTHERS)
    while (step := errands.retry_chunk(Errand.objects.get().id)) is not None:
        with transaction.atomic():
            step()
    assert set(Delivery.objects.filter(status="scheduled").values_list("number", flat=True)) == {3, 4}


def test_a_reason_that_no_row_has_any_more_is_not_retried(send):
    feed = send(rows(2, "A3\n"))
    track(failed(feed, 1, "No."), failed(feed, 2, "Never."))
    keys = {group.reason: group.key for group in queries.failed_groups(feed).items}
    track(event(DeliveryReopened, feed, 1, 2))
    for reason in ("No.", SHORT):
        with pytest.raises(WrongState, match="No row that failed for this reason"):
            errands.retry_failed(feed.id, group=keys[reason])


@pytest.mark.parametrize("seed", range(5))
def test_whatever_happens_in_any_order_each_row_is_in_one_group(send, monkeypatch, seed):
    """Rows of many reasons fail, are sent again, arrive, fail of something else, in batches of any size."""
    monkeypatch.setattr(grouping, "MOST", 3)
    monkeypatch.setattr(grouping, "LOOKED_AT", 2)
    chance = random.Random(seed)
    feed = send(rows(12, "A13\n", "A14\n"))
    seqs: Counter[int] = Counter()
    for _ in range(25):
        events = []
        for number in chance.sample(range(1, 13), chance.randint(1, 8)):
            seqs[number] += 1
            kind = chance.choice([DeliveryFailed, DeliveryFailed, DeliverySucceeded, DeliveryReopened])
            if kind is DeliveryFailed:
                events.append(failed(feed, number, chance.choice("abcdef"), seq=seqs[number]))
            else:
                status = {"http_status": 200} if kind is DeliverySucceeded else {}
                events.append(event(kind, feed, number, seqs[number], **status))
        track(*events)
        groups(feed)


def test_groups_that_do_not_add_up_are_counted_anew(send):
    feed, right = send(rows(3, "A4\n")), send(rows(2))
    track(failed(feed, 1, "No."), failed(feed, 2, "No."), failed(right, 1, "No."))
    assert recount_what_differs() == 0
    expected = groups(feed)
    for wrong in ({"count": 5}, {"count": 1, "invalid": 1}):
        FailureGroup.objects.filter(feed=feed, invalid=0).update(**wrong)
        assert recount_what_differs() == 1
        assert groups(feed) == expected
    FailureGroup.objects.filter(feed=feed, invalid=1).delete()
    assert recount_what_differs() == 1
    assert groups(feed) == expected


def test_failures_that_were_recorded_without_groups_never_stop_the_ledger(send):
    feed = send(rows(2))
    track(failed(feed, 1, "No."), failed(feed, 2, "No."))
    FailureGroup.objects.update(count=1)
    track(*(event(DeliverySucceeded, feed, number, 2, http_status=200) for number in (1, 2)))
    assert groups(feed) == {}


def test_feeds_of_before_are_counted_by_the_migration(send):
    feed = send(rows(3, "A4\n"))
    track(failed(feed, 1, "SKU 1 unknown."), failed(feed, 2, "SKU 2 unknown."))
    expected = groups(feed)
    FailureGroup.objects.all().delete()
    importlib.import_module("feeds.migrations.0015_count_failures").count_failures(apps, None)
    assert groups(feed) == expected == {"SKU … unknown.": 2, SHORT: 1}


def test_groups_go_with_the_rows(send):
    feed = send(rows(0, "A1\n"))
    Feed.objects.filter(id=feed.id).update(ended_at="2020-01-01T00:00Z")
    assert retention.prune(older_than=timedelta(days=30))
    assert not FailureGroup.objects.exists()
    assert recount_what_differs() == 0


def test_a_group_that_is_retried_while_rows_of_it_fail_again_stays_exact(send):
    """Two workers at once, each with batches of its own of the same group."""
    feed = send(rows(80))
    track(*(failed(feed, number, f"SKU {number} unknown.") for number in range(1, 81)))
    problems: list[BaseException] = []

    def work(numbers: range) -> None:
        try:
            for seq in (2, 4, 6):
                for start in range(0, len(numbers), 5):
                    some = numbers[start : start + 5]
                    track(*(event(DeliveryReopened, feed, number, seq) for number in some))
                    track(*(failed(feed, n, f"SKU {n} unknown.", seq=seq + 1) for n in some if n % 4))
        except BaseException as exc:
            problems.append(exc)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(numbers,)) for numbers in
               (range(1, 41), range(80, 40, -1), range(2, 60, 3), range(79, 20, -7))]  # fmt: skip
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems
    assert groups(feed) == {"SKU … unknown.": 60}
