"""Feeds that went through the real check and import; and the whole pipeline in the test's own process, with
relay and workers in its hand and requests to a real server."""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction

from deliveries.commands import add_destination
from deliveries.models import Destination
from feeds import commands, handlers
from feeds.events import FeedCreated, FeedReleased
from feeds.models import Feed
from outbox import registry, subscriptions
from outbox.models import Handling
from outbox.outcomes import NextStep
from tests.outbox.conftest import Broker, broker, crew, due_now
from tests.third_party import RunningThirdParty

__all__ = ["broker"]


def after_check(feed: Feed) -> Feed:
    """The feed once it was read, as its handler does it."""
    store = handlers.check_feed(FeedCreated(correlation_id=feed.id))
    assert store is not None
    with transaction.atomic():
        store()
    feed.refresh_from_db()
    return feed


def import_step(feed: Feed) -> bool:
    """Imports one chunk; says whether there is another."""
    write = handlers.import_rows(FeedReleased(correlation_id=feed.id))
    assert callable(write)
    with transaction.atomic():
        return isinstance(write(), NextStep)


@pytest.fixture
def send(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    destination = add_destination(name="shop", url="https://shop.example/products")

    def run(text: str | bytes, *, name: str = "f.csv") -> Feed:
        content = text.encode() if isinstance(text, str) else text
        feed = commands.create_feed(
            content=io.BytesIO(content), name=name, destination=destination, send_at_once=True
        )
        after_check(feed)
        while import_step(feed):
            pass
        feed.refresh_from_db()
        return feed

    return run


@dataclass
class Pipeline:
    broker: Broker

    def settle(self, feed: Feed, *, due: bool = False) -> Feed:
        """Until nothing moves; with `due` the time of what waits has come. Gives the feed as it is then."""
        if due:
            due_now()
        self.broker.settle()
        assert not Handling.objects.filter(tries__gt=0).exists(), "A handler failed."
        feed.refresh_from_db()
        return feed


@pytest.fixture
def pipeline(transactional_db: None, broker: Broker, settings: Any, tmp_path: Path) -> Pipeline:
    settings.MEDIA_ROOT, settings.ALLOWED_NETWORKS = tmp_path / "uploads", ["127.0.0.0/8"]
    registry.load()
    subscriptions.subscribe_all()
    crew()
    return Pipeline(broker)


@pytest.fixture(scope="module")
def server() -> Iterator[RunningThirdParty]:
    with RunningThirdParty() as server:
        yield server


@dataclass
class Receiver:
    """One place of the third party, empty at the start of the test."""

    server: RunningThirdParty

    def fail(self, *rows: int, status: int = 503) -> None:
        """From now on these rows fail, and all others go well."""
        self.server.behave("shop", rows={str(row): {"status": status} for row in rows})

    def rows(self) -> list[int]:
        """The numbers of the rows that arrived, each time that they did."""
        return sorted(int(entry["row"]) for entry in self.server.ledger())


@pytest.fixture
def third_party(server: RunningThirdParty) -> Receiver:
    server.clear()
    server.behave("shop")
    return Receiver(server)


@pytest.fixture
def shop(transactional_db: None, third_party: Receiver) -> Destination:
    return add_destination(name="shop", url=third_party.server.url("/shop"))


@pytest.fixture
def checked(pipeline: Pipeline, shop: Destination) -> Callable[..., Feed]:
    """Uploads a text as a feed, and has it checked."""

    def upload(text: str, **options: Any) -> Feed:
        return pipeline.settle(
            commands.create_feed(
                content=io.BytesIO(text.encode()), name="products.csv", destination=shop, **options
            )
        )

    return upload


def rows_of(count: int) -> str:
    """A feed of so many rows, as text."""
    return "sku\n" + "".join(f"A{number}\n" for number in range(1, count + 1))


@pytest.fixture
def sent(pipeline: Pipeline, checked: Callable[..., Feed]) -> Callable[[int], Feed]:
    """A feed of so many rows that were all sent once."""

    def send(count: int) -> Feed:
        feed = checked(rows_of(count))
        commands.release(feed.id)
        return pipeline.settle(feed)

    return send
