"""Work that goes on for long: put off, done step by step, with its lease renewed."""

from typing import Any

import pytest

from outbox import process, relay, running, sql
from outbox.models import Error, Handling, Kind, Lease
from outbox.outcomes import Defer, NextStep
from tests.outbox.conftest import due_now, publish_notes, states

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("form", ["single", "list", "effect"])
def test_a_handler_may_put_an_event_off_which_is_no_failure(broker, add_handler, form):
    # Given
    calls: list[str] = []

    def later(event):
        calls.append(event.text)
        return Defer(600.0) if len(calls) == 1 else None

    def later_list(events):
        return [later(event) for event in events]

    forms: dict[str, dict[str, Any]]
    forms = {"single": {}, "list": {"batch": 5}, "effect": {"kind": Kind.EFFECT}}
    options = forms[form]
    add_handler("t.later", **options)(later_list if form == "list" else later)
    publish_notes("a")

    # When
    broker.settle()

    # Then
    handling = Handling.objects.get()
    assert (handling.state, handling.tries) == ("waiting", 0)
    assert handling.due_at is not None
    assert 590 < (handling.due_at - sql.database_now()).total_seconds() < 610
    due_now()
    broker.settle()
    assert calls == ["a", "a"]
    assert states() == {"done": 1}


@pytest.mark.parametrize("kind", [Kind.TRANSACTIONAL, Kind.EFFECT])
def test_long_work_goes_on_step_by_step_each_committed(broker, add_handler, kind):
    # Given
    committed: list[int] = []

    def write():
        Error.objects.create(handler="did", exception="step", place=str(len(committed)))
        return NextStep() if len(committed) < 4 else None

    def step(event):
        committed.append(Error.objects.filter(handler="did").count())
        return write if kind is Kind.EFFECT else write()

    add_handler("t.steps", kind=kind)(step)
    publish_notes("a")

    # When
    broker.settle()

    # Then
    assert committed == [0, 1, 2, 3]
    assert states() == {"done": 1}


def test_an_effect_of_many_steps_lets_others_have_their_turn(broker, add_handler, monkeypatch):
    calls: list[str] = []

    @add_handler("t.steps", kind=Kind.EFFECT)
    def steps(event):
        calls.append(event.text)
        return NextStep() if len(calls) < 3 else None

    monkeypatch.setattr(running, "STEPS_BUDGET", -1.0)
    publish_notes("a")
    relay.run_pass()
    broker.deliver()
    assert len(calls) == 1
    assert states() == {"waiting": 1}
    broker.settle()
    assert len(calls) == 3
    assert states() == {"done": 1}


def test_a_long_act_renews_its_lease_by_saying_that_it_gets_on(broker, add_handler):
    # Given
    untils = []

    @add_handler("t.long", kind=Kind.EFFECT)
    def long(event):
        untils.append(Lease.objects.get().until)
        claim = process.current_claim.get()
        assert claim is not None
        claim.renewed -= 6.0  # six seconds later
        process.progress()
        untils.append(Lease.objects.get().until)

    # When
    publish_notes("a")
    broker.settle()

    # Then
    assert untils[1] > untils[0]
    process.progress()  # outside a lease it does nothing
