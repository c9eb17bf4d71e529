"""Uploading: what is stored, what is refused, and what is told of it."""

import errno
import io
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import DataError, OperationalError, connection
from django.urls import reverse

from feeds import commands
from feeds.models import Feed
from outbox.models import OutboxEvent
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


def test_of_several_files_those_that_were_stored_before_the_database_was_away_are_named(
    as_, owner, destination, monkeypatch
):
    def away_after_the_first(content, path, plain=commands._store):
        if Feed.objects.exists():
            raise OperationalError("server closed the connection unexpectedly")
        return plain(content, path)

    monkeypatch.setattr(commands, "_store", away_after_the_first)
    browser = as_(owner)
    browser.raise_request_exception = False
    answer = upload(browser, destination, csv_file("a.csv"), csv_file("b.csv"))

    assert answer.status_code == 503
    assert "These are uploaded: a.csv. Look at the list of feeds once it is back" in answer.text
    assert "was not done" not in answer.text
    assert [feed.name for feed in Feed.objects.all()] == ["a.csv"]


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


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (OperationalError("connection refused"), 503, "The database cannot be used right now"),
        (DataError("value too long"), 500, "Something went wrong on our side"),
    ],
    ids=["away", "refuses"],
)
def test_what_the_database_does_not_take_gives_a_plain_page_and_nothing_is_half_written(
    as_, owner, destination, settings, monkeypatch, error, status, told
):
    def raises(*_):
        raise error

    monkeypatch.setattr("feeds.commands.deliveries.open_group", raises)
    answer = upload(as_(owner), destination, csv_file())

    assert answer.status_code == status
    assert told in answer.text
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


def test_a_newcomer_without_a_file_takes_the_sample_which_is_never_sent_unseen(as_, owner, destination):
    browser = as_(owner)
    assert 'name="sample"' in browser.get(reverse("feeds:upload")).text
    upload(browser, destination, sample="products", send_at_once="on")

    feed = Feed.objects.get()
    assert (feed.name, feed.send_at_once) == ("products.csv", False)
    assert len(feed.source_path.read_bytes().splitlines()) == 201
    assert 'name="sample"' not in browser.get(reverse("feeds:upload")).text
