"""What a cancelled delivery says of itself."""

import uuid

import pytest
from django.db import transaction

from deliveries.commands import Parcel, add_destination, cancel_deliveries, create_deliveries
from deliveries.models import Delivery
from outbox.models import OutboxEvent, uuid7

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def group() -> uuid.UUID:
    destination = add_destination(name="shop", url="https://shop.example")
    group_id = uuid7()
    with transaction.atomic():
        parcels = [Parcel(number, "POST", "", "application/json", "{}") for number in (1, 2, 3)]
        create_deliveries(
            group_id=group_id, destination_id=destination.id, lane_id=destination.lane_id, parcels=parcels
        )
    return group_id


def test_only_what_is_open_is_cancelled_and_once(group):
    Delivery.objects.filter(number=2).update(status="succeeded", seq=1)
    with transaction.atomic():
        assert cancel_deliveries(group_id=group, first=1, last=3) == 2
    with transaction.atomic():
        assert cancel_deliveries(group_id=group, first=1, last=3) == 0
    statuses = dict(Delivery.objects.values_list("number", "status"))
    assert statuses == {1: "cancelled", 2: "succeeded", 3: "cancelled"}


def test_one_whose_earlier_attempt_was_not_answered_says_that_it_may_have_arrived(group):
    Delivery.objects.filter(number=3).update(status="scheduled", attempt=1, maybe_arrived=True)
    with transaction.atomic():
        cancel_deliveries(group_id=group, first=1, last=3)
    told = OutboxEvent.objects.filter(type="DeliveryCancelled").values_list("payload", flat=True)
    assert {payload["number"]: payload["code"] for payload in told} == {
        1: "cancelled",
        2: "cancelled",
        3: "outcome_unknown",
    }
