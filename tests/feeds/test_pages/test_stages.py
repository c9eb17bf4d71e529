"""What a feed's page says as the feed comes from one stage to the next."""

import pytest
from django.urls import reverse

from feeds.grouping import recount
from feeds.models import FeedStatus, Row, RowOutcome

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (FeedStatus.DELIVERING, "products.csv is delivering."),
        (FeedStatus.COMPLETED, "products.csv is completed: 3 arrived, 0 failed."),
    ],
)
def test_who_listens_is_told_to_which_stage_a_feed_came(as_, owner, make_feed, status, told):
    feed = make_feed(status, pending=0, succeeded=3)
    page = as_(owner).get(reverse("feeds:feed", args=[feed.id])).text
    assert '<p class="sr" id="said" role="status"></p>' in page
    answer = as_(owner).get(reverse("feeds:live", args=[feed.id]), {"stage": "checking-0"}).text
    assert f'<div id="said" hx-swap-oob="innerHTML">{told}</div>' in answer


@pytest.mark.parametrize(("failed", "warned"), [(4, False), (5, True), (10, True)])
def test_a_trial_most_of_which_failed_says_that_the_rest_would_fail_too(
    as_, owner, make_feed, failed, warned
):
    feed = make_feed(
        FeedStatus.DELIVERING,
        total=25,
        pending=15,
        created=10,
        tried=10,
        trial=True,
        failed=failed,
        succeeded=10 - failed,
    )
    Row.objects.bulk_create(
        Row(
            feed_id=feed.id,
            number=n,
            line=n + 1,
            cells='["a"]',
            outcome=RowOutcome.FAILED if n <= failed else RowOutcome.SUCCEEDED,
        )
        for n in range(1, 11)
    )
    page = as_(owner).get(reverse("feeds:feed", args=[feed.id])).text
    assert ("will most likely fail for the same reason" in page) == warned


@pytest.mark.parametrize(
    ("status", "told", "untold"),
    [
        (FeedStatus.COMPLETED, "Retry sends the same again.", "Nothing more is sent"),
        (FeedStatus.CANCELLED, "Nothing more is sent of a cancelled feed.", "Retry sends"),
    ],
)
def test_below_the_reasons_stands_what_can_still_be_done(as_, owner, make_feed, status, told, untold):
    feed = make_feed(status, pending=0, succeeded=2, failed=1)
    Row.objects.create(
        feed_id=feed.id, number=1, line=2, cells='["a"]', outcome=RowOutcome.FAILED, error="No."
    )
    recount(feed.id)
    page = as_(owner).get(reverse("feeds:feed", args=[feed.id])).text
    assert told in page
    assert untold not in page
