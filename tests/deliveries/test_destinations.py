"""What a destination may be, whoever adds it."""

import pytest

from deliveries.commands import add_destination, change_destination
from deliveries.errors import BadDestination
from deliveries.models import Destination
from outbox.models import Lane

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"url": "ftp://shop.example"}, "http"),
        ({"url": "https://"}, "host"),
        ({"name": "no spaces here"}, "name"),
        ({"rate": 0.0}, "rate"),
        ({"rate": -1.0}, "rate"),
        ({"concurrency": 0}, "concurrency"),
        ({"timeout": 0.0}, "timeout"),
        ({"rate": 1e-12}, "rate"),  # at which the next start would be in no calendar, for the relay of all
        ({"rate": 1e308}, "rate"),
        ({"retry_first": 1e300}, "first wait"),
        ({"retry_cap": 1e300}, "longest wait"),
        ({"retry_factor": -1.0}, "factor"),
        ({"headers": {"X-Key": "a\r\nHost: other"}}, "X-Key"),
        ({"headers": {"no token": "a"}}, "no token"),
        ({"headers": {"idempotency-key": "mine"}}, "sets idempotency-key itself"),
        ({"headers": {"Content-Type": "text/csv"}}, "sets Content-Type itself"),
        ({"headers": {"Host": "other.example"}}, "sets Host itself"),
    ],
)
def test_a_destination_that_could_not_be_sent_to_is_refused_whole(given, says):
    with pytest.raises(BadDestination, match=f"(?i){says}"):
        add_destination(**{"name": "shop", "url": "https://shop.example", **given})
    assert not Destination.objects.exists()
    assert not Lane.objects.filter(key__startswith="destination:").exists()


def test_a_name_is_given_once():
    add_destination(name="shop", url="https://shop.example")
    with pytest.raises(BadDestination, match="already"):
        add_destination(name="shop", url="https://other.example")


def test_its_lane_carries_its_limits_and_follows_their_change():
    destination = add_destination(name="shop", url="https://shop.example", rate=4.0, concurrency=2)
    lane = Lane.objects.get(id=destination.lane_id)
    assert (lane.interval, lane.max_slots, lane.act_limit) == (0.25, 2, 10.0)

    change_destination(destination.id, rate=None, concurrency=5, timeout=30.0)
    lane.refresh_from_db()
    assert (lane.interval, lane.max_slots, lane.act_limit) == (None, 5, 30.0)


def test_its_secrets_are_not_readable_in_the_database(settings):
    from django.db import connection

    destination = add_destination(name="shop", url="https://shop.example", headers={"X-Key": "open sesame"})
    with connection.cursor() as cursor:
        cursor.execute("SELECT headers FROM deliveries_destination")
        assert "sesame" not in cursor.fetchone()[0]
    assert Destination.objects.get(id=destination.id).headers == {"X-Key": "open sesame"}

    # And a changed key never lets the ciphertext through in place of the secret
    from deliveries.errors import UndecryptableSecret

    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "another key of at least 32 characters", []
    with pytest.raises(UndecryptableSecret, match="SECRET_KEY"):
        Destination.objects.get(id=destination.id)
