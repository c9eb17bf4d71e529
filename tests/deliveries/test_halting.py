"""A batch that sees its destination in trouble starts no more requests; the rest of it is given back."""

import pytest
from django.db import transaction

from deliveries.commands import Parcel, create_deliveries
from deliveries.events import DeliveryScheduled
from deliveries.models import Delivery, Destination
from deliveries.sending import Sending

pytestmark = pytest.mark.django_db

FINE, REFUSED, WRONG, TOO_MANY, BUSY = 200, 401, 422, 429, 503


@pytest.fixture
def send(group, settings, third_party):
    """Sends deliveries one after the other, each answered so; gives how many it were when the batch halted
    (None: it never did)."""
    settings.ALLOWED_NETWORKS = ["127.0.0.0/8"]
    Destination.objects.update(url=third_party.url("/shop"))
    shop = Destination.objects.get()
    more = [Parcel(number, "POST", "", "application/json", "{}") for number in range(6, 10)]
    with transaction.atomic():
        create_deliveries(group_id=group, destination_id=shop.id, lane_id=shop.lane_id, parcels=more)

    def run(*answers):
        third_party.behave("shop", rows={str(row): {"status": s} for row, s in enumerate(answers, start=1)})
        batch = Sending(events)
        for sent, event in enumerate(events[: len(answers)], start=1):
            result = batch.act(event)
            assert result.answer.status == answers[sent - 1]
            if batch.halted:
                return sent
        return None

    Delivery.objects.update(status="scheduled", attempt=1)
    ids = Delivery.objects.order_by("number").values_list("id", flat=True)
    events = [
        DeliveryScheduled(id=at, correlation_id=id_, conversation_id=group, occurrence=1)
        for at, id_ in enumerate(ids)
    ]
    return run


@pytest.mark.parametrize(
    ("answers", "halted_after"),
    [
        pytest.param([BUSY] * 5, 5, id="the fifth failure in a row"),
        pytest.param([BUSY] * 4, None, id="four failures"),
        pytest.param([BUSY] * 4 + [FINE] + [BUSY] * 4, None, id="failures with a success in between"),
        pytest.param([BUSY] * 4 + [WRONG] + [BUSY] * 4, None, id="failures with another answer in between"),
        pytest.param([FINE, TOO_MANY, FINE], 2, id="throttled"),
        pytest.param([REFUSED, REFUSED, WRONG, REFUSED, FINE], 4, id="the third one that is refused"),
        pytest.param([REFUSED, REFUSED, FINE], None, id="two that are refused"),
        pytest.param([WRONG] * 9, None, id="what is wrong with the rows alone"),
    ],
)
def test_it_halts_as_soon_as_the_destination_is_about_to_be_held(send, answers, halted_after):
    assert send(*answers) == halted_after


@pytest.mark.parametrize(("answers", "halted_after"), [([BUSY, FINE], 1), ([FINE, WRONG, FINE], None)])
def test_a_probe_that_fails_halts_it_at_once(send, answers, halted_after):
    Destination.objects.update(breaker_opened=1)
    assert send(*answers) == halted_after
