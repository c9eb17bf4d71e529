"""A third party that repeats whatever it gets: no page, file or record shows a destination's secrets."""

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote

import pytest
from django.urls import reverse

from deliveries.authentication import HIDDEN
from deliveries.commands import add_destination
from deliveries.ids import delivery_id
from deliveries.models import AccessToken
from deliveries.signing import new_secret
from feeds.commands import create_feed
from outbox.models import OutboxEvent

pytestmark = pytest.mark.django_db(transaction=True)

SECRET = "s3cret/of:the client"
TOKEN = "token/that-was-fetched"
SIGNING = new_secret()
IN_BASIC = base64.b64encode(f"anna:{SECRET}".encode()).decode()


class Repeating(BaseHTTPRequestHandler):
    """Gives a token to whoever asks for one, and refuses all else with what it was sent, at every place."""

    received: list[str]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if self.path == "/token":
            given = self.headers.get("Authorization", "") + str(parse_qs(body).get("client_secret", ""))
            self.received.append(given)
            self._answer(200, {"access_token": TOKEN}, "")
            return
        sent = " ".join(f"{name}={value}" for name, value in self.headers.items())
        sent += f" at {self.path}" if "?" in self.path else ""
        self.received.append(sent)
        self._answer(422, {"error": f"Not with {sent}", "you": dict(self.headers.items())}, sent)

    def _answer(self, status: int, document: object, repeated: str) -> None:
        content = json.dumps(document).replace("/", r"\/").encode()
        self.send_response(status, repeated[:150] or "OK")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Location", f"https://shop.example/?{repeated}")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def address() -> Iterator[str]:
    Repeating.received = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Repeating) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


OAUTH2 = {"client_id": "us", "client_secret": SECRET, "scope": "", "audience": ""}
KINDS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "header": ({"headers": {"Authorization": f"Bearer {TOKEN}"}}, [TOKEN]),
    "basic header": ({"headers": {"Authorization": f"Basic {IN_BASIC}"}}, [IN_BASIC, SECRET]),
    "cookie": ({"headers": {"Cookie": f"shop=main; session={TOKEN}"}}, [TOKEN]),
    "bearer": ({"auth": "bearer", "credentials": {"token": SECRET}}, [SECRET]),
    "basic": ({"auth": "basic", "credentials": {"user": "anna", "password": SECRET}}, [IN_BASIC, SECRET]),
    "key": ({"auth": "key", "credentials": {"key_header": "X-API-Key", "key": SECRET}}, [SECRET]),
    "short key": ({"auth": "key", "credentials": {"key_header": "X-API-Key", "key": "q7#z"}}, ["q7#z"]),
    "URL": ({"query": f"?v=2&api_key={quote(SECRET)}"}, [quote(SECRET), SECRET]),
    "signing secret": ({"signing_secret": SIGNING}, [SIGNING]),
    "oauth2": ({"auth": "oauth2", "credentials": OAUTH2 | {"secret_in_body": ""}}, [TOKEN, SECRET]),
    "oauth2 body": ({"auth": "oauth2", "credentials": OAUTH2 | {"secret_in_body": "yes"}}, [TOKEN, SECRET]),
}


@pytest.fixture(params=KINDS)
def kind(request, settings, address):
    """A destination of each kind, and what must not be seen of it."""
    settings.ALLOWED_NETWORKS = ["127.0.0.0/8"]
    fields, secrets = KINDS[request.param]
    if fields.get("auth") == "oauth2":
        fields = fields | {"credentials": fields["credentials"] | {"token_url": f"{address}/token"}}
    query = fields.get("query", "")
    own = {name: value for name, value in fields.items() if name != "query"}
    return add_destination(name="shop", url=f"{address}/products{query}", **own), secrets


def seen(text: str, secrets: list[str]) -> list[str]:
    """Which of the secrets stand there, as they are or as PHP writes them into JSON."""
    ways = [way for secret in secrets for way in (secret, secret.replace("/", r"\/"))]
    return [way for way in ways if way in text]


def test_a_test_send_shows_no_secret_wherever_it_is_repeated(as_, admin, kind):
    destination, secrets = kind
    url = reverse("feeds:destination", args=[destination.id])
    form = {"method": "POST", "path": "", "content_type": "application/json", "body": "{}"}
    page = as_(admin).post(url, form, follow=True).text
    assert "no success" in page
    assert "Not with" in page
    assert not seen(page, secrets)


def test_what_is_kept_of_a_row_holds_no_secret_and_no_page_shows_one(as_, admin, kind, pipeline):
    destination, secrets = kind
    content = [b"sku\nA1\n"]
    feed = pipeline.settle(
        create_feed(
            content=content, name="f.csv", destination=destination, send_at_once=True, owner_id=admin.pk
        )
    )
    assert (feed.status, feed.failed) == ("completed", 1)

    browser = as_(admin)
    failure = OutboxEvent.objects.get(type="DeliveryAttemptFailed")
    paths = [
        reverse("feeds:destinations"),
        reverse("feeds:destination", args=[destination.id]),
        reverse("feeds:change_destination", args=[destination.id]),
        reverse("feeds:overview"),
        reverse("feeds:feed", args=[feed.id]),
        reverse("feeds:rows", args=[feed.id]),
        reverse("feeds:row", args=[feed.id, 1]),
        reverse("admin:deliveries_destination_change", args=[destination.id]),
        reverse("admin:deliveries_delivery_change", args=[delivery_id(feed.id, 1)]),
        reverse("admin:outbox_outboxevent_change", args=[failure.id]),
    ]
    for path in paths:
        answer = browser.get(path)
        assert answer.status_code == 200, path
        assert not seen(answer.text, secrets), path
    file = b"".join(browser.get(reverse("feeds:results", args=[feed.id, "failed"])).streaming_content)
    assert "Not with" in file.decode()
    assert not seen(file.decode(), secrets)
    row = browser.get(reverse("feeds:row", args=[feed.id, 1])).text
    assert "Not with" in row
    if destination.headers or destination.auth != "none":
        assert HIDDEN in row.split("The answer")[1]


def test_the_third_party_did_get_what_is_hidden(kind, as_, admin):
    destination, secrets = kind
    as_(admin).post(reverse("feeds:destination", args=[destination.id]), {"method": "POST", "body": "{}"})
    if not destination.signing_secret:
        assert secrets[0] in " ".join(Repeating.received)


@pytest.mark.parametrize("kind", ["oauth2", "oauth2 body"], indirect=True)
def test_a_secret_that_the_token_url_repeats_is_not_kept(kind, as_, admin, monkeypatch):
    destination, secrets = kind

    def refuse(self: Repeating) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        sent = self.headers.get("Authorization", "") + body
        self._answer(401, {"error_description": f"Not with {sent}"}, sent)

    monkeypatch.setattr(Repeating, "do_POST", refuse)
    form = {"method": "POST", "path": "", "content_type": "", "body": "{}"}
    page = as_(admin).post(reverse("feeds:destination", args=[destination.id]), form, follow=True).text
    failure = AccessToken.objects.get(destination=destination).failure
    encoded = base64.b64encode(b"us:s3cret%2Fof%3Athe+client").decode()
    for text in (page, failure):
        assert "Not with" in text
        assert not seen(text, [*secrets, encoded, "s3cret%2Fof%3Athe+client"])
