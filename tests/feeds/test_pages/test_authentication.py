"""The form of a destination: how it lets us in, and two people who change it at once."""

import pytest
from django.urls import reverse

from deliveries.authentication import HIDDEN
from deliveries.blanking import secrets_of
from deliveries.commands import change_destination
from deliveries.models import Destination
from tests.feeds.test_pages.test_admin import form_of

pytestmark = pytest.mark.django_db

CHOICES = [
    ({"auth": "bearer", "token": "t0p-secret"}, {"token": "t0p-secret"}),
    ({"auth": "basic", "user": "anna", "password": "t0p-secret"}, {"user": "anna", "password": "t0p-secret"}),
    ({"auth": "key", "key_header": "X-Q", "key": "t0p-secret"}, {"key_header": "X-Q", "key": "t0p-secret"}),
    (
        {
            "auth": "oauth2", "token_url": "https://a.example/t", "client_id": "us",
            "client_secret": "t0p-secret",
        },
        {
            "token_url": "https://a.example/t", "client_id": "us", "client_secret": "t0p-secret",
            "scope": "", "audience": "", "secret_in_body": "",
        },
    ),
]  # fmt: skip


@pytest.fixture(params=["page", "admin"])
def address(request, destination):
    """Both forms in which a destination is changed."""
    name = {"page": "feeds:change_destination", "admin": "admin:deliveries_destination_change"}[request.param]
    return reverse(name, args=[destination.id])


@pytest.mark.parametrize(("entered", "stored"), CHOICES, ids=lambda value: value.get("auth", ""))
def test_a_secret_is_stored_never_shown_and_kept_where_it_is_left_empty(
    as_, admin, destination, address, entered, stored
):
    browser = as_(admin)
    assert browser.post(address, form_of(destination, **entered)).status_code == 302
    destination.refresh_from_db()
    assert (destination.auth, destination.credentials) == (entered["auth"], stored)

    page = browser.get(address).text
    assert "t0p-secret" not in page
    assert "Leave this empty to keep it" in page
    empty = {name: "" if value == "t0p-secret" else value for name, value in entered.items()}
    assert browser.post(address, form_of(destination, **empty, rate="7")).status_code == 302
    destination.refresh_from_db()
    assert (destination.rate, destination.credentials) == (7.0, stored)
    assert "t0p-secret" not in browser.get(reverse("feeds:destination", args=[destination.id])).text


def test_a_key_in_the_token_url_is_kept_where_its_dots_are_left_and_not_shown(
    as_, admin, destination, address
):
    browser, url = as_(admin), "https://a.example/t?api_key=t0p-secret&v=1"
    oauth2 = CHOICES[3][0] | {"token_url": url, "client_secret": "other-secret"}
    assert browser.post(address, form_of(destination, **oauth2)).status_code == 302
    page = browser.get(address).text
    assert "t0p-secret" not in page
    assert f"https://a.example/t?api_key={HIDDEN}&amp;v=1" in page

    kept = oauth2 | {"token_url": f"https://a.example/t?api_key={HIDDEN}&v=2", "client_secret": ""}
    assert browser.post(address, form_of(destination, **kept)).status_code == 302
    destination.refresh_from_db()
    assert destination.credentials["token_url"] == url.replace("v=1", "v=2")
    assert "t0p-secret" in secrets_of(destination)

    moved = kept | {"token_url": f"https://mine.example/?api_key={HIDDEN}", "client_secret": "x"}
    assert (
        "enter the values that are dots again." in browser.post(address, form_of(destination, **moved)).text
    )
    unknown = kept | {"token_url": f"https://a.example/?token={HIDDEN}"}
    assert (
        "No value is stored for token; enter it."
        in browser.post(address, form_of(destination, **unknown)).text
    )


def test_another_choice_forgets_the_secrets_of_the_one_before(as_, admin, destination, address):
    browser = as_(admin)
    browser.post(address, form_of(destination, auth="bearer", token="t0p-secret"))
    browser.post(address, form_of(destination, auth="key", key_header="X-Q", key="other"))
    page = browser.post(address, form_of(destination, auth="bearer", token=""))
    assert "Enter the token." in page.text
    browser.post(address, form_of(destination, auth="none"))
    destination.refresh_from_db()
    assert (destination.auth, destination.credentials) == ("none", None)


@pytest.mark.parametrize(
    "url",
    ["https://elsewhere.example/products", "https://shop.example:8443/products", "http://shop.example/"],
)
@pytest.mark.parametrize(
    ("kept", "asked_for"),
    [
        ({"auth": "bearer", "token": ""}, {"token"}),
        ({"auth": "basic", "user": "anna", "password": ""}, {"password"}),
        ({"auth": "key", "key_header": "X-Q", "key": ""}, {"key"}),
        (
            {
                "auth": "oauth2", "token_url": "https://a.example/t", "client_id": "us",
                "client_secret": "",
            },
            {"client_secret"},
        ),
        ({"headers": "X-Key: ••••••••"}, {"headers"}),
    ],
    ids=["bearer", "basic", "key", "oauth2", "headers"],
)  # fmt: skip
def test_no_stored_secret_goes_to_another_server(as_, admin, destination, address, url, kept, asked_for):
    browser, given = as_(admin), {"headers": "", **kept}
    stored = given | dict.fromkeys(asked_for - {"headers"}, "t0p-secret")
    if kept.get("headers"):
        stored["headers"] = "X-Key: t0p-secret"
    browser.post(address, form_of(destination, **stored))
    edition = Destination.objects.get(id=destination.id).edition

    page = browser.post(address, form_of(destination, **given, url=url))
    assert page.text.count("to which nothing stored is sent") == 1
    assert Destination.objects.get(id=destination.id).edition == edition

    same_server = "https://SHOP.example:443/other"
    assert browser.post(address, form_of(destination, **given, url=same_server)).status_code == 302
    assert browser.post(address, form_of(destination, **stored, url=url)).status_code == 302
    assert Destination.objects.get(id=destination.id).url == url


def test_no_stored_client_secret_goes_to_another_token_server(as_, admin, destination, address):
    browser = as_(admin)
    given = {"auth": "oauth2", "token_url": "https://a.example/t", "client_id": "us", "client_secret": "s"}
    browser.post(address, form_of(destination, **given))
    page = browser.post(
        address, form_of(destination, **given | {"client_secret": "", "token_url": "https://b.example/t"})
    )
    assert "enter the client secret again" in page.text
    empty = form_of(destination, **given | {"client_secret": "", "token_url": "https://a.example/other"})
    assert browser.post(address, empty).status_code == 302


def test_a_header_line_beside_it_is_refused_at_its_field(as_, admin, destination, address):
    values = form_of(destination, auth="bearer", token="t0p-secret", headers="authorization: Bearer mine")
    page = as_(admin).post(address, values)
    assert "authorization is set by the authentication (bearer token): remove the line here." in page.text
    assert "t0p-secret" not in page.text


def test_a_page_that_somebody_elses_change_has_overtaken_stores_nothing(as_, admin, destination, address):
    values = form_of(destination, seen_edition=destination.edition, rate="3")
    change_destination(destination.id, concurrency=9)
    page = as_(admin).post(address, values, follow=True)
    assert page.status_code == 200
    assert "Somebody else changed this destination" in page.text
    destination.refresh_from_db()
    assert (destination.rate, destination.concurrency) == (None, 9)


def test_the_same_change_saved_twice_is_stored_once_and_no_conflict(as_, admin, destination, address):
    values = form_of(destination, seen_edition=destination.edition, rate="3")
    browser = as_(admin)
    for _ in range(2):
        assert browser.post(address, values).status_code == 302
    destination.refresh_from_db()
    assert (destination.rate, destination.edition) == (3.0, 2)


def test_a_destination_that_was_deleted_meanwhile_gives_a_plain_page(as_, admin, destination):
    Destination.objects.filter(id=destination.id).delete()
    browser = as_(admin)
    for name, arguments in (
        ("feeds:change_destination", [destination.id]),
        ("feeds:destination", [destination.id]),
        ("feeds:act_destination", [destination.id, "pause"]),
    ):
        page = browser.post(reverse(name, args=arguments), form_of(destination))
        assert page.status_code == 404
        assert "There is nothing here" in page.text
