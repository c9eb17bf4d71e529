"""Deliveries to act on."""

import uuid

import pytest
from django.db import transaction

from deliveries.commands import Parcel, add_destination, create_deliveries
from outbox.models import uuid7


@pytest.fixture
def group(db: None) -> uuid.UUID:
    """A group of five, to the destination "shop"; none is scheduled yet."""
    destination = add_destination(name="shop", url="https://shop.example")
    group_id = uuid7()
    parcels = [Parcel(number, "POST", "", "application/json", "{}") for number in range(1, 6)]
    with transaction.atomic():
        create_deliveries(
            group_id=group_id, destination_id=destination.id, lane_id=destination.lane_id, parcels=parcels
        )
    return group_id
