"""What follows a failed attempt: when the next one is, what it counts, and what is given up for good."""

from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from deliveries.answers import Kind
from deliveries.events import DeliveryAttemptFailed
from deliveries.handlers import REFUSED_TRIES, REFUSED_WAIT, retry_delivery
from deliveries.models import Delivery, Destination
from outbox.models import Lane, OutboxEvent
from outbox.outcomes import Defer

pytestmark = pytest.mark.django_db

FIRST = 30.0  # seconds until the second attempt, by the destination's schedule
MOST = 4  # attempts
FAILURE = 77  # the id of the event
LONG_AGO = timedelta(seconds=REFUSED_WAIT + 1)


@pytest.fixture
def delivery(group):
    """The first of a group; an attempt of it has just failed, the first that may count."""
    Destination.objects.update(retry_first=FIRST, retry_factor=3.0, max_attempts=MOST)
    Delivery.objects.filter(number=1).update(status="scheduled", attempt=2)
    return Delivery.objects.get(number=1)


@pytest.fixture
def after_failure(delivery):
    """Has a failed attempt decided on; gives the handler's outcome, and the delivery as it is then."""

    def decide(kind, *, ago=timedelta(0), attempt=2, **said):
        event = DeliveryAttemptFailed(
            id=FAILURE, correlation_id=delivery.id, conversation_id=delivery.group_id, occurrence=attempt,
            number=1, kind=kind, occurred_at=timezone.now() - ago, **said,
        )  # fmt: skip
        with transaction.atomic():
            [outcome] = retry_delivery([event])
        delivery.refresh_from_db()
        return outcome, delivery

    return decide


def planned():
    """Seconds until the attempt that was planned."""
    event = OutboxEvent.objects.get(type="DeliveryScheduled")
    assert event.due_at
    return (event.due_at - timezone.now()).total_seconds()


def is_given_up(delivery):
    return delivery.status == "failed" and OutboxEvent.objects.filter(type="DeliveryFailed").exists()


@pytest.mark.parametrize(
    ("said", "counts", "wait"),
    [
        pytest.param({"kind": Kind.AGAIN}, 1, FIRST, id="by the schedule"),
        pytest.param({"kind": Kind.AGAIN, "wait": 500.0}, 1, 500.0, id="as long as it was asked to wait"),
        pytest.param({"kind": Kind.AGAIN, "counted": False}, 0, 1.0, id="a probe, which is not counted"),
        pytest.param({"kind": Kind.THROTTLED, "counted": False, "wait": 30.0}, 0, 30.0, id="throttled"),
    ],
)
def test_what_failed_is_tried_again_and_counts_unless_the_destination_is_to_blame(
    after_failure, said, counts, wait
):
    outcome, delivery = after_failure(**said)
    assert outcome is None
    assert (delivery.status, delivery.attempt, delivery.fail_count) == ("scheduled", 3, counts)
    assert planned() == pytest.approx(wait, rel=0.25)
    assert OutboxEvent.objects.get(type="DeliveryScheduled").causation_id == FAILURE


def test_who_is_tried_a_thousand_times_waits_as_long_as_the_longest_wait_each_time(after_failure, delivery):
    Destination.objects.update(max_attempts=1000, retry_first=1.0, retry_cap=60.0)
    Delivery.objects.filter(id=delivery.id).update(fail_count=700)
    _, delivery = after_failure(Kind.AGAIN)
    assert (delivery.status, delivery.fail_count) == ("scheduled", 701)
    assert planned() == pytest.approx(60.0, rel=0.25)


def test_what_is_not_counted_never_uses_the_attempts_up(after_failure, delivery):
    Delivery.objects.filter(id=delivery.id).update(fail_count=MOST - 1)
    _, delivery = after_failure(Kind.THROTTLED, counted=False, wait=5.0)
    assert (delivery.status, delivery.fail_count) == ("scheduled", MOST - 1)

    Delivery.objects.filter(id=delivery.id).update(attempt=2)
    _, delivery = after_failure(Kind.AGAIN)
    assert is_given_up(delivery)
    assert delivery.fail_count == MOST


def test_what_fails_for_good_is_given_up_with_the_words_of_the_third_party(after_failure):
    _, delivery = after_failure(Kind.FAILED, http_status=422, code="http_422", message="No such thing.")
    assert (delivery.status, delivery.seq, delivery.fail_count, delivery.attempt) == ("failed", 1, 1, 2)
    [event] = OutboxEvent.objects.filter(type="DeliveryFailed")
    told = {name: event.payload[name] for name in ("number", "seq", "http_status", "code", "message")}
    assert told == {
        "number": 1, "seq": 1, "http_status": 422, "code": "http_422", "message": "No such thing."
    }  # fmt: skip


def test_who_is_refused_waits_a_while_for_what_others_are_answered(after_failure):
    outcome, delivery = after_failure(Kind.REFUSED, counted=False)
    assert outcome == Defer(2.0)
    assert (delivery.status, delivery.attempt) == ("scheduled", 2)


def test_who_is_refused_while_others_go_through_fails_for_good(after_failure):
    Destination.objects.update(last_success_at=timezone.now() + timedelta(seconds=1))
    assert is_given_up(after_failure(Kind.REFUSED, counted=False)[1])


def test_who_is_refused_after_others_went_through_waits_all_the_same(after_failure):
    Destination.objects.update(last_success_at=timezone.now() - timedelta(seconds=5))
    outcome, _ = after_failure(Kind.REFUSED, counted=False)
    assert outcome == Defer(2.0)


def test_who_is_refused_like_all_others_is_sent_once_the_access_is_mended_and_nothing_counts(after_failure):
    Lane.objects.filter(id=Destination.objects.get().lane_id).update(paused=True)
    _, delivery = after_failure(Kind.REFUSED, counted=False, attempt=2)
    assert (delivery.status, delivery.attempt, delivery.fail_count) == ("scheduled", 3, 0)
    assert planned() < 1


@pytest.mark.parametrize("attempt", [REFUSED_TRIES - 1, REFUSED_TRIES])
def test_who_is_refused_again_and_again_while_nobody_else_is_sent_fails_in_the_end(
    after_failure, delivery, attempt
):
    Delivery.objects.filter(id=delivery.id).update(attempt=attempt)
    _, delivery = after_failure(Kind.REFUSED, counted=False, ago=LONG_AGO, attempt=attempt)
    assert is_given_up(delivery) is (attempt == REFUSED_TRIES)
    assert delivery.fail_count == 0


@pytest.mark.parametrize("meanwhile", [{"status": "cancelled"}, {"attempt": 3}])
def test_a_delivery_that_has_moved_on_is_left_alone(after_failure, delivery, meanwhile):
    Delivery.objects.filter(id=delivery.id).update(**meanwhile)
    before = OutboxEvent.objects.count()
    outcome, delivery = after_failure(Kind.AGAIN)
    assert (outcome, delivery.fail_count) == (None, 0)
    assert OutboxEvent.objects.count() == before
