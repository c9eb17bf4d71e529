import json
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction

from outbox import heartbeats, lanes, relay, sql
from outbox.errors import Permanent
from outbox.models import Handling, Heartbeat, OutboxEvent, Subscription
from outbox.publishing import publish
from tests.outbox.conftest import Noted, note, states

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def run(capsys):
    def call(*args: str) -> str:
        call_command("outbox", *args)
        return str(capsys.readouterr().out)

    return call


@pytest.fixture
def parked(broker, add_handler):
    @add_handler("t.bad")
    def bad(event):
        raise Permanent("never")

    with transaction.atomic():
        publish(note("a"), note("b"))
    broker.settle()


def test_status_shows_what_each_handler_has_before_it(run, broker, add_handler, parked):
    # Given two parked, one waiting, two leased, three ready
    add_handler("t.slow", batch=2)(lambda events: None)
    add_handler("t.later", when_due=True)(lambda event: None)
    Subscription.objects.filter(handler="t.bad").update(active=False)
    heartbeats.beat("test", kind="worker", queues=["t.slow"], concurrency=1, processes=1)
    with transaction.atomic():
        publish(*[note(str(i), due_at=sql.database_now() + timedelta(days=i)) for i in range(1, 6)])
    Heartbeat.objects.update(processes=0)
    relay.run_pass()
    Heartbeat.objects.update(processes=1)
    relay.run_pass()

    # When
    found = {h["handler"]: h for h in json.loads(run("status", "--json"))["handlers"]}

    # Then
    assert (found["t.bad"]["parked"], found["t.bad"]["ready"]) == (2, 0)
    assert (found["t.slow"]["ready"], found["t.slow"]["leased"]) == (1, 4)
    assert found["t.slow"]["oldest_ready"] is not None
    assert found["t.later"]["waiting"] == 5
    text = run("status")
    assert "t.slow" in text
    assert "worker test lives, 1 at once." in text


def test_status_says_which_lanes_are_closed_and_why(run, add_handler):
    add_handler("t.one")(lambda event: None)
    held = lanes.ensure("t.one", "shop")
    lanes.hold(held, until=sql.database_now() + timedelta(minutes=5), why="429 from the shop")
    paused = lanes.ensure("t.one", "depot")
    lanes.pause([paused], why="paused by ann")
    text = run("status")
    assert "t.one shop, 0 ready. 429 from the shop" in text
    assert f"Closed until resumed: lane {paused} t.one depot, 0 ready. paused by ann" in text


def test_status_says_so_when_no_worker_lives(run, db):
    Heartbeat.objects.all().delete()
    assert "No worker lives: nothing is handed over." in run("status")


def test_subscriptions_are_listed_and_switched(run, add_handler):
    # Given
    add_handler("t.one")(lambda event: None)

    # When
    text = run("subscriptions", "--off", "t.one")

    # Then
    line = next(line for line in text.splitlines() if line.startswith("t.one"))
    assert line.split() == ["t.one", "Noted", "transactional", "off"]
    assert not Subscription.objects.get(handler="t.one").active
    listed = json.loads(run("subscriptions", "--on", "t.one", "--json"))
    assert next(item for item in listed if item["handler"] == "t.one")["active"] is True


def test_retry_alone_lists_what_is_parked(run, parked):
    text = run("retry")
    assert "t.bad" in text
    assert "Permanent: never" in text
    assert states() == {"parked": 2}
    assert json.loads(run("retry", "--json"))[0]["count"] == 2


@pytest.mark.parametrize("option", ["handling", "handler", "error", "all"])
def test_retry_runs_one_a_group_a_handlers_or_all_again(run, parked, option):
    first = Handling.objects.order_by("id")[0]
    values = {"handling": [str(first.id)], "handler": ["t.bad"], "error": [str(first.error_id)], "all": []}
    count = 1 if option == "handling" else 2
    text = run("retry", f"--{option}", *values[option])
    assert text.strip() == f"{count} parked handlings run again."
    assert states().get("waiting") == count


@pytest.mark.parametrize(
    "args",
    [
        ("retry", "--handling", "0"),
        ("retry", "--handler", "t.unknown"),
        ("subscriptions", "--off", "t.unknown"),
        ("prune", "--older-than", "-1"),
    ],
)
def test_what_cannot_be_followed_ends_with_code_2(run, db, args):
    with pytest.raises(CommandError) as error:
        run(*args)
    assert error.value.returncode == 2


def test_prune_takes_a_number_of_days(run, broker, add_handler):
    add_handler("t.one", on=Noted)(lambda event: None)
    with transaction.atomic():
        publish(note("a"))
    broker.settle()
    OutboxEvent.objects.update(occurred_at=sql.database_now() - timedelta(days=3))
    assert run("prune").strip() == "0 events and 0 handlings deleted."
    assert run("prune", "--older-than", "2.5").strip() == "1 events and 1 handlings deleted."
