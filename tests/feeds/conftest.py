"""Feeds that went through the real check and import, in the test's own process."""

import io

import pytest
from django.db import transaction

from deliveries.commands import add_destination
from feeds import commands, handlers
from feeds.events import FeedCreated, FeedReleased
from feeds.models import Feed
from outbox.outcomes import NextStep


@pytest.fixture
def send(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    destination = add_destination(name="shop", url="https://shop.example/products")

    def run(text: str | bytes) -> Feed:
        content = text.encode() if isinstance(text, str) else text
        feed = commands.create_feed(
            content=io.BytesIO(content), name="f.csv", destination=destination, send_at_once=True
        )
        check = handlers.check_feed(FeedCreated(correlation_id=feed.id))
        assert check is not None
        with transaction.atomic():
            check()
        while True:
            write = handlers.import_rows(FeedReleased(correlation_id=feed.id))
            assert callable(write)
            with transaction.atomic():
                if not isinstance(write(), NextStep):
                    break
        feed.refresh_from_db()
        return feed

    return run
