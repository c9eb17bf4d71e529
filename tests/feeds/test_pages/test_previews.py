"""A feed that was read and not sent: what a person sees of it, and corrects."""

import pytest
from django.urls import reverse
from django.utils import timezone

from deliveries.commands import add_destination, change_destination
from feeds.checking import check
from feeds.commands import add_mapping
from feeds.models import Feed, FeedStatus
from feeds.queries.estimate import estimate
from tests.feeds.conftest import after_check

pytestmark = pytest.mark.django_db


def test_a_ready_feed_shows_what_was_read_and_the_first_requests_without_secrets(
    as_, owner, make_feed, destination
):
    change_destination(destination.id, rate=2.0)
    feed = make_feed()
    page = as_(owner).get(reverse("feeds:feed", args=[feed.id])).text
    for expected in ("UTF-8", "comma", "Lamp", "https://shop.example/products", "X-Key", "about 2 s"):
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
    assert alone.done_at is not None
    assert 55 < (alone.done_at - timezone.now()).total_seconds() <= 60

    make_feed(FeedStatus.DELIVERING, total=100_000, pending=100_000)
    make_feed(FeedStatus.DELIVERING, total=300, pending=100, succeeded=200)
    make_feed(FeedStatus.DELIVERING, total=5000, pending=5000, trial=True)  # waits for a yes
    make_feed(FeedStatus.PAUSED, total=5000, pending=5000)
    make_feed(FeedStatus.DELIVERING, total=5000, pending=0, succeeded=5000)
    elsewhere = add_destination(name="elsewhere", url="https://elsewhere.example")
    Feed.objects.filter(id=make_feed(FeedStatus.DELIVERING, total=500, pending=500).id).update(
        destination=elsewhere
    )
    beside = estimate(Feed.objects.get(id=feed.id))
    assert beside is not None
    assert (beside.seconds, beside.beside) == (60 + 60 + 10, 2)

    assert estimate(make_feed(total=5, pending=0, failed=5, invalid=5)) is None


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


def test_another_mapping_is_chosen_for_a_file_that_was_not_sent(as_, owner, make_feed):
    add_mapping(name="Products", document={"fields": {"sku": "key"}})
    mapping = add_mapping(name="Products", document={"fields": {"sku": "id"}})
    feed, browser = make_feed(missing=["title"]), as_(owner)
    url = reverse("feeds:choose_mapping", args=[feed.id])

    browser.post(url, {"mapping": mapping.id})
    feed.refresh_from_db()
    assert (feed.status, feed.mapping_name) == ("checking", "Products, version 2")
    after_check(feed)
    page = browser.get(reverse("feeds:feed", args=[feed.id])).text
    assert "&quot;id&quot;: &quot;001&quot;" in page
    assert f'<option value="{mapping.id}" selected>' in page
    assert "chose the mapping Products, version 2" in page

    browser.post(url, {"mapping": ""})
    assert after_check(feed).mapping == {}
    assert "There is a newer version" in browser.post(url, {"mapping": "0"}, follow=True).text


def test_a_feed_that_is_on_its_way_keeps_its_mapping(as_, owner, delivering):
    mapping = add_mapping(name="Products", document={"fields": {"sku": "id"}})
    url = reverse("feeds:choose_mapping", args=[delivering.id])
    told = as_(owner).post(url, {"mapping": mapping.id}, follow=True).text
    delivering.refresh_from_db()
    assert "The feed is delivering" in told
    assert (delivering.status, delivering.mapping_name) == ("delivering", "")


def test_columns_of_numbers_are_set_in_line_and_those_of_names_are_not(as_, owner, make_feed):
    feed = make_feed(columns=["sku", "price", "total", "part"], width=4, kept=[0, 1, 2, 3])
    feed.source_path.write_bytes(b'sku,price,total,part\n001,10.50,"1,234.00",7\n002,,-3,7a\n')
    page = as_(owner).get(reverse("feeds:feed", args=[feed.id])).text
    for cell, is_number in (("001", False), ("10.50", True), ("1,234.00", True), ("7a", False)):
        assert (f'<td class="num">{cell}</td>' in page) is is_number, cell
        assert (f"<td>{cell}</td>" in page) is not is_number, cell
