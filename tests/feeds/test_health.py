"""What is told of a destination, counted and remembered as rows go through the real pipeline."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from deliveries import tallies
from deliveries.last_errors import restored

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_flush_that_meets_errors_keeps_them_and_one_that_meets_none_writes_no_destination(
    third_party, shop, sent
):
    third_party.fail(3, status=422)
    feed = sent(4)
    shop.refresh_from_db()
    [met] = restored(shop.last_errors)
    assert (met.code, met.group_id, met.number) == ("http_422", feed.id, 3)
    assert "422" in met.message

    third_party.fail()
    with CaptureQueriesContext(connection) as asked:
        assert sent(3).succeeded == 3
    assert not [q for q in asked.captured_queries if q["sql"].startswith('UPDATE "deliveries_destination"')]
    shop.refresh_from_db()
    assert restored(shop.last_errors) == [met]


def test_what_ended_is_counted_for_its_destination(third_party, shop, sent):
    third_party.fail(2, status=422)
    sent(3)
    [(destination_id, minutes)] = tallies.last_two(timezone.now()).items()
    assert destination_id == shop.id
    assert (sum(m.succeeded for m in minutes), sum(m.failed for m in minutes)) == (2, 1)
