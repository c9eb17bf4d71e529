"""People, and feeds in every state that a page shows."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.db import transaction
from django.test import Client
from django.urls import reverse

from deliveries.commands import Parcel, add_destination, create_deliveries
from deliveries.models import Destination
from feeds.commands import add_mapping, create_feed
from feeds.grouping import recount
from feeds.models import Alias, Feed, FeedStatus, Row

CSV = b"sku,name,price\n001,Lamp,10.50\n002,Chair,20\n003,Table,30\n"


@pytest.fixture(autouse=True)
def surroundings(settings: Any, tmp_path: Path) -> Iterator[None]:
    settings.MEDIA_ROOT = tmp_path / "uploads"
    yield
    cache.clear()


@pytest.fixture
def owner(db: None) -> User:
    return User.objects.create_user("olga", "olga@example.com", "a-long-password")


@pytest.fixture
def other(db: None) -> User:
    return User.objects.create_user("otto", "otto@example.com", "a-long-password")


@pytest.fixture
def admin(db: None) -> User:
    return User.objects.create_superuser("anna", "anna@example.com", "a-long-password")


@pytest.fixture
def as_(client: Client) -> Callable[[User | None], Client]:
    """A browser in which that person is signed in."""

    def sign_in(user: User | None) -> Client:
        browser = Client(raise_request_exception=False)
        if user is not None:
            browser.force_login(user)
        return browser

    return sign_in


@pytest.fixture
def destination(db: None) -> Destination:
    return add_destination(name="shop", url="https://shop.example/products", headers={"X-Key": "very-secret"})


@pytest.fixture
def make_feed(owner: User, destination: Destination) -> Callable[..., Feed]:
    """A feed as the pipeline would have left it in that status."""

    def make(status: str = FeedStatus.READY, *, name: str = "products.csv", **fields: Any) -> Feed:
        feed = create_feed(content=[CSV], name=name, destination=destination, owner_id=owner.pk)
        feed.deeds.all().delete()  # whatever a test does then stands alone in the history
        if status != FeedStatus.CHECKING:
            values: dict[str, Any] = {
                "columns": ["sku", "name", "price"],
                "width": 3,
                "kept": [0, 1, 2],
                "dialect": {"delimiter": ",", "encoding": "utf-8"},
                "total": 3,
                "pending": 3,
            }
            Feed.objects.filter(id=feed.id).update(**(values | {"status": status} | fields))
        feed.refresh_from_db()
        return feed

    return make


@pytest.fixture
def delivering(make_feed: Callable[..., Feed]) -> Feed:
    """Three rows: one arrived, one failed, one invalid."""
    feed = make_feed(
        FeedStatus.DELIVERING,
        created=2,
        tried=2,
        pending=0,
        succeeded=1,
        failed=2,
        invalid=1,
        import_done=True,
    )
    parcels = [Parcel(n, "POST", "", "application/json", f'{{"sku":"00{n}"}}') for n in (1, 2)]
    with transaction.atomic():
        create_deliveries(
            group_id=feed.id, destination_id=feed.destination_id, lane_id=feed.lane_id, parcels=parcels
        )
    rows = [
        Row(
            feed_id=feed.id, number=1, line=2, cells='["001","Lamp","10.50"]', outcome="succeeded", attempts=1
        ),
        Row(
            feed_id=feed.id,
            number=2,
            line=3,
            cells='["002","Chair","20"]',
            outcome="failed",
            attempts=2,
            http_status=422,
            code="http_422",
            error='SKU "002" is <b>unknown</b>.',
        ),
        Row(
            feed_id=feed.id,
            number=3,
            line=4,
            cells='["003","Table"]',
            outcome="failed",
            invalid=True,
            code="too_few_cells",
            error="The row has 2 cells instead of 3.",
        ),
    ]
    Row.objects.bulk_create(rows)
    recount(feed.id)
    return feed


@pytest.fixture
def address(delivering: Feed, destination: Destination) -> Callable[[str, set[str]], str]:
    """The address of a page, its arguments filled with what belongs to the owner."""
    mapping = add_mapping(name="products", document={"body": {"sku": "{sku}"}})
    alias = Alias.objects.create(mapping_name=mapping.name, column="sku", found="SKU no.", feed=delivering)
    values = {
        "feed_id": delivering.id, "number": 2, "kind": "failed", "action": "pause",
        "destination_id": destination.id, "name": mapping.name, "alias_id": alias.id,
        "uidb64": "x", "token": "y", "chosen": "mapping",
    }  # fmt: skip

    def address(name: str, arguments: set[str]) -> str:
        return reverse(name, kwargs={argument: values[argument] for argument in arguments})

    return address
