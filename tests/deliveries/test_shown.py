"""The request of an attempt, derived anew: what a real server received, and no secret."""

import uuid

import pytest
from django.db import transaction

from deliveries import trial
from deliveries.authentication import HIDDEN
from deliveries.commands import Parcel, add_destination, create_deliveries
from deliveries.events import DeliveryScheduled
from deliveries.models import Attempt, Delivery, Payload
from deliveries.sending import Sending
from deliveries.shown import SIGNED_THEN, request_of
from deliveries.signing import new_secret
from outbox.models import uuid7
from tests.noting import Noting

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def sent(settings, noting):
    """What a third party received for a delivery's third attempt, and what is shown of it."""
    settings.ALLOWED_NETWORKS = ["127.0.0.0/8"]

    def send(revision: int = 1, **destination_fields):
        url = f"{noting}/shop?v=2"
        own = {"X-Shop-Key": "very-secret"}
        destination = add_destination(name="shop", url=url, headers=own, **destination_fields)
        group = uuid7()
        parcel = Parcel(7, "PUT", "/items/1", "application/json", '{"name":"Café"}')
        with transaction.atomic():
            create_deliveries(
                group_id=group, destination_id=destination.id, lane_id=destination.lane_id, parcels=[parcel]
            )
        Payload.objects.update(revision=revision)
        Delivery.objects.update(revision=revision, status="scheduled", attempt=3)
        delivery = Delivery.objects.get()
        event = DeliveryScheduled(correlation_id=delivery.id, conversation_id=group, occurrence=3)
        assert Sending([event]).act(event).answer.status == 200
        attempt = Attempt(delivery_id=delivery.id, number=3, revision=revision)
        return Noting.received[0], request_of(attempt, delivery, Payload.objects.get())

    return send


@pytest.mark.parametrize("revision", [1, 2])
def test_what_is_shown_is_what_was_received_but_for_the_secrets(sent, revision):
    (method, path, headers, body), shown = sent(revision)
    assert (shown.method, shown.body) == (method, body)
    assert shown.url.endswith(path)
    headers["X-Shop-Key"] = HIDDEN
    assert dict(shown.headers) == headers
    assert "very-secret" not in repr(shown)


def test_the_key_of_a_changed_row_says_so(sent):
    (_, _, headers, _), shown = sent(2)
    assert dict(shown.headers)["Idempotency-Key"] == headers["Idempotency-Key"]
    assert headers["Idempotency-Key"].endswith("-r2")
    assert uuid.UUID(headers["Idempotency-Key"][:-3])


def test_of_authentication_and_signature_only_the_names_are_shown(sent):
    secret = new_secret()
    (_, _, headers, _), shown = sent(
        signing_secret=secret, auth="bearer", credentials={"token": "top-secret-token"}
    )
    assert "top-secret-token" in headers["Authorization"]
    told = dict(shown.headers)
    assert sorted(told) == sorted(headers)
    assert told["Authorization"] == told["webhook-signature"] == HIDDEN
    assert told["webhook-id"] == headers["webhook-id"]
    assert told["webhook-timestamp"] == SIGNED_THEN
    assert "top-secret" not in repr(shown)
    assert secret not in repr(shown)


def test_a_test_send_shows_what_was_received_but_for_the_secrets(settings, noting):
    settings.ALLOWED_NETWORKS = ["127.0.0.0/8"]
    own = {"X-Shop-Key": "very-secret", "user-agent": "a shop's own"}
    destination = add_destination(name="shop", url=f"{noting}/shop?v=2", headers=own)
    shown = trial.send(destination, method="PUT", path="&x=1", content_type="text/plain", body="Café")
    [(method, path, headers, body)] = Noting.received
    assert (shown.method, shown.url, shown.body) == (method, noting + path, body)
    assert dict(shown.headers) == headers | dict.fromkeys(own, HIDDEN)
