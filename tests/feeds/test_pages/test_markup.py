"""Markup in what comes from outside is shown as text: cells, names, what a third party answers, reasons."""

import csv

import orjson
import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.urls import reverse

from deliveries.events import DeliveryFailed
from deliveries.ids import delivery_id
from deliveries.models import Attempt, Delivery, Destination, Payload
from feeds.deeds import note_deed
from feeds.models import Alias, Feed, FeedStatus, Mail, Mapping, Row
from outbox import heartbeats
from outbox.models import Error, Handling, Lane, State, Subscription
from outbox.publishing import publish
from tests.feeds.test_pages.test_access import every_page

pytestmark = pytest.mark.django_db

MARKUP = "\"'><img src=x onerror=alert(1)></script></textarea><script>alert(1)</script>"
IN_JSON = "\"'><img src=x onerror=alert(1)></script></textarea><script>alert(1)</script>"


@pytest.fixture
def poisoned(delivering, destination, owner):
    """A feed of which everything that can be anything is markup."""
    Destination.objects.filter(id=destination.id).update(paused_for=MARKUP)
    Lane.objects.filter(id=destination.lane_id).update(paused=True, held_for=MARKUP)
    User.objects.filter(id=owner.id).update(username=MARKUP[:150])
    Feed.objects.filter(id=delivering.id).update(
        name=MARKUP, columns=[MARKUP, "b", "c"], mapping_name=f"{MARKUP[:80]}, version 1", reason=MARKUP,
        encoding_note=MARKUP, invalid_by_code={MARKUP: 1},
    )  # fmt: skip
    cells = orjson.dumps([MARKUP, MARKUP, MARKUP]).decode()
    Row.objects.filter(feed_id=delivering.id).update(cells=cells, error=MARKUP, code=MARKUP[:64])
    Row.objects.filter(feed_id=delivering.id, number=2).update(mended=cells)
    mapping = Mapping.objects.create(name=MARKUP[:100], document={"body": {MARKUP: "{sku}"}})
    Alias.objects.create(mapping_name=mapping.name, column=MARKUP[:200], found=MARKUP[:200], user=owner)
    note_deed(delivering.id, user_id=owner.id, what="edited", detail=MARKUP)
    Mail.objects.create(
        feed=delivering, event_id=1, user=owner, address="a@b.c", subject=MARKUP, problem=MARKUP
    )
    _attempted(delivering)
    heartbeats.beat(MARKUP, kind="worker", queues=[MARKUP], concurrency=1, processes=1)
    with delivering.plain_path.open("w", newline="") as file:
        csv.writer(file).writerows([[MARKUP, "b", "c"], [MARKUP, "x", "y"], [MARKUP, "z"]])
    delivering.refresh_from_db()
    return delivering


def _attempted(feed):
    id_ = delivery_id(feed.id, 2)
    Delivery.objects.filter(id=id_).update(status="failed", attempt=1)
    Payload.objects.filter(delivery_id=id_).update(path=f"/{MARKUP}", body=MARKUP, content_type=MARKUP[:100])
    Attempt.objects.create(
        delivery_id=id_, number=1, outcome="failed", http_status=400, code=MARKUP[:64], message=MARKUP,
        response_headers={MARKUP: MARKUP}, response_body=IN_JSON, revision=1,
    )  # fmt: skip
    with transaction.atomic():
        [event_id] = publish(
            DeliveryFailed(
                correlation_id=id_, conversation_id=feed.id, number=2, seq=1, message=MARKUP,
            )
        )  # fmt: skip
    subscription, _ = Subscription.objects.get_or_create(event_type="DeliveryFailed", handler="x.y")
    error = Error.objects.create(handler="x.y", exception=MARKUP[:100], place=MARKUP, sample=MARKUP)
    Handling.objects.create(
        event_id=event_id, subscription=subscription, lane_id=feed.lane_id, state=State.PARKED, error=error,
        message=MARKUP,
    )  # fmt: skip


def shows_it_as_text(answer, where):
    """Whether it is there; it never is there as markup."""
    if answer.status_code != 200 or "html" not in answer.headers["Content-Type"]:
        return False
    assert "<img src=x" not in answer.text, where
    assert "<script>alert" not in answer.text, where
    return "&lt;img src=x" in answer.text


@pytest.mark.parametrize("status", [FeedStatus.DELIVERING, FeedStatus.READY, FeedStatus.REJECTED])
def test_markup_is_text_on_every_page(as_, owner, admin, poisoned, address, status):
    Feed.objects.filter(id=poisoned.id).update(status=status, succeeded=0, failed=2, pending=1)
    urls = [(name, address(name, arguments)) for name, arguments in every_page() if name != "logout"]
    urls += [("a mapping", reverse("feeds:mapping", args=[MARKUP[:100]]))]
    for browser in (as_(owner), as_(admin)):
        shown = {name for name, url in urls if shows_it_as_text(browser.get(url), name)}
        assert shown >= {"feeds:list", "feeds:feed", "feeds:rows", "feeds:row", "feeds:mappings", "a mapping"}


def test_markup_is_text_in_the_administration(as_, admin, poisoned):
    browser = as_(admin)
    for model, key in (
        ("feeds_feed", poisoned.id),
        ("deliveries_delivery", delivery_id(poisoned.id, 2)),
        ("deliveries_destination", poisoned.destination_id),
        ("outbox_error", Error.objects.get().id),
        ("outbox_handling", Handling.objects.get().id),
    ):
        shows_it_as_text(browser.get(reverse(f"admin:{model}_changelist")), model)
        answer = browser.get(reverse(f"admin:{model}_change", args=[key]))
        assert answer.status_code == 200
        shows_it_as_text(answer, model)


def test_a_file_name_breaks_no_header_of_a_download(as_, owner, poisoned):
    Feed.objects.filter(id=poisoned.id).update(name='a"; filename=evil.exe\r\nSet-Cookie: x=1\r\n.csv')
    answer = as_(owner).get(reverse("feeds:results", args=[poisoned.id, "failed"]))
    said = answer.headers["Content-Disposition"]
    assert said.startswith("attachment; filename*=UTF-8''a%22%3B%20filename%3Devil.exe%0D%0A")
    assert "x" not in answer.cookies
