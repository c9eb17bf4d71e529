"""Uploading a feed, watching it, acting on it."""

import errno
import io
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import DataError, OperationalError, connection
from django.urls import reverse
from django.utils import timezone

from deliveries.commands import change_destination
from deliveries.ids import delivery_id
from deliveries.models import Attempt, Delivery
from feeds import commands, queries
from feeds.checking import check
from feeds.models import Errand, Feed, FeedStatus, Row
from feeds.queries.estimate import estimate
from outbox.models import Error, Handling, OutboxEvent, Subscription
from tests.feeds.conftest import rows_of
from tests.feeds.test_pages.conftest import CSV

pytestmark = pytest.mark.django_db


def upload(browser, destination, *files, **fields):
    data = {"destination": destination.id, "mapping": "", "send_at_once": "", "file": list(files)}
    return browser.post(reverse("feeds:upload"), data | fields)


def csv_file(name="products.csv", content=CSV):
    return SimpleUploadedFile(name, content, content_type="text/csv")


def stored_files(settings):
    return [path for path in settings.MEDIA_ROOT.rglob("*") if path.is_file()]


def test_an_upload_becomes_a_feed_of_the_uploader_and_leads_to_its_page(as_, owner, destination):
    answer = upload(as_(owner), destination, csv_file())

    feed = Feed.objects.get()
    assert answer.url == reverse("feeds:feed", args=[feed.id])
    assert (feed.name, feed.owner, feed.size, feed.send_at_once) == ("products.csv", owner, len(CSV), False)
    assert feed.source_path.read_bytes() == CSV


def test_several_files_become_several_feeds(as_, owner, destination):
    answer = upload(as_(owner), destination, csv_file("a.csv"), csv_file("b.csv"), send_at_once="on")

    assert answer.url == reverse("feeds:list")
    assert set(Feed.objects.values_list("name", "send_at_once")) == {("a.csv", True), ("b.csv", True)}


def test_a_form_that_is_pressed_twice_uploads_once(as_, owner, other, destination, settings):
    browser = as_(owner)
    ticket = browser.get(reverse("feeds:upload")).context["form"]["ticket"].value()
    first = upload(browser, destination, csv_file(), ticket=ticket)
    again = upload(browser, destination, csv_file(), ticket=ticket)

    assert first.url == again.url == reverse("feeds:feed", args=[Feed.objects.get().id])
    assert OutboxEvent.objects.filter(type="FeedCreated").count() == 1
    assert len(stored_files(settings)) == 1

    # Another file, other answers, and another person are another upload
    upload(browser, destination, csv_file(content=CSV + b"4,Bed,1\n"), ticket=ticket)
    upload(browser, destination, csv_file(), ticket=ticket, send_at_once="on")
    upload(as_(other), destination, csv_file(), ticket=ticket)
    upload(browser, destination, csv_file())
    upload(browser, destination, csv_file())
    assert Feed.objects.count() == len(stored_files(settings)) == 6


@pytest.mark.django_db(transaction=True)
def test_of_two_presses_at_once_one_uploads(as_, owner, destination, settings, monkeypatch):
    both = threading.Barrier(2, timeout=20)
    plain = commands._store

    def stored_by_both(content, path):
        found = plain(content, path)
        both.wait()
        return found

    def press(browser):
        try:
            return upload(browser, destination, csv_file(), ticket="0" * 32).url
        finally:
            connection.close()

    monkeypatch.setattr(commands, "_store", stored_by_both)
    with ThreadPoolExecutor(2) as threads:
        pages = set(threads.map(press, [as_(owner), as_(owner)]))

    assert pages == {reverse("feeds:feed", args=[Feed.objects.get().id])}
    assert len(stored_files(settings)) == 1


def test_what_was_stored_before_the_disk_was_full_is_not_uploaded_twice(
    as_, owner, destination, settings, monkeypatch
):
    def full_at_the_second(content, path, plain=commands._store):
        if Feed.objects.exists():
            raise OSError(errno.ENOSPC, "No space left on device")
        return plain(content, path)

    browser = as_(owner)
    ticket = browser.get(reverse("feeds:upload")).context["form"]["ticket"].value()
    with monkeypatch.context() as full:
        full.setattr(commands, "_store", full_at_the_second)
        upload(browser, destination, csv_file("a.csv"), csv_file("b.csv"), ticket=ticket)
    upload(browser, destination, csv_file("a.csv"), csv_file("b.csv"), ticket=ticket)
    assert sorted(Feed.objects.values_list("name", flat=True)) == ["a.csv", "b.csv"]


def test_more_files_than_are_taken_together_are_told(as_, owner, destination, settings):
    answer = upload(as_(owner), destination, *(csv_file(f"{n}.csv") for n in range(101)))
    assert answer.status_code == 413
    assert "Up to 100 files are taken together. Nothing was stored." in answer.text
    assert not stored_files(settings)


def test_an_upload_by_script_is_led_on_by_a_header(as_, owner, destination):
    browser = as_(owner)
    data = {"destination": destination.id, "file": csv_file()}
    answer = browser.post(reverse("feeds:upload"), data, headers={"HX-Request": "true"})
    assert answer.headers["HX-Redirect"] == reverse("feeds:feed", args=[Feed.objects.get().id])


@pytest.mark.parametrize("files", [[], [csv_file(content=b"")]])
def test_no_file_or_an_empty_one_is_told_in_the_form(as_, owner, destination, files):
    answer = upload(as_(owner), destination, *files)
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
    assert not Feed.objects.exists()


def test_a_full_disk_is_told_in_the_form_and_nothing_is_half_written(
    as_, owner, destination, settings, monkeypatch
):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(commands, "_blocks", full)
    answer = upload(as_(owner), destination, csv_file())

    assert answer.status_code == 422
    assert "No space left on device" in answer.text
    assert not Feed.objects.exists()
    assert not stored_files(settings)


def test_of_several_files_those_that_were_stored_before_the_disk_was_full_are_named(
    as_, owner, destination, monkeypatch
):
    blocks = commands._blocks

    def full_after_the_first(content):
        if Feed.objects.exists():
            raise OSError(errno.ENOSPC, "No space left on device")
        return blocks(content)

    monkeypatch.setattr(commands, "_blocks", full_after_the_first)
    answer = upload(as_(owner), destination, csv_file("a.csv"), csv_file("b.csv"), csv_file("c.csv"))

    assert answer.status_code == 422
    assert "These are uploaded: a.csv." in answer.text
    assert "upload only the rest again" in answer.text
    assert [feed.name for feed in Feed.objects.all()] == ["a.csv"]


def test_a_disk_that_is_full_while_the_upload_is_received_gives_a_plain_page(
    as_, owner, destination, monkeypatch
):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("django.core.files.uploadedfile.TemporaryUploadedFile.write", full, raising=False)
    answer = upload(as_(owner), destination, csv_file())

    assert answer.status_code == 507
    assert "The disk is full" in answer.text


def test_a_database_that_is_away_gives_a_plain_page_and_nothing_is_half_written(
    as_, owner, destination, settings, monkeypatch
):
    def away(*_):
        raise OperationalError("connection refused")

    monkeypatch.setattr("feeds.commands.deliveries.open_group", away)
    answer = upload(as_(owner), destination, csv_file())

    assert answer.status_code == 503
    assert "The database cannot be used right now" in answer.text
    assert not stored_files(settings)


def test_what_the_database_refuses_is_not_called_a_database_that_is_away(
    as_, owner, destination, settings, monkeypatch
):
    def refuses(*_):
        raise DataError("value too long")

    monkeypatch.setattr("feeds.commands.deliveries.open_group", refuses)
    answer = upload(as_(owner), destination, csv_file())

    assert answer.status_code == 500
    assert "Something went wrong on our side" in answer.text
    assert not stored_files(settings)


def test_a_file_over_two_gigabytes_is_refused_before_it_is_read(as_, owner, destination):
    answer = as_(owner).generic(
        "POST",
        reverse("feeds:upload"),
        b"--x--",
        content_type="multipart/form-data; boundary=x",
        CONTENT_LENGTH=str(3 * 1024**3),
    )
    assert answer.status_code == 413
    assert "at most 2 GB" in answer.text


def test_an_upload_is_streamed_to_disk_and_not_held_in_memory(rf):
    request = rf.post("/", {"files": io.BytesIO(b"a,b\n")})
    with request.FILES["files"] as file:
        assert file.temporary_file_path()


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
    assert '<noscript><meta http-equiv="refresh"' in page


def test_a_feed_that_is_over_asks_no_more(as_, owner, make_feed):
    feed = make_feed(FeedStatus.COMPLETED, pending=0, succeeded=3)
    page = as_(owner).get(reverse("feeds:feed", args=[feed.id])).text
    assert "hx-trigger" not in page
    assert "refresh" not in page


def test_the_moving_part_asks_for_the_whole_page_once_the_status_has_changed(as_, owner, make_feed):
    feed = make_feed(FeedStatus.DELIVERING)
    url = reverse("feeds:live", args=[feed.id])
    assert "HX-Refresh" not in as_(owner).get(url, {"stage": feed.stage}).headers
    assert as_(owner).get(url, {"stage": "checking-0"}).headers["HX-Refresh"] == "true"


def test_a_feed_whose_rows_are_sent_again_asks_for_news_and_shows_the_next_round(as_, owner, make_feed):
    feed = make_feed(FeedStatus.COMPLETED, pending=0, succeeded=3, round=2)
    commands.note_deed(feed.id, user_id=owner.pk, what="retried", detail="1 row")
    page = as_(owner).get(reverse("feeds:feed", args=[feed.id])).text
    assert "hx-trigger" in page
    shown = {"stage": "completed-1"}
    assert as_(owner).get(reverse("feeds:live", args=[feed.id]), shown).headers["HX-Refresh"] == "true"


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
    assert f"before={feeds[1].id}" in first
    assert "file-0.csv" in browser.get(url, {"before": str(feeds[1].id)}).text
    assert "file-1.csv" not in browser.get(url, {"q": "FILE-2"}).text
    assert "No feed matches" in browser.get(url, {"status": "rejected"}).text


def test_an_empty_list_tells_what_to_do_first(as_, owner):
    page = as_(owner).get(reverse("feeds:list")).text
    assert "Upload your first feed" in page


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
        "The rest is on its way"
        in browser.post(reverse("feeds:act", args=[feed.id, "rest"]), follow=True).text
    )
    assert browser.get(reverse("feeds:live", args=[feed.id]), tried).headers["HX-Refresh"] == "true"
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
    assert "ends 1 row that failed" in text
    # When somebody gives up, twice
    url = reverse("feeds:give_up", args=[delivering.id])
    assert "can be retried at any time" in browser.post(url, follow=True).text
    assert "being given up already" in browser.post(url, follow=True).text
    # Then the page tells how far that is, and who asked for it
    assert "0 rows so far, up to row 0 of 3" in browser.get(page).text
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
