"""Lists that are read by key: there and back while rows come and go, and what no index finds."""

from datetime import timedelta
from urllib.parse import quote

import pytest
from django.contrib.auth.models import Group
from django.utils import timezone

from outbox import paging
from outbox.models import Error, Heartbeat, Lane
from outbox.paging import Order, read
from tests import walking

pytestmark = pytest.mark.django_db

ORDERS = [
    Order(("pk",)),
    Order(("pk",), descending=True),
    Order(("key",), descending=True),
    Order(("handler", "pk")),
    Order(("handler", "pk"), descending=True),
]


@pytest.fixture
def lanes():
    """Of three handlers, seven each."""
    return [Lane.objects.create(handler=f"t.{i % 3}", key=f"{i:03}: a/b & c") for i in range(21)]


def look(rows, order, **more):
    return lambda place: read(rows, order, place, size=4, **more)


def ids(pages):
    return [each.pk for each in walking.items(pages)]


@pytest.mark.parametrize("order", ORDERS)
def test_all_is_shown_once_there_and_back(lanes, order):
    rows = Lane.objects.all()
    expected = list(rows.order_by(*order.by()).values_list("pk", flat=True))
    there = walking.forward(look(rows, order))
    assert ids(there) == expected
    assert [len(page.items) for page in there] == [4, 4, 4, 4, 4, 1]
    assert there[0].is_first
    assert not there[0].previous
    back = walking.backward(look(rows, order), there[-1])
    assert [[each.pk for each in page.items] for page in back] == [
        [each.pk for each in page.items] for page in reversed(there[:-1])
    ]
    assert not back[-1].is_first  # rows may come before it at any time


@pytest.mark.parametrize("order", ORDERS)
def test_what_comes_meanwhile_shows_nothing_twice_and_leaves_nothing_out(lanes, order):
    rows = Lane.objects.all()
    were = set(rows.values_list("pk", flat=True))
    made = iter(range(1000))

    def insert():
        for handler in ("s", "t.1", "z"):  # before, among and after the others
            number = next(made)
            Lane.objects.create(handler=handler, key=f"{number % 3}{number:03}")

    there = walking.forward(look(rows, order), between=insert)
    shown = ids(there)
    assert len(shown) == len(set(shown))
    assert were <= set(shown)
    back = [there[-1], *walking.backward(look(rows, order), there[-1], between=insert)]
    shown = ids(back)
    assert len(shown) == len(set(shown))
    assert were <= set(shown)


def test_what_goes_meanwhile_takes_nothing_else_with_it(lanes):
    rows, order = Lane.objects.all(), Order(("pk",))
    second = read(rows, order, read(rows, order, size=4).next, size=4)
    Lane.objects.filter(pk__in=[second.items[0].pk, second.items[-1].pk]).delete()
    assert [each.pk for each in read(rows, order, second.next, size=4).items] == [
        each.pk for each in lanes[8:12]
    ]
    assert [each.pk for each in read(rows, order, second.previous, size=4).items] == [
        each.pk for each in lanes[:4]
    ]
    Lane.objects.filter(pk__lt=second.items[0].pk).delete()
    first = read(rows, order, second.previous, size=4)  # nothing is before it any more
    assert (first.items[0].pk, first.is_first, first.previous) == (lanes[5].pk, True, "")


@pytest.mark.parametrize(
    "place",
    ["x", "after:", "after:x", "before:1:2", "sideways:1", "after:%00", "after:9" * 9, f"after:{'9' * 5000}"],
)
def test_a_place_that_makes_no_sense_is_the_first_page(lanes, place):
    assert [each.pk for each in read(Lane.objects.all(), Order(("pk",)), place, size=4).items] in (
        [each.pk for each in lanes[:4]],
        [],
    )


def test_a_place_with_a_character_that_no_database_takes_is_the_first_page_of_texts_too(lanes):
    assert read(Lane.objects.all(), Order(("key",)), "after:%00", size=4).is_first


def test_keys_are_times_and_texts_too():
    now = timezone.now()
    for number in range(9):
        Heartbeat.objects.create(
            name=f"w:{number}%@/", kind="worker", started_at=now, seen_at=now - timedelta(seconds=number // 4)
        )
    order = Order(("seen_at", "pk"), descending=True)
    there = walking.forward(look(Heartbeat.objects.all(), order))
    assert len(there) == 3
    assert ids(there) == list(Heartbeat.objects.order_by(*order.by()).values_list("pk", flat=True))


@pytest.mark.parametrize(
    "time", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-01-01", "2026-01-01T00:00:00"]
)
def test_a_time_that_no_calendar_or_no_zone_knows_is_no_place(time):
    page = read(Heartbeat.objects.all(), Order(("seen_at", "pk")), f"after:{quote(time, safe='')}:w", size=4)
    assert page.is_first


@pytest.fixture
def rare(monkeypatch):
    """Four groups among 65, one of them in the rest at the end, and a search that looks at ten at once and
    then has no patience left."""
    monkeypatch.setattr(paging, "STRETCH", 10)
    monkeypatch.setattr(paging, "PATIENCE", -1.0)
    Group.objects.bulk_create(
        [Group(name=f"g{i:02}{'-rare' if i in (5, 33, 34, 62) else ''}") for i in range(65)]
    )
    return Group.objects.filter(name__contains="rare")


@pytest.mark.parametrize("order", [Order(("pk",)), Order(("name",), descending=True), Order(("name", "pk"))])
def test_what_no_index_finds_is_searched_for_stretch_by_stretch(rare, order):
    found = look(rare, order, among=Group.objects.all())
    there = walking.forward(found)
    assert 7 <= len(there) <= 8
    assert ids(there) == list(rare.order_by(*order.by()).values_list("pk", flat=True))
    assert [bool(page.searched_to) for page in there] == [True] * (len(there) - 1) + [False]
    back = walking.backward(found, there[-2])
    assert ids(back[::-1]) == ids(there[:-2])


def test_a_search_goes_on_while_there_is_patience(rare, monkeypatch):
    monkeypatch.setattr(paging, "PATIENCE", 60.0)
    page = read(rare, Order(("pk",)), size=4, among=Group.objects.all())
    assert (len(page.items), page.next, page.searched_to) == (4, "", ())


def test_a_full_page_of_a_search_tells_of_more(rare, monkeypatch):
    monkeypatch.setattr(paging, "PATIENCE", 60.0)
    page = read(rare, Order(("pk",)), size=2, among=Group.objects.all())
    assert [each.name for each in page.items] == ["g05-rare", "g33-rare"]
    assert page.next == f"after:{page.items[-1].pk}"


def test_a_place_in_a_list_of_ids():
    errors = [Error.objects.create(handler="h", exception="E", place=str(i)) for i in range(3)]
    page = read(Error.objects.all(), Order(("pk",), descending=True), f"after:{errors[2].pk}", size=4)
    assert [each.pk for each in page.items] == [errors[1].pk, errors[0].pk]
    assert (page.previous, page.next) == (f"before:{errors[1].pk}", "")
