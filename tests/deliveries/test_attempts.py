"""The record of an attempt is the same in whatever order, and however often, its events come."""

import uuid
from datetime import UTC, datetime
from typing import Any

import pytest

from deliveries import attempts
from deliveries.events import DeliveryAttemptFailed, DeliveryScheduled, DeliverySucceeded
from deliveries.models import Attempt

pytestmark = pytest.mark.django_db

ROW = uuid.uuid4()
NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
COMMON: dict[str, Any] = {"correlation_id": ROW, "occurrence": 1}

SCHEDULED = DeliveryScheduled(**COMMON, id=1, occurred_at=NOON)
FAILED = DeliveryAttemptFailed(
    **COMMON, id=2, occurred_at=NOON, number=7, kind="again", http_status=503, code="http_503", seconds=0.5
)
SUCCEEDED = DeliverySucceeded(**COMMON, id=3, occurred_at=NOON, number=7, seq=1, http_status=201, sends=2)


def recorded() -> list[tuple[object, ...]]:
    return list(
        Attempt.objects.values_list("number", "outcome", "http_status", "code", "sends", "scheduled_at")
    )


@pytest.mark.parametrize("order", [[SCHEDULED, FAILED], [FAILED, SCHEDULED]])
@pytest.mark.parametrize("together", [True, False])
def test_an_outcome_stays_whatever_comes_before_or_after_it(order, together):
    for events in [order] if together else [[event] for event in order]:
        attempts.merge(events)
        attempts.merge(events)
    assert recorded() == [(1, "failed", 503, "http_503", 1, NOON)]


def test_the_first_outcome_of_an_attempt_stays():
    attempts.merge([SUCCEEDED, FAILED])
    assert recorded()[0][:3] == (1, "failed", 503)
    attempts.merge([SUCCEEDED])
    assert recorded()[0][:3] == (1, "failed", 503)
