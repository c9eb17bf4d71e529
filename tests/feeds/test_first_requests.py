"""The first requests that a page shows before anything is sent are those that a real server receives."""

import pytest
from django.contrib.auth.models import AnonymousUser

from deliveries.authentication import HIDDEN
from deliveries.commands import add_destination
from deliveries.shown import SIGNED_THEN
from deliveries.signing import new_secret
from feeds import commands, queries
from tests.noting import Noting

pytestmark = pytest.mark.django_db(transaction=True)


def test_what_is_shown_before_sending_is_what_is_sent_but_for_the_secrets(pipeline, noting):
    # Given a file that is ready for a destination with secrets of every kind
    destination = add_destination(
        name="shop",
        url=f"{noting}/shop?v=2",
        headers={"X-Shop-Key": "very-secret"},
        auth="bearer",
        credentials={"token": "top-secret-token"},
        signing_secret=new_secret(),
    )
    document = {"method": "PUT", "path": "/{sku}", "fields": {"price": {"to": "cost", "type": "number"}}}
    mapping = commands.add_mapping(name="shop", document=document)
    content = "sku,price\nA 1,10.50\nCafé,7\n".encode()
    feed = commands.create_feed(content=[content], name="f.csv", destination=destination, mapping=mapping)
    feed = pipeline.settle(feed)

    # When its first requests are looked at, and it is sent then
    shown = queries.preview(feed, AnonymousUser()).requests
    assert not Noting.received
    commands.release(feed.id)
    pipeline.settle(feed)

    # Then each is what was received
    received = {
        headers["Rowpost-Row"]: (method, path, headers, body)
        for method, path, headers, body in Noting.received
    }
    assert len(received) == len(shown) == 2
    for request in shown:
        method, path, headers, body = received[str(request.number)]
        assert (request.method, request.url, request.body) == (method, noting + path, body)
        for name in ("X-Shop-Key", "Authorization", "webhook-signature"):
            headers[name] = HIDDEN
        headers["webhook-timestamp"] = SIGNED_THEN
        assert dict(request.headers) == headers
    assert "secret" not in repr(shown)
