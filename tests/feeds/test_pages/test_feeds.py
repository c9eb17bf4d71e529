"""A feed's page and the list of feeds: watching, acting."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from deliveries.ids import delivery_id
from deliveries.models import Attempt, Delivery
from feeds import commands, queries
from feeds.deeds import note_deed
from feeds.grouping import recount
from feeds.models import Errand, Feed, FeedStatus, Row
from outbox.models import Error, Handling, OutboxEvent, Subscription
from tests.feeds.conftest import rows_of

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("status", FeedStatus.values)
def test_a_feed_has_a_page_in_every_status(as_, owner, make_feed, status):
    feed = make_feed(status, reason="The file is empty.")
    answer = as_(owner).get(reverse("feeds:feed", args=[feed.id]))
    assert answer.status_code == 200
    assert feed.name in answer.text


def test_a_rejected_feed_tells_why_and_what_to_do(as_, owner, make_feed):
    feed = make_feed(FeedStatus.REJECTED, reason="The file is empty.", total=0, pending=0)
    page = as_(owner).get(reverse("feeds:feed", args=[feed.id])).text
    assert "The file is empty." in page
    assert reverse("feeds:upload") in page


def test_a_moving_feed_asks_for_news_and_reloads_without_javascript(as_, owner, make_feed):
    feed = make_feed(FeedStatus.DELIVERING)
    page = as_(owner).get(reverse("feeds:feed", args=[feed.id])).text
    assert "hx-trigger" in page
    assert '<noscript><meta http-equiv="refresh" content="3">' in page


def test_without_javascript_a_message_stands_for_some_seconds_and_the_page_reloads_still(
    as_, owner, make_feed
):
    feed = make_feed(FeedStatus.DELIVERING)
    browser = as_(owner)
    page = browser.post(reverse("feeds:act", args=[feed.id, "pause"]), follow=True).text
    assert "The feed is paused." in page
    assert '<noscript><meta http-equiv="refresh" content="10">' in page
    page = browser.get(reverse("feeds:feed", args=[feed.id])).text
    assert "The feed is paused." not in page
    assert '<noscript><meta http-equiv="refresh" content="3">' in page


def test_a_feed_that_is_over_asks_no_more(as_, owner, make_feed):
    feed = make_feed(FeedStatus.COMPLETED, pending=0, succeeded=3)
    page = as_(owner).get(reverse("feeds:feed", args=[feed.id])).text
    assert "hx-trigger" not in page
    assert "refresh" not in page


def test_the_moving_part_brings_all_about_the_feed_once_its_stage_has_changed(as_, owner, make_feed):
    feed = make_feed(FeedStatus.DELIVERING)
    url = reverse("feeds:live", args=[feed.id])
    assert "HX-Retarget" not in as_(owner).get(url, {"stage": feed.stage}).headers
    answer = as_(owner).get(url, {"stage": "checking-0"})
    assert answer.headers["HX-Retarget"] == "#feed"
    assert answer.text.count('id="feed"') == 1
    assert f"stage={feed.stage}" in answer.text, "it asks on from there"
    assert "<html" not in answer.text


def test_a_message_waits_for_the_next_page_and_is_not_taken_by_a_part_of_one(as_, owner, make_feed):
    feed = make_feed(FeedStatus.DELIVERING)
    browser = as_(owner)
    browser.post(reverse("feeds:act", args=[feed.id, "pause"]))
    for name in ("feeds:live", "feeds:reasons", "feeds:list"):
        url = reverse(name, args=[] if name == "feeds:list" else [feed.id])
        assert "The feed is paused." not in browser.get(url, headers={"HX-Request": "true"}).text
    assert "The feed is paused." in browser.get(reverse("feeds:feed", args=[feed.id])).text


def test_a_feed_whose_rows_are_sent_again_asks_for_news_and_shows_the_next_round(as_, owner, make_feed):
    feed = make_feed(FeedStatus.COMPLETED, pending=0, succeeded=3, round=2)
    note_deed(feed.id, user_id=owner.pk, what="retried", detail="1 row")
    page = as_(owner).get(reverse("feeds:feed", args=[feed.id])).text
    assert "hx-trigger" in page
    shown = {"stage": "completed-1"}
    assert as_(owner).get(reverse("feeds:live", args=[feed.id]), shown).headers["HX-Retarget"] == "#feed"


@pytest.mark.parametrize(
    ("before", "action", "after"),
    [
        ("ready", "send", "delivering"),
        ("delivering", "pause", "paused"),
        ("paused", "resume", "delivering"),
        ("paused", "cancel", "cancelled"),
    ],
)
def test_a_button_does_what_it_says_and_a_second_click_only_tells(
    as_, owner, make_feed, before, action, after
):
    feed = make_feed(before)
    url = reverse("feeds:act", args=[feed.id, action])
    browser = as_(owner)

    assert browser.post(url).url == reverse("feeds:feed", args=[feed.id])
    feed.refresh_from_db()
    assert feed.status == after
    assert [deed.user for deed in feed.deeds.all()] == [owner]

    page = browser.post(url, follow=True)
    assert page.status_code == 200
    assert f"The feed is {after}" in page.text


def test_buttons_only_work_by_post_and_only_known_ones(as_, owner, make_feed):
    feed = make_feed()
    assert as_(owner).get(reverse("feeds:act", args=[feed.id, "send"])).status_code == 405
    assert as_(owner).post(reverse("feeds:act", args=[feed.id, "explode"])).status_code == 404


def test_the_list_is_paged_by_key_and_searched(as_, owner, make_feed, monkeypatch):
    monkeypatch.setattr("feeds.queries.feeds.FEEDS_A_PAGE", 2)
    feeds = [make_feed(name=f"file-{i}.csv") for i in range(3)]
    browser, url = as_(owner), reverse("feeds:list")

    first = browser.get(url).text
    assert "file-2.csv" in first
    assert "file-0.csv" not in first
    assert f"page=after:{feeds[1].id}" in first
    assert "file-0.csv" in browser.get(url, {"page": f"after:{feeds[1].id}"}).text
    assert "file-1.csv" not in browser.get(url, {"q": "FILE-2"}).text
    assert "No feed matches" in browser.get(url, {"status": "rejected"}).text


@pytest.mark.parametrize("text", ["STRASSE", "straße", "STRAßE", "ñ_"])
def test_a_feed_is_found_whatever_the_case_of_any_letter_of_its_name(as_, owner, make_feed, text):
    make_feed(name="Straße SEÑ_OR.csv")
    make_feed(name="senor.csv")
    page = as_(owner).get(reverse("feeds:list"), {"q": text}).context["page"]
    assert [feed.name for feed in page.items] == ["Straße SEÑ_OR.csv"]


def test_an_empty_list_tells_what_to_do_first(as_, owner):
    page = as_(owner).get(reverse("feeds:list")).text
    assert "Upload your first feed" in page


def test_who_looks_after_its_destination_gets_there_from_a_feed(as_, owner, admin, delivering, destination):
    there, link = reverse("feeds:feed", args=[delivering.id]), f'href="/destinations/{destination.id}/"'
    assert link in as_(admin).get(there).text
    assert link not in as_(owner).get(there).text


def test_a_page_asks_the_database_few_questions(as_, owner, delivering, django_assert_max_num_queries):
    browser = as_(owner)
    with django_assert_max_num_queries(12):
        browser.get(reverse("feeds:feed", args=[delivering.id]))


def test_the_part_that_tells_why_rows_failed_reads_nothing_else(
    as_, owner, delivering, django_assert_max_num_queries
):
    browser, url = as_(owner), reverse("feeds:reasons", args=[delivering.id])
    with django_assert_max_num_queries(5):  # session, person, feed, rows, errands
        assert "Why rows failed" in browser.get(url).text


def test_a_feed_whose_rows_were_deleted_says_so_and_offers_nothing_that_is_gone(as_, owner, make_feed):
    feed = make_feed(FeedStatus.COMPLETED, pending=0, succeeded=1, failed=2, rows_deleted=True)
    page = as_(owner).get(reverse("feeds:feed", args=[feed.id])).text
    assert "The counts stay" in page
    for gone in ("Retry failed", "Why rows failed", reverse("feeds:results", args=[feed.id, "failed"])):
        assert gone not in page


def test_a_feed_is_tried_looked_at_and_sent_on(as_, owner, make_feed):
    # Given a feed of more than ten rows
    feed = make_feed(total=25, pending=25)
    browser, page = as_(owner), reverse("feeds:feed", args=[feed.id])
    assert "Try ten rows" in browser.get(page).text
    # When it is tried
    assert "The others wait" in browser.post(reverse("feeds:act", args=[feed.id, "try"]), follow=True).text
    Feed.objects.filter(id=feed.id).update(created=10, tried=10, succeeded=9, failed=1, pending=15)
    Row.objects.bulk_create(
        Row(feed_id=feed.id, number=n, line=n + 1, cells=f'["00{n}"]', outcome="succeeded")
        for n in range(1, 10)
    )
    Row.objects.create(
        feed_id=feed.id, number=10, line=11, cells='["0010"]', outcome="failed", http_status=422,
        code="http_422", error="SKU 0010 is unknown.",
    )  # fmt: skip
    # Then its page shows what became of the ten, and asks
    text = browser.get(page).text
    assert "9 of the first 10 rows have arrived, 1 failed. The other 15 wait for you" in text
    assert text.count('id="tried-') == 10
    assert "SKU 0010 is unknown." in text
    assert "about" not in browser.get(reverse("feeds:live", args=[feed.id]), {"stage": feed.stage}).text
    # And once the rest is sent, a page that was left open shows itself anew
    feed.refresh_from_db()
    tried = {"stage": feed.stage}
    assert (
        "Sending the rest has begun"
        in browser.post(reverse("feeds:act", args=[feed.id, "rest"]), follow=True).text
    )
    assert browser.get(reverse("feeds:live", args=[feed.id]), tried).headers["HX-Retarget"] == "#feed"
    assert (
        "on their way already" in browser.post(reverse("feeds:act", args=[feed.id, "rest"]), follow=True).text
    )
    assert list(feed.deeds.values_list("what", "detail")) == [
        ("tried", "the first rows"),
        ("sent", "the rest"),
    ]


def test_a_feed_of_ten_rows_offers_no_trial(as_, owner, make_feed):
    feed = make_feed(total=12, invalid=2, failed=2, pending=10)
    assert "Try ten rows" not in as_(owner).get(reverse("feeds:feed", args=[feed.id])).text


def test_giving_up_is_offered_with_its_number_only_while_something_retries(as_, owner, delivering):
    browser, page = as_(owner), reverse("feeds:feed", args=[delivering.id])
    assert "Give up now" not in browser.get(page).text
    # Given two rows that were tried and are tried again, one of them after a failure that counts
    Feed.objects.filter(id=delivering.id).update(pending=2, succeeded=0, failed=1, invalid=1)
    Delivery.objects.filter(number=1).update(status="scheduled", attempt=2, fail_count=0)
    Delivery.objects.filter(number=2).update(status="scheduled", attempt=2, fail_count=1)
    text = browser.get(page).text
    assert "Give up now" in text
    assert "ends as failed the 1 of them that has failed so far" in text
    # When somebody gives up, twice
    url = reverse("feeds:give_up", args=[delivering.id])
    assert "can be retried at any time" in browser.post(url, follow=True).text
    assert "being given up already" in browser.post(url, follow=True).text
    # Then the page tells how far that is, and who asked for it
    assert "What still retries is being given up." in browser.get(page).text
    deed = delivering.deeds.get()
    assert (deed.user, deed.what, deed.detail) == (owner, "gave up", "what was still retried")
    Errand.objects.update(moved=1, ended_at=timezone.now())
    assert "1 row was given up" in browser.get(page).text


def test_a_retry_under_way_is_shown_and_not_offered_again(as_, owner, delivering):
    browser, page = as_(owner), reverse("feeds:feed", args=[delivering.id])
    assert "Retry failed" in browser.get(page).text
    browser.post(reverse("feeds:retry", args=[delivering.id]))
    Errand.objects.update(moved=1500, reached=2)
    text = browser.get(page).text
    assert "Failed rows are being sent again: 1,500 so far, up to row 2 of 3." in text
    assert "Retry failed" not in text


def test_a_feed_whose_failed_rows_wait_says_until_when(as_, owner, pipeline, third_party, checked):
    third_party.fail(2)
    feed = checked(rows_of(3), owner_id=owner.pk)
    commands.release(feed.id)
    pipeline.settle(feed)
    browser, page = as_(owner), reverse("feeds:feed", args=[feed.id])
    assert "1 row was tried and will be tried again, the next <time" in browser.get(page).text
    # An attempt that nobody wants any more is none to wait for
    Delivery.objects.filter(number=2).update(attempt=7)
    assert "1 row was tried and will be tried again." in browser.get(page).text


def test_what_moves_on_the_page_brings_the_counts_beside_the_files_along(as_, owner, delivering):
    browser, live = as_(owner), reverse("feeds:live", args=[delivering.id])
    Feed.objects.filter(id=delivering.id).update(total=1_203, pending=1_200)
    news = browser.get(live, {"stage": delivering.stage}).text
    for kind, count in (("succeeded", "1"), ("failed", "2"), ("not-processed", "1,200")):
        assert f'id="count-{kind}" hx-swap-oob="true">{count}</span>' in news
        assert (
            f'id="count-{kind}">{count}</span>'
            in browser.get(reverse("feeds:feed", args=[delivering.id])).text
        )


def attempts(feed, *, seconds):
    """An attempt of the feed's second row each second."""
    begins = timezone.now() - timedelta(minutes=5)
    Attempt.objects.bulk_create(
        Attempt(
            delivery_id=delivery_id(feed.id, 2), number=n + 1, outcome="failed",
            finished_at=begins + timedelta(seconds=n),
        )
        for n in range(seconds)
    )  # fmt: skip
    Feed.objects.filter(id=feed.id).update(released_at=begins)
    feed.refresh_from_db()


def test_the_chart_of_a_feed_has_no_bar_shorter_than_a_second(delivering):
    attempts(delivering, seconds=5)
    drawn = queries.chart(delivering)
    assert drawn is not None
    assert len(drawn.bars) == 4
    assert drawn.peak == 2.0


def test_a_feed_that_took_only_moments_has_no_chart(delivering):
    attempts(delivering, seconds=3)
    assert queries.chart(delivering) is None


def test_a_third_partys_own_words_stand_first(as_, owner, delivering):
    Row.objects.filter(feed_id=delivering.id, number=2).update(
        error="The third party answered 422 Unprocessable Entity: price must not be empty."
    )
    recount(delivering.id)
    page = as_(owner).get(reverse("feeds:feed", args=[delivering.id])).text
    assert page.index("price must not be empty.") < page.index("The third party answered 422")


def test_a_feed_of_which_something_is_parked_says_so(as_, owner, delivering):
    Feed.objects.filter(id=delivering.id).update(pending=1, failed=1)
    browser, page = as_(owner), reverse("feeds:feed", args=[delivering.id])
    assert "by our fault" not in browser.get(page).text
    event = OutboxEvent.objects.filter(conversation_id=delivering.id)[0]
    subscription = Subscription.objects.create(
        event_type=event.type, handler="feeds.any", kind="effect", queue="any", since_event=0
    )
    Handling.objects.create(
        event=event, subscription=subscription, lane_id=delivering.lane_id, state="parked",
        error=Error.objects.create(handler="feeds.any", exception="ValueError", place="here"),
    )  # fmt: skip
    assert "Some of its work gave up by our fault" in browser.get(page).text


@pytest.mark.parametrize(
    ("arrived", "told"),
    [
        (0, "Done. No row has arrived."),
        (2, "Done. 2 of 3 rows have arrived."),
        (3, "Done. Every row has arrived."),
    ],
)
def test_a_feed_that_is_completed_says_how_much_has_arrived(as_, owner, make_feed, arrived, told):
    feed = make_feed(FeedStatus.COMPLETED, total=3, succeeded=arrived, failed=3 - arrived, pending=0)
    assert told in as_(owner).get(reverse("feeds:feed", args=[feed.id])).text
