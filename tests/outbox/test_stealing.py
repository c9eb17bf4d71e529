"""A worker whose lease is another's changes nothing, at whichever step it lost it."""

from typing import Any

import pytest
from django.db import connection, transaction

from outbox import effects, leases, registry, relay, settling, sql
from outbox.effects import EffectBatch
from outbox.errors import LeaseLost
from outbox.models import Error, Handling, Kind, Lease, OutboxEvent
from outbox.outcomes import Defer
from outbox.publishing import publish
from outbox.running import run_lease
from tests.outbox.conftest import Broker, Echoed, Noted, expire, other_transaction, publish_notes, states

pytestmark = pytest.mark.django_db(transaction=True)

on_postgresql_only = pytest.mark.skipif("connection.vendor != 'postgresql'", reason="two writers at once")


def did(event: Any) -> None:
    Error.objects.create(handler="did", exception=event.text, place=str(event.id))
    publish(Echoed(correlation_id=event.correlation_id, text=event.text))


def rows() -> dict[str, list[Any]]:
    """Everything that a worker could have changed."""
    return {
        "handlings": list(Handling.objects.order_by("id").values()),
        "changes": list(Error.objects.order_by("id").values("handler", "exception")),
        "events": list(OutboxEvent.objects.order_by("id").values_list("id", flat=True)),
        "leases": list(Lease.objects.order_by("id").values("id", "token", "state", "ids")),
    }


class Stolen:
    """Takes the running worker's lease away, by time and another pass of the relay, once."""

    def __init__(self) -> None:
        self.after: dict[str, list[Any]] | None = None

    def __call__(self) -> None:
        if self.after is None:
            self.after = {}
            expire()
            relay.run_pass()
            self.after = rows()


@pytest.fixture
def stolen():
    return Stolen()


def steal_after_claim(stolen: Stolen, monkeypatch: pytest.MonkeyPatch) -> None:
    claim = leases.claim

    def claim_and_lose(*args: Any) -> Any:
        claimed = claim(*args)
        stolen()
        return claimed

    monkeypatch.setattr(leases, "claim", claim_and_lose)


class Acts(EffectBatch[Noted, str]):
    def load(self, events):
        pass

    def is_wanted(self, event):
        return True

    def act(self, event):
        return "acted"

    def record(self, acts):
        for event, _ in acts:
            did(event)


def add_form(add_handler: Any, form: str) -> None:
    """A handler of that form that makes one change for each event."""

    def one(event):
        Error.objects.create(handler="did", exception=event.text, place=str(event.id))

    def many(events):
        for event in events:
            did(event)

    forms: dict[str, tuple[Any, dict[str, Any]]] = {
        "single": (did, {}),
        "list": (many, {"batch": 200}),
        "projection": (one, {"kind": Kind.PROJECTION}),
        "effect": (lambda event: lambda: did(event), {"kind": Kind.EFFECT}),
        "effects": (Acts, {"kind": Kind.EFFECT, "batch": 200, "slots": 2}),
    }
    call, options = forms[form]
    add_handler("t.form", **options)(call)


FORMS = pytest.mark.parametrize("form", ["single", "list", "projection", "effect", "effects"])


@FORMS
def test_a_lease_stolen_after_its_claim_leaves_no_row_changed(broker, add_handler, stolen, monkeypatch, form):
    # Given
    add_form(add_handler, form)
    publish_notes(*"abc")
    relay.run_pass()
    steal_after_claim(stolen, monkeypatch)

    # When
    broker.deliver()

    # Then
    assert stolen.after
    assert rows() == stolen.after


def test_a_lease_stolen_during_an_act_leaves_no_row_changed(broker, add_handler, stolen):
    @add_handler("t.effect", kind=Kind.EFFECT)
    def effect(event):
        stolen()
        return lambda: did(event)

    publish_notes("a")
    relay.run_pass()
    broker.deliver()
    assert stolen.after
    assert rows() == stolen.after


@pytest.mark.parametrize("step", ["load", "is_wanted", "last act"])
def test_a_lease_stolen_at_a_step_of_a_batch_of_acts_leaves_no_row_changed(
    broker, add_handler, stolen, monkeypatch, step
):
    class Loses(Acts):
        def load(self, events):
            if step == "load":
                stolen()

        def is_wanted(self, event):
            if step == "is_wanted":
                stolen()
            return True

    if step == "last act":
        settle = effects.settle_acts

        def lose_and_settle(*args: Any, **options: Any) -> None:
            stolen()
            settle(*args, **options)

        monkeypatch.setattr(effects, "settle_acts", lose_and_settle)
    add_handler("t.effects", kind=Kind.EFFECT, batch=10)(Loses)
    publish_notes(*"abc")
    relay.run_pass()
    broker.deliver()
    assert stolen.after
    assert rows() == stolen.after


def test_a_lease_stolen_between_two_halves_keeps_the_first_and_leaves_the_second(
    broker, add_handler, stolen, monkeypatch
):
    # Given a batch whose first half is settled when its lease is lost
    renew = leases.renew

    def lose_and_renew(claim):
        stolen()
        renew(claim)

    monkeypatch.setattr(leases, "renew", lose_and_renew)

    @add_handler("t.halves", batch=4)
    def halves(events):
        if len(events) == 4:
            raise ValueError("too many")
        for event in events:
            did(event)

    publish_notes(*"abcd")
    relay.run_pass()

    # When
    broker.deliver()

    # Then
    assert stolen.after
    assert rows() == stolen.after


@FORMS
def test_what_was_stolen_is_done_once_by_the_next(broker, add_handler, stolen, monkeypatch, form):
    add_form(add_handler, form)
    publish_notes(*"abc")
    relay.run_pass()
    steal_after_claim(stolen, monkeypatch)
    broker.settle()
    assert states(event__type="Noted") == {"done": 3}
    assert sorted(Error.objects.values_list("exception", flat=True)) == ["a", "b", "c"]


@pytest.mark.parametrize("form", ["single", "list", "projection"])
def test_one_of_200_stolen_leaves_the_effect_of_exactly_199(broker, add_handler, monkeypatch, form):
    # Given one that is taken out of the batch after its claim, and done elsewhere
    add_form(add_handler, form)
    ids = publish_notes(*[str(i) for i in range(200)])
    claim = leases.claim

    def claim_and_lose_one(*args: Any) -> Any:
        claimed = claim(*args)
        Handling.objects.filter(event_id=ids[7], state="leased").update(state="done", lease_id=None)
        return claimed

    monkeypatch.setattr(leases, "claim", claim_and_lose_one)

    # When
    broker.settle()

    # Then
    made = sorted(Error.objects.values_list("exception", flat=True))
    assert made == sorted(str(i) for i in range(200) if i != 7)
    assert states(event__type="Noted") == {"done": 200}


def claimed_by_hand(broker: Broker) -> leases.Claim:
    name, lease_id, token = broker.messages.pop(0)
    claim = leases.claim(registry.get(name), lease_id, token)
    assert claim is not None
    return claim


def test_the_fence_stops_a_stale_worker_before_its_handler_is_called(broker, add_handler):
    # Given
    called: list[Noted] = []
    add_handler("t.one")(called.append)
    publish_notes("a")
    relay.run_pass()
    claim = claimed_by_hand(broker)
    Lease.objects.update(token="00000000-0000-0000-0000-000000000001")

    # When it is fenced by token alone, its handlings being under the same lease still
    with pytest.raises(LeaseLost), transaction.atomic():
        leases.fence(claim)

    # Then
    assert states() == {"leased": 1}
    assert called == []


def test_nothing_is_settled_unless_the_lease_holds_all_of_it(broker, add_handler):
    add_handler("t.one", batch=10)(lambda events: None)
    publish_notes("a", "b", "c")
    relay.run_pass()
    claim = claimed_by_hand(broker)
    ids = [entry.id for entry in claim.entries]
    Handling.objects.filter(id=ids[1]).update(lease_id=claim.lease_id + 1000)
    for settle in (
        lambda: settling.complete(claim, ids),
        lambda: settling.defer(claim, ids, Defer(1.0)),
        lambda: settling.fail(claim, settling.Failure(claim.entries[1], ValueError("no"))),
    ):
        with pytest.raises(LeaseLost), transaction.atomic():
            settle()
    assert states() == {"leased": 3}


def test_a_message_that_comes_twice_is_taken_once(broker, add_handler):
    called = []
    add_handler("t.one", kind=Kind.EFFECT)(lambda event: called.append(event.text))
    publish_notes("a")
    relay.run_pass()
    message = broker.messages[0]
    broker.deliver(keep=True)
    broker.deliver()
    run_lease(registry.get("t.one"), message[1], message[2])
    assert called == ["a"]
    assert states() == {"done": 1}


def test_a_message_that_comes_twice_at_once_is_taken_once(broker, add_handler):
    # Given a handler that gets its own message again while it acts
    called = []

    @add_handler("t.one", kind=Kind.EFFECT)
    def one(event):
        called.append(event.text)
        if len(called) == 1:
            broker.deliver()

    publish_notes("a")
    relay.run_pass()

    # When
    broker.deliver(keep=True)

    # Then
    assert called == ["a"]
    assert states() == {"done": 1}


@on_postgresql_only
def test_the_relay_does_not_wait_for_a_lease_that_its_worker_has_locked(broker, add_handler):
    # Given a worker in its transaction, whose lease has expired, and other work
    add_handler("t.slow", batch=1)(lambda events: None)
    add_handler("t.other", on=Echoed)(lambda event: None)
    publish_notes("a")
    relay.run_pass()
    claim = claimed_by_hand(broker)
    expire()
    try:
        with other_transaction() as worker:
            worker.execute("SELECT id FROM outbox_lease WHERE id = %s FOR NO KEY UPDATE", [claim.lease_id])

            # When
            with transaction.atomic():
                publish(Echoed(correlation_id=claim.token))
            with connection.cursor() as cursor:
                cursor.execute("SET lock_timeout = '2s'")
            relay.run_pass()

            # Then the other work goes on, and the locked lease stays
            assert [message[0] for message in broker.messages] == ["t.other"]
            assert Lease.objects.filter(id=claim.lease_id).exists()
    finally:
        with connection.cursor() as cursor:
            cursor.execute("RESET lock_timeout")
    relay.run_pass()
    assert not Lease.objects.filter(id=claim.lease_id).exists()


@on_postgresql_only
def test_a_transaction_that_hangs_is_ended_at_the_hard_limit_of_its_lease(broker, add_handler):
    add_handler("t.one")(lambda event: None)
    publish_notes("a")
    relay.run_pass()
    claim = claimed_by_hand(broker)
    with transaction.atomic(), connection.cursor() as cursor:
        leases.fence(claim)
        for name in ("statement_timeout", "idle_in_transaction_session_timeout"):
            cursor.execute(f"SELECT setting::int FROM pg_settings WHERE name = '{name}'")
            assert 50_000 < cursor.fetchone()[0] <= 60_000
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone()[0] == "0"


def test_a_lease_is_renewed_after_progress_but_never_past_its_hard_limit(broker, add_handler):
    # Given
    add_handler("t.one", hard_limit=60.0)(lambda event: None)
    publish_notes("a")
    relay.run_pass()
    claim = claimed_by_hand(broker)
    before = Lease.objects.get().until

    # When the last renewal is a moment old
    leases.renew(claim)
    assert Lease.objects.get().until == before

    # When it is older
    claim.renewed -= 6.0
    leases.renew(claim)
    assert Lease.objects.get().until > before

    # When the hard limit comes near
    claim.renewed -= 6.0
    claim.hard_until = claim.renewed + 8.0
    leases.renew(claim)
    assert (Lease.objects.get().until - sql.database_now()).total_seconds() < 3.0
    claim.renewed -= 6.0
    claim.hard_until -= 10.0
    with pytest.raises(LeaseLost):
        leases.renew(claim)


def test_a_renewal_fails_once_the_lease_is_anothers(broker, add_handler):
    add_handler("t.one")(lambda event: None)
    publish_notes("a")
    relay.run_pass()
    claim = claimed_by_hand(broker)
    claim.renewed -= 6.0
    expire()
    relay.run_pass()
    with pytest.raises(LeaseLost):
        leases.renew(claim)
