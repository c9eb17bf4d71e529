"""A feed that was read and not sent: what a person sees of it, and corrects."""

import pytest
from django.urls import reverse
from django.utils import timezone

from deliveries.commands import change_destination
from feeds.checking import check
from feeds.models import Feed, FeedStatus
from feeds.queries.estimate import estimate

pytestmark = pytest.mark.django_db


def test_a_ready_feed_shows_what_was_read_and_the_first_requests_without_secrets(
    as_, owner, make_feed, destination
):
    change_destination(destination.id, rate=2.0)
    feed = make_feed()
    page = as_(owner).get(reverse("feeds:feed", args=[feed.id])).text
    for expected in ("UTF-8", "comma", "Lamp", "https://shop.example/products", "X-Key", "about 1.5 s"):
        assert expected in page
    assert "very-secret" not in page
    assert "&quot;price&quot;: &quot;10.50&quot;" in page


@pytest.mark.parametrize(
    ("status", "arrived", "told"),
    [
        (FeedStatus.COMPLETED, 3, "every row arrives twice"),
        (FeedStatus.DELIVERING, 1, "1 of its 3 rows have arrived so far"),
        (FeedStatus.CANCELLED, 2, "2 of its 3 rows have arrived so far"),
        (FeedStatus.CANCELLED, 0, ""),
        (FeedStatus.READY, 0, ""),
    ],
)
def test_a_ready_feed_warns_of_the_same_file_sent_before(as_, owner, make_feed, status, arrived, told):
    earlier = make_feed(status, succeeded=arrived, pending=3 - arrived)
    page = as_(owner).get(reverse("feeds:feed", args=[make_feed().id])).text
    assert ("This very file was sent to shop before" in page) is bool(told)
    assert told in page
    assert (reverse("feeds:feed", args=[earlier.id]) in page) is bool(told)


def test_of_somebody_elses_feed_the_warning_tells_no_more_than_that_it_was_sent(
    as_, owner, other, admin, make_feed
):
    theirs = make_feed(FeedStatus.COMPLETED, owner=other, name="hidden.csv")
    feed = make_feed()
    page = as_(owner).get(reverse("feeds:feed", args=[feed.id])).text
    assert "sent to shop before</strong>, by somebody else" in page
    assert str(theirs.id) not in page
    assert "hidden" not in page.replace('type="hidden"', "")
    assert str(theirs.id) in as_(admin).get(reverse("feeds:feed", args=[feed.id])).text


def test_the_time_that_a_feed_will_take_counts_those_it_takes_turns_with(make_feed, destination):
    change_destination(destination.id, rate=10.0)
    feed = make_feed(total=600, pending=600)
    alone = estimate(feed)
    assert alone is not None
    assert (alone.seconds, alone.beside) == (60.0, 0)
    assert 55 < (alone.done_at - timezone.now()).total_seconds() <= 60

    make_feed(FeedStatus.DELIVERING, total=100_000, pending=100_000)
    make_feed(FeedStatus.DELIVERING, total=300, pending=100, succeeded=200)
    make_feed(FeedStatus.DELIVERING, total=5000, pending=5000, trial=True)  # waits for a yes
    make_feed(FeedStatus.PAUSED, total=5000, pending=5000)
    beside = estimate(Feed.objects.get(id=feed.id))
    assert beside is not None
    assert (beside.seconds, beside.beside) == (60 + 60 + 10, 2)

    change_destination(destination.id, rate=None)
    assert estimate(Feed.objects.get(id=feed.id)) is None


def test_a_ready_feed_shows_its_invalid_rows_with_line_and_reason(as_, owner, make_feed):
    feed = make_feed(invalid=1, failed=1, pending=2)
    feed.source_path.write_bytes(b"sku,name,price\n001,Lamp,1\n002,Chair\n003,Table,3\n")
    page = as_(owner).get(reverse("feeds:feed", args=[feed.id])).text
    assert "too few cells (1)" in page
    assert "more than half" not in page
    assert "1 row is invalid and will not be sent" in page


def test_a_file_whose_rows_are_mostly_invalid_raises_the_question_how_it_is_written(as_, owner, make_feed):
    feed = make_feed(invalid=2, failed=2, pending=1, dialect={"delimiter": " ", "encoding": "utf-8"})
    feed.source_path.write_bytes(b"sku name price\n001 Lamp 1\n002 Oak Chair 2\n003 Oak Table 3\n")
    page = as_(owner).get(reverse("feeds:feed", args=[feed.id])).text
    assert "more than half: is the file read as it is written?" in page
    assert "<dt>Delimiter</dt><dd>space</dd>" in page


@pytest.mark.parametrize("status", ["ready", "rejected"])
def test_a_person_says_how_the_file_is_written_and_it_is_read_again(as_, owner, make_feed, status):
    feed = make_feed(status)
    feed.source_path.write_bytes("Export\nsku;name\n1;Gr\u00f6\u00dfe\n".encode("cp850"))
    url = reverse("feeds:correct", args=[feed.id])
    values = {"encoding": "cp850", "delimiter": ";", "preamble": "1", "has_header": "yes"}
    as_(owner).post(url, values)

    feed.refresh_from_db()
    assert feed.status == "checking"
    checked = check(feed)
    assert not checked.rejection
    assert checked.fields["columns"] == ["sku", "name"]
    assert checked.fields["total"] == 1
    assert "Gr\u00f6\u00dfe" in (feed.folder / "plain.csv").read_text()
    assert "The feed is checking" in as_(owner).post(url, values, follow=True).text


def test_a_correction_out_of_range_is_told(as_, owner, make_feed):
    feed = make_feed()
    page = as_(owner).post(reverse("feeds:correct", args=[feed.id]), {"preamble": "-1"}, follow=True).text
    assert "as a number" in page
