"""What an accepted upload consists of is on the disk before the commit that tells of it."""

import io
import os

import pytest
from django.db import connection

from deliveries.commands import add_destination
from feeds import commands, handlers
from feeds.events import FeedCreated
from feeds.models import Feed

pytestmark = pytest.mark.django_db(transaction=True)

LATIN = "sku,name\n1,Müller\n2,Maier\n".encode("cp1252")


@pytest.fixture
def on_disk(monkeypatch):
    """Of what was put on the disk so far: its name, its size, and the number of feeds at that moment."""
    found = {}
    put = os.fsync

    def fsync(descriptor):
        put(descriptor)
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        found[path] = (os.fstat(descriptor).st_size, Feed.objects.count())

    monkeypatch.setattr(os, "fsync", fsync)
    return found


@pytest.fixture
def uploaded(settings, tmp_path, on_disk):
    settings.MEDIA_ROOT = tmp_path
    shop = add_destination(name="shop", url="https://shop.example/products")
    return commands.create_feed(content=io.BytesIO(LATIN), name="feed.csv", destination=shop)


def test_an_upload_and_its_name_are_on_the_disk_before_there_is_a_feed(uploaded, on_disk, tmp_path):
    assert on_disk[str(uploaded.source_path)] == (len(LATIN), 0)
    assert {str(uploaded.folder), str(tmp_path)} <= on_disk.keys()


def test_what_is_read_instead_of_the_upload_is_on_the_disk_before_the_feed_is_checked(uploaded, on_disk):
    handlers.check_feed(FeedCreated(correlation_id=uploaded.id, conversation_id=uploaded.id))
    uploaded.refresh_from_db()
    # Not yet stored: the check itself is over
    assert uploaded.status == "checking"
    plain = uploaded.folder / "plain.csv"
    assert on_disk[str(plain)] == (plain.stat().st_size, 1)


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL's own setting")
def test_each_commit_is_on_the_disk_when_it_returns():
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA synchronous")
        assert cursor.fetchone() == (2,), "FULL"
