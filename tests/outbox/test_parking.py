from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction

from outbox import parking, queries, sql
from outbox.errors import Permanent
from outbox.models import Handling
from outbox.publishing import publish
from outbox.retries import Park
from tests.outbox.conftest import note, states

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def failing(broker, add_handler):
    """Two handlers that park everything, until they are told that the world is mended."""
    world: dict[str, Any] = {"mended": False, "ran": []}

    def fails(event):
        if not world["mended"]:
            raise Permanent("no such shop")
        world["ran"].append(event.text)

    def fails_elsewhere(event):
        if not world["mended"]:
            raise KeyError(event.text)

    add_handler("t.fails")(fails)
    add_handler("t.elsewhere", retry=lambda tries, error, now: Park(), tells_when_parked=False)(
        fails_elsewhere
    )
    with transaction.atomic():
        publish(*[note(str(i)) for i in range(4)])
    broker.settle()
    assert states() == {"parked": 8}
    return world


def ids_of(handler: str) -> list[int]:
    return list(
        Handling.objects.filter(subscription__handler=handler).order_by("id").values_list("id", flat=True)
    )


def test_parked_work_is_listed_by_handler_exception_and_place(failing):
    # When
    groups = {group.handler: group for group in queries.parked_groups()}

    # Then
    assert groups["t.fails"].count == 4
    assert groups["t.fails"].exception == "Permanent"
    assert "test_parking.py" in groups["t.fails"].place
    assert "fails" in groups["t.fails"].place
    assert groups["t.fails"].sample == "Permanent: no such shop"
    assert groups["t.elsewhere"].exception == "KeyError"
    oldest, newest = groups["t.fails"].oldest, groups["t.fails"].newest
    assert oldest is not None
    assert newest is not None
    assert oldest <= newest <= sql.database_now()


def test_a_retry_starts_a_new_generation_with_nothing_counted_and_runs(broker, failing):
    # Given
    first = ids_of("t.fails")[0]
    Handling.objects.filter(id=first).update(deaths=2, deaths_alone=1)
    failing["mended"] = True

    # When
    assert parking.retry_one(first, generation=0)

    # Then
    handling = Handling.objects.get(id=first)
    assert (handling.state, handling.generation) == ("waiting", 1)
    assert (handling.tries, handling.deaths, handling.deaths_alone) == (0, 0, 0)
    broker.settle()
    assert failing["ran"] == ["0"]
    assert states() == {"parked": 7, "done": 1}


def test_a_second_click_does_nothing_twice(broker, failing):
    # Given
    first = ids_of("t.fails")[0]
    assert parking.retry_one(first, generation=0)

    # When it is clicked again before, and after, the retry failed and was parked once more
    assert not parking.retry_one(first, generation=0)
    broker.settle()
    assert Handling.objects.get(id=first).state == "parked"

    # Then
    assert not parking.retry_one(first, generation=0)
    assert Handling.objects.get(id=first).generation == 1


def test_what_is_finished_never_runs_again(broker, failing):
    # Given
    failing["mended"] = True
    parking.retry_all()
    broker.settle()
    assert states() == {"done": 8}

    # When
    done = ids_of("t.fails")[0]

    # Then
    assert not parking.retry_one(done, generation=1)
    assert parking.retry_all() == 0
    broker.settle()
    assert failing["ran"] == ["0", "1", "2", "3"]


def test_a_group_is_retried_and_others_stay(failing):
    # Given
    group = next(group for group in queries.parked_groups() if group.handler == "t.fails")

    # When
    assert parking.retry_all(error_id=group.error_id) == 4

    # Then
    assert states() == {"waiting": 4, "parked": 4}
    assert parking.retry_all(error_id=group.error_id) == 0


def test_all_of_one_handler_is_retried_in_batches(failing, monkeypatch):
    monkeypatch.setattr(parking, "BATCH", 3)
    assert parking.retry_all(handler="t.elsewhere") == 4
    assert states() == {"waiting": 4, "parked": 4}
    assert set(ids_of("t.elsewhere")) == set(
        Handling.objects.filter(state="waiting").values_list("id", flat=True)
    )


def test_a_time_window_is_retried(failing):
    # Given one that was parked an hour ago
    hour_ago = sql.database_now() - timedelta(hours=1)
    Handling.objects.filter(id=ids_of("t.fails")[2]).update(finished_at=hour_ago)

    # When
    minute = timedelta(minutes=1)
    retried = parking.retry_all(since=hour_ago - minute, until=hour_ago + minute)

    # Then
    assert retried == 1
    assert Handling.objects.get(state="waiting").id == ids_of("t.fails")[2]


def test_a_click_on_an_old_page_leaves_alone_what_was_parked_after_it_was_shown(broker, failing):
    # Given a page, and a retry that failed again after it was shown
    shown_at = sql.database_now()
    assert parking.retry_all(handler="t.fails", until=shown_at) == 4
    broker.settle()
    assert states() == {"parked": 8}

    # When
    again = parking.retry_all(handler="t.fails", until=shown_at)

    # Then
    assert again == 0


def test_a_retry_wakes_the_relay_once_it_is_committed(failing, monkeypatch):
    woken = []
    monkeypatch.setattr(parking, "wake_relay", lambda: woken.append(states()))
    monkeypatch.setattr("django.db.transaction.on_commit", lambda call: call())
    parking.retry_all(handler="t.fails")
    assert len(woken) == 1
