"""What a cancelled delivery says of itself."""

import pytest
from django.db import transaction

from deliveries.commands import cancel_deliveries
from deliveries.models import Delivery
from outbox.models import OutboxEvent

pytestmark = pytest.mark.django_db(transaction=True)


def test_only_what_is_open_is_cancelled_and_once(group):
    Delivery.objects.filter(number=2).update(status="succeeded", seq=1)
    with transaction.atomic():
        assert cancel_deliveries(group_id=group, first=1, last=3) == 2
    with transaction.atomic():
        assert cancel_deliveries(group_id=group, first=1, last=3) == 0
    statuses = dict(Delivery.objects.values_list("number", "status"))
    assert statuses == {1: "cancelled", 2: "succeeded", 3: "cancelled", 4: "created", 5: "created"}


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
