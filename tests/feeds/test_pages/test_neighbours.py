"""What other feeds have changes nothing that is told of a feed, though their rows have the same numbers."""

import uuid
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from deliveries.commands import Parcel, add_destination, create_deliveries
from deliveries.ids import delivery_id
from deliveries.models import Attempt, Delivery
from feeds import queries
from feeds.deeds import UPLOADED
from feeds.grouping import recount
from feeds.models import Deed, Doer, Errand, Feed, Row

pytestmark = pytest.mark.django_db


def told(feed: Feed) -> dict[str, Any]:
    """All that pages tell of the feed and its rows."""
    found: dict[str, Any] = {
        f"rows {show}": [(row.number, row.error) for row in queries.rows_page(feed, show=show).items]
        for show in queries.Show.values
    }
    found |= {kind: list(queries.result_rows(feed, kind)) for kind in queries.RESULT_FILES}
    for number in (1, 2, 3):
        story = queries.row_story(feed, number)
        found[f"row {number}"] = (story.compared, story.editing, story.mended, story.state, story.moves)
        found[f"attempts {number}"] = [each.attempt.message for each in story.exchanges]
        found[f"steps {number}"] = story.timeline
        found[f"payload {number}"] = story.payload and story.payload.body
    live = queries.Live(feed)
    return found | {
        "searched": queries.rows_page(feed, text="neighbour").items,
        "no row": queries.why_no_row(feed, 4),
        "groups": queries.failed_groups(feed, whole=True),
        "deeds": [deed.what for deed in queries.deeds_of_feed(feed).items],
        "uploaded by": queries.upload_of(feed).who,
        "live": (live.errands, live.can_retry, live.to_give_up, live.trial and live.trial.rows),
    }


def add_neighbour(feed: Feed, id_: uuid.UUID) -> None:
    """Four rows that were mended, sent and failed."""
    counts = {"total": 4, "failed": 4, "created": 4, "tried": 4, "import_done": True}
    neighbour = Feed.objects.create(
        id=id_, name="n.csv", destination=feed.destination, lane_id=feed.lane_id, status=feed.status,
        columns=["a"], **counts,
    )  # fmt: skip
    numbers = range(1, 5)
    with transaction.atomic():
        create_deliveries(
            group_id=id_, destination_id=feed.destination_id, lane_id=feed.lane_id,
            parcels=[Parcel(number, "POST", "", "", "neighbour") for number in numbers],
        )  # fmt: skip
    Delivery.objects.filter(group_id=id_).update(status="failed", fail_count=1)
    Row.objects.bulk_create(
        Row(
            feed_id=id_, number=number, line=number, cells='["neighbour"]', mended='["neighbour"]',
            outcome="failed", error="neighbour",
        )
        for number in numbers
    )  # fmt: skip
    Attempt.objects.bulk_create(
        Attempt(delivery_id=delivery_id(id_, number), number=1, message="neighbour") for number in numbers
    )
    recount(id_)
    Deed.objects.create(feed=neighbour, what=UPLOADED, by=Doer.COMMAND_LINE, at=timezone.now())
    Errand.objects.create(feed=neighbour, kind="retry")


@pytest.mark.parametrize("trial", [False, True])
def test_what_other_feeds_have_is_not_told_of_this_one(delivering, trial):
    Feed.objects.filter(id=delivering.id).update(trial=trial)
    Delivery.objects.filter(number=2).update(status="failed")
    feed = Feed.objects.get(id=delivering.id)
    before = told(feed)
    for id_ in (uuid.UUID(int=1), uuid.UUID(int=2**128 - 1)):  # of any order
        add_neighbour(feed, id_)
    assert told(feed) == before


def test_what_was_done_with_another_destination_or_mapping_is_not_told_of_this_one(destination):
    other = add_destination(name="other", url="https://shop.example")
    for what, done_with in (("paused", {"destination": destination}), ("held", {"destination": other})):
        Deed.objects.create(what=what, **done_with)
    for what, name in (("saved", "products"), ("took back", "orders"), ("sent", "")):
        Deed.objects.create(what=what, mapping_name=name)
    assert [deed.what for deed in queries.deeds_of_destination(destination).items] == ["paused"]
    assert [deed.what for deed in queries.deeds_of_mapping("products").items] == ["saved"]
    assert not queries.deeds_of_mapping("").items
