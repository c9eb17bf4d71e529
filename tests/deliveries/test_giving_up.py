"""What is given up, and what it says of itself."""

import pytest
from django.db import transaction

from deliveries.commands import give_up_deliveries
from deliveries.models import Delivery
from outbox.models import OutboxEvent

pytestmark = pytest.mark.django_db(transaction=True)


def test_only_what_is_tried_again_after_a_counted_failure_is_given_up_and_once(group):
    Delivery.objects.filter(number=2).update(status="scheduled", attempt=2, fail_count=1)
    Delivery.objects.filter(number=3).update(status="scheduled", attempt=2, fail_count=0)
    Delivery.objects.filter(number=4).update(status="succeeded", attempt=2, fail_count=1)
    Delivery.objects.filter(number=5).update(status="scheduled", attempt=3, fail_count=2, maybe_arrived=True)
    for expected in (2, 0):
        with transaction.atomic():
            assert give_up_deliveries(group_id=group, first=1, last=5, why="Given up by olga.") == expected

    statuses = dict(Delivery.objects.values_list("number", "status"))
    assert statuses == {1: "created", 2: "failed", 3: "scheduled", 4: "succeeded", 5: "failed"}
    told = OutboxEvent.objects.filter(type="DeliveryFailed").values_list("payload", flat=True)
    assert {said["number"]: (said["code"], said["message"]) for said in told} == {
        2: ("given_up", "Given up by olga."),
        5: (
            "given_up",
            "Given up by olga. An earlier attempt was not answered, and may have arrived.",
        ),
    }
