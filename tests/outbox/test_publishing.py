import uuid
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from django.db import transaction

from outbox import events, relay, sql
from outbox.errors import NoTransaction, PublishedInProjection
from outbox.events import Event, UnreadableEvent
from outbox.models import Kind, OutboxEvent, Unrelayed
from outbox.publishing import caused_by, publish
from tests.outbox.conftest import Echoed, note, publish_notes, states

pytestmark = pytest.mark.django_db(transaction=True)


@dataclass(frozen=True, kw_only=True)
class Rich(Event):
    """Every kind of field."""

    other: uuid.UUID
    at: datetime | None
    amounts: list[int]
    odd: str = "ü\n\"'\\\t"
    share: float = 0.5
    sure: bool = True
    added_later: str = "default"


def test_an_event_is_refused_outside_a_transaction(db):
    with pytest.raises(NoTransaction):
        publish(note())
    assert OutboxEvent.objects.count() == Unrelayed.objects.count() == 0


def test_what_is_rolled_back_was_never_published(broker, add_handler):
    add_handler("t.one")(lambda event: None)
    with transaction.atomic():
        publish(note())
        transaction.set_rollback(True)
    broker.settle()
    assert OutboxEvent.objects.count() == 0
    assert states() == {}


def test_ids_rise_in_the_order_of_publishing(broker, db):
    with transaction.atomic():
        first = publish(*[note(text) for text in "abcde"])
        second = publish(note("f"))
    assert [*first, *second] == sorted({*first, *second})
    stored = OutboxEvent.objects.order_by("id").values_list("payload__text", flat=True)
    assert list(stored) == list("abcdef")
    assert set(Unrelayed.objects.values_list("event_id", flat=True)) == {*first, *second}


def test_an_event_comes_to_its_handler_as_it_was_published(broker, add_handler):
    # Given
    got: list[Rich] = []
    add_handler("t.rich", on=Rich)(got.append)
    event = Rich(
        correlation_id=uuid.uuid4(),
        conversation_id=uuid.uuid4(),
        occurrence=3,
        other=uuid.uuid4(),
        at=datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
        amounts=[1, 2],
        due_at=datetime(2026, 1, 1, tzinfo=UTC),
    )

    # When
    with transaction.atomic():
        (event_id,) = publish(event)
    broker.settle()

    # Then
    assert got == [event]
    assert got[0].id == event_id
    assert got[0].occurred_at is not None
    assert abs((sql.database_now() - got[0].occurred_at).total_seconds()) < 60


def test_an_older_event_is_read_with_the_defaults_of_fields_added_since(db):
    event = events.restore(
        "Rich", 1, {"other": str(uuid.uuid4()), "at": None, "amounts": []}, correlation_id=1
    )
    assert isinstance(event, Rich)
    assert event.added_later == "default"


def test_an_event_that_lacks_what_has_no_default_is_not_restored():
    with pytest.raises(TypeError, match="A stored Rich has no other"):
        events.restore("Rich", 1, {"at": None, "amounts": []}, correlation_id=1)


@pytest.mark.parametrize(("name", "version"), [("Rich", 2), ("Unheard", 1)])
def test_a_newer_event_is_unreadable_and_says_so(name, version):
    with pytest.raises(UnreadableEvent, match="newer than this process"):
        events.restore(name, version, {}, correlation_id=1)


def test_what_a_handler_publishes_names_its_cause(broker, add_handler):
    # Given
    @add_handler("t.one")
    def one(event):
        publish(Echoed(correlation_id=event.correlation_id, text=f"one {event.text}"))

    @add_handler("t.effect", kind=Kind.EFFECT)
    def effect(event):
        def then():
            publish(Echoed(correlation_id=event.correlation_id, text=f"effect {event.text}"))

        return then

    # When
    ids = publish_notes("a", "b")
    broker.settle()

    # Then
    causes = dict(OutboxEvent.objects.filter(type="Echoed").values_list("payload__text", "causation_id"))
    assert causes == {"one a": ids[0], "one b": ids[1], "effect a": ids[0], "effect b": ids[1]}


def test_a_cause_that_is_given_wins_over_the_one_being_handled(broker, db):
    with transaction.atomic(), caused_by(7):
        publish(Echoed(correlation_id=uuid.uuid4(), causation_id=5), Echoed(correlation_id=uuid.uuid4()))
    assert set(OutboxEvent.objects.values_list("causation_id", flat=True)) == {5, 7}


def test_a_projection_that_publishes_is_refused(broker, add_handler):
    # Given
    errors = []

    @add_handler("t.projection", kind=Kind.PROJECTION)
    def projection(event):
        try:
            publish(Echoed(correlation_id=event.correlation_id))
        except PublishedInProjection as exc:
            errors.append(exc)
            raise

    # When
    publish_notes("a")
    relay.run_pass()
    broker.deliver()

    # Then
    assert len(errors) == 1
    assert states() == {"waiting": 1}
    with transaction.atomic():
        publish(note())  # the next transaction of the process may publish again
