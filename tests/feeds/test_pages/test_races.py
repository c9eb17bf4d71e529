"""Buttons pressed by several people at the same moment, each in a thread: one does it, the others are told,
and nobody sees an error."""

import json
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import pytest
from django.db import connection, transaction
from django.urls import reverse
from django.utils import timezone

from deliveries.commands import pause_destination
from deliveries.ids import delivery_id
from deliveries.models import Delivery, Destination, Payload, Status
from feeds.commands import add_mapping
from feeds.models import Alias, Deed, Errand, FailureGroup, Feed, FeedStatus, Mapping
from outbox.models import Error, Handling, Lane, OutboxEvent, State, Subscription
from tests.feeds.test_pages.test_admin import form_of

pytestmark = pytest.mark.django_db(transaction=True)

AT_ONCE = 3
TRIED = {"trial": True, "total": 40, "pending": 37}
LACKING = {"mapping_name": "products, version 1", "mapping": {"fields": {"cost": "c"}}, "missing": ["cost"]}
CELLS = {"cell-0": "002", "cell-1": "Better chair", "cell-2": "21"}
PAUSED = FeedStatus.PAUSED
CHECKED = {
    "status": "ready",
    "created": 0,
    "succeeded": 0,
    "failed": 0,
    "invalid": 0,
    "total": 40,
    "pending": 40,
}


class Press(NamedTuple):
    """A form that is sent to an address."""

    url: str
    said: dict[str, Any]


def to(page: str, *arguments: object, **said: Any) -> Press:
    return Press(reverse(page, args=arguments), said)


def in_admin(model: str, action: str, *ids: object) -> Press:
    return to(f"admin:{model}_changelist", action=action, _selected_action=[str(id_) for id_ in ids])


# Each brings the feed to where it has the button, and gives the press.


def act(action: str, **fields: Any) -> Callable[[Feed], Press]:
    def button(feed: Feed) -> Press:
        Feed.objects.filter(id=feed.id).update(**fields)
        return to("feeds:act", feed.id, action)

    return button


def of_rows(name: str, *arguments: object, now: str = Status.FAILED, **said: Any) -> Callable[[Feed], Press]:
    def button(feed: Feed) -> Press:
        Delivery.objects.update(status=now, fail_count=1)
        return to(name, feed.id, *arguments, **said)

    return button


def retry_group(feed: Feed) -> Press:
    Delivery.objects.update(status=Status.FAILED)
    group = FailureGroup.objects.get(feed=feed, invalid=0)
    return to("feeds:retry", feed.id, group=group.key)


def of_destination(action: str, *, paused: bool = False) -> Callable[[Feed], Press]:
    def button(feed: Feed) -> Press:
        if paused:
            with transaction.atomic():
                pause_destination(feed.destination_id, reason="Since yesterday.", by_person=True)
        return to("feeds:act_destination", feed.destination_id, action)

    return button


def correct(feed: Feed) -> Press:
    Feed.objects.filter(id=feed.id).update(**CHECKED)
    return to("feeds:correct", feed.id, delimiter=";")


def choose_mapping(feed: Feed) -> Press:
    mapping = add_mapping(name="products", document={"fields": {"sku": "id"}})
    Feed.objects.filter(id=feed.id).update(**CHECKED)
    return to("feeds:choose_mapping", feed.id, mapping=mapping.id)


def confirm_columns(feed: Feed) -> Press:
    add_mapping(name="products", document={"fields": {"cost": "c"}})
    Feed.objects.filter(id=feed.id).update(**CHECKED, **LACKING)
    return to("feeds:confirm_columns", feed.id, column=["cost"], found=["price"])


def remove_alias(feed: Feed) -> Press:
    add_mapping(name="products", document={"fields": {"cost": "c"}})
    alias = Alias.objects.create(mapping_name="products", column="cost", found="price", feed=feed)
    return to("feeds:remove_alias", alias.id)


def save_mapping(feed: Feed) -> Press:
    return to("feeds:add_mapping", name="new", document=json.dumps({"path": "/{sku}"}), seen="")


def add_destination(feed: Feed) -> Press:
    return to("feeds:add_destination", **form_of(feed.destination, name="new", headers=""))


def change_destination(feed: Feed) -> Press:
    edition = feed.destination.edition
    said = form_of(feed.destination, rate="5", seen_edition=edition)
    return to("feeds:change_destination", feed.destination_id, **said)


def retry_parked(feed: Feed) -> Press:
    error = park(feed)
    return to("feeds:retry_parked", error_id=error.id, handler="t.one", until=timezone.now().isoformat())


def retry_parked_in_admin(feed: Feed) -> Press:
    error = park(feed)
    return in_admin(
        "outbox_handling", "retry_parked", *Handling.objects.filter(error=error).values_list("id", flat=True)
    )


def park(feed: Feed) -> Error:
    names = {"event_type": "T", "handler": "t.one"}
    subscription, _ = Subscription.objects.get_or_create(**names, defaults={"kind": "effect", "queue": "q"})
    error, _ = Error.objects.get_or_create(handler="t.one", exception="E", place="p", sample="s")
    common = {"subscription": subscription, "lane_id": feed.lane_id, "error": error, "state": State.PARKED}
    for number in (1, 2, 3):
        Handling.objects.create(event_id=number, finished_at=timezone.now(), **common)
    return error


def retry_rows_in_admin(feed: Feed) -> Press:
    Delivery.objects.update(status=Status.FAILED)
    return in_admin("deliveries_delivery", "retry", *Delivery.objects.values_list("id", flat=True))


def ready_again() -> list[int]:
    return list(Handling.objects.filter(state=State.WAITING).values_list("generation", flat=True))


def nothing() -> list[object]:
    return []


class Case(NamedTuple):
    """A button, and what there is once all have pressed it: deeds, events, and what else can be counted."""

    button: Callable[[Feed], Press]
    deeds: Sequence[str] = ()
    events: Sequence[str] = ()
    found: Callable[[], Sequence[object]] = nothing
    is_: Sequence[object] = ()


def of(model: Any, *fields: str, **where: Any) -> Callable[[], Sequence[object]]:
    return lambda: list(
        model.objects.filter(**where).order_by("pk").values_list(*fields, flat=len(fields) == 1)
    )


SENT_AGAIN = ["DeliveryReopened"]
CASES = {
    "send": Case(act("send", **CHECKED), ["sent"], ["FeedReleased"]),
    "try ten": Case(act("try", **CHECKED), ["tried"], ["FeedReleased"]),
    "send the rest": Case(act("rest", **TRIED), ["sent"], ["FeedReleased"]),
    "pause": Case(act("pause"), ["paused"]),
    "resume": Case(act("resume", status=PAUSED, pending=1, failed=1), ["resumed"]),
    "resume what is done": Case(act("resume", status=PAUSED), ["resumed"], ["FeedCompleted"]),
    "cancel": Case(act("cancel"), ["cancelled"], ["FeedCancelled"]),
    "discard": Case(act("cancel", **CHECKED), ["cancelled"], ["FeedCancelled"]),
    "correct": Case(correct, ["corrected"], ["FeedCorrected"]),
    "choose a mapping": Case(choose_mapping, ["chose"], ["FeedCorrected"]),
    "confirm columns": Case(confirm_columns, ["confirmed"], ["FeedCorrected"], of(Alias, "found"), ["price"]),
    "remove an alias": Case(remove_alias, ["took back"], [], of(Alias, "found"), []),
    "retry all": Case(of_rows("feeds:retry"), ["retried"], ["RetryRequested"], of(Errand, "kind"), ["retry"]),
    "retry a group": Case(retry_group, ["retried"], ["RetryRequested"], of(Errand, "kind"), ["retry"]),
    "give up now": Case(
        of_rows("feeds:give_up", now=Status.SCHEDULED),
        *(["gave up"], ["GiveUpRequested"], of(Errand, "kind"), ["give up"]),
    ),
    "edit a failed row": Case(
        of_rows("feeds:edit_row", 2, **CELLS, revision="1"),
        *(["edited"], SENT_AGAIN, of(Payload, "revision"), [1, 1, 2]),
    ),
    "edit an invalid row": Case(
        of_rows("feeds:edit_row", 3, **CELLS, revision="0", checked="yes"),
        *(["edited"], ["DeliveryCreated"], of(Delivery, "number"), [1, 2, 3]),
    ),
    "rows in the admin": Case(retry_rows_in_admin, ["retried"], SENT_AGAIN * 2),
    "pause a destination": Case(of_destination("pause"), ["paused"], ["DestinationPaused"]),
    "resume a destination": Case(of_destination("resume", paused=True), ["resumed"], ["DestinationResumed"]),
    "change a destination": Case(change_destination, ["changed"], [], of(Destination, "rate"), [5.0]),
    "add a destination": Case(add_destination, ["added"], [], of(Destination, "name"), ["shop", "new"]),
    "save a mapping": Case(save_mapping, ["saved"], [], of(Mapping, "version", name="new"), [1]),
    "parked work": Case(
        retry_parked, [], ["OutboxChanged"], of(Handling, "generation", error=None), [1, 1, 1]
    ),
    "parked work in the admin": Case(
        retry_parked_in_admin, [], [], of(Handling, "generation", error=None), [1, 1, 1]
    ),
}


@pytest.fixture
def press_at_once(as_, owner, admin, destination) -> Callable[..., list[Any]]:
    """Presses each button in a browser of its own, by an admin, and all at the same moment."""

    def press_at_once(*presses: Press) -> list[Any]:
        start = threading.Barrier(len(presses), timeout=20)

        def press(press: Press) -> Any:
            browser = as_(admin)
            try:
                start.wait()
                return browser.post(press.url, press.said, follow=True)
            finally:
                connection.close()

        with ThreadPoolExecutor(len(presses)) as threads:
            return list(threads.map(press, presses))

    return press_at_once


@pytest.mark.parametrize("name", CASES)
def test_of_many_who_press_a_button_at_once_one_does_it(press_at_once, delivering, name):
    case = CASES[name]
    press = case.button(delivering)
    Deed.objects.all().delete()
    known = set(OutboxEvent.objects.values_list("id", flat=True))

    answers = press_at_once(*[press] * AT_ONCE)

    assert [answer.status_code for answer in answers] == [200] * AT_ONCE, [a.text for a in answers]
    assert sorted(Deed.objects.values_list("what", flat=True)) == sorted(case.deeds)
    events = OutboxEvent.objects.exclude(id__in=known).values_list("type", flat=True)
    assert sorted(events) == sorted(case.events)
    assert list(case.found()) == list(case.is_)


EDIT_FAILED = of_rows("feeds:edit_row", 2, **CELLS, revision="1")
PAIRS = {
    "send and discard": (act("send", **CHECKED), act("cancel")),
    "send and try ten": (act("send", **CHECKED), act("try")),
    "send and correct": (correct, act("send")),
    "the rest and cancel": (act("rest", **TRIED), act("cancel")),
    "pause and resume": (act("pause"), act("resume")),
    "pause and cancel": (act("pause"), act("cancel")),
    "resume and cancel": (act("resume", status=PAUSED), act("cancel")),
    "retry and cancel": (of_rows("feeds:retry"), act("cancel")),
    "retry and give up": (of_rows("feeds:retry"), of_rows("feeds:give_up")),
    "retry and edit": (of_rows("feeds:retry"), EDIT_FAILED),
    "edit and cancel": (EDIT_FAILED, act("cancel")),
    "edit and send again in the admin": (EDIT_FAILED, retry_rows_in_admin),
    "pause and resume a destination": (of_destination("pause"), of_destination("resume")),
}


@pytest.mark.parametrize("name", PAIRS)
def test_of_two_who_press_opposite_buttons_at_once_nobody_sees_an_error(press_at_once, delivering, name):
    presses = [button(delivering) for button in PAIRS[name]]

    answers = press_at_once(*presses * 2)

    assert [answer.status_code for answer in answers] == [200] * 4, [a.text for a in answers]
    delivering.refresh_from_db()  # the database itself keeps the ledger
    lane = Lane.objects.get(id=delivering.lane_id)
    assert lane.paused is (delivering.status in (FeedStatus.PAUSED, FeedStatus.CANCELLED))
    assert Payload.objects.filter(delivery_id=delivery_id(delivering.id, 2)).count() <= 2
