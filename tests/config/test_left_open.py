"""A page that was left open over night: a sentence, and the way back."""

import re
from io import BytesIO
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client
from django.test.client import MULTIPART_CONTENT
from django.urls import reverse

from config.bodies import Whole
from deliveries.models import Destination
from feeds.models import Mapping

pytestmark = pytest.mark.django_db

PAGE = "http://testserver/mappings/of/products/?version=1"
SIGNED_OUT = "You were signed out meanwhile: nothing was done."


@pytest.fixture
def browser(settings):
    """Somebody who was signed in, and whose session has ended."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    browser = Client()
    browser.force_login(User.objects.create_user("olga", password="a-long-password"))
    browser.get(reverse("login"))
    Session.objects.all().delete()
    return browser


def press(browser, referer, **headers):
    return browser.post(reverse("feeds:preview_mapping"), headers={"Referer": referer} | headers)


def sign_in(browser, answer):
    page = browser.get(answer.url)
    assert SIGNED_OUT in page.text
    assert SIGNED_OUT not in browser.get(answer.url).text
    said = {"username": "olga", "password": "a-long-password", "next": page.context["next"]}
    return browser.post(reverse("login"), said).url


def test_who_was_signed_out_is_told_and_led_back_to_the_page_with_the_button(browser):
    assert sign_in(browser, press(browser, PAGE)) == "/mappings/of/products/?version=1"


@pytest.mark.parametrize(
    "referer", ["", "https://evil.example/feeds/", "//evil.example", "javascript:alert(1)"]
)
def test_no_other_site_is_led_back_to(browser, referer):
    assert sign_in(browser, press(browser, referer)) == reverse("feeds:list")


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_part_of_a_page_says_in_place_that_they_are_signed_out(browser, method):
    answer = getattr(browser, method)(reverse("feeds:preview_mapping"), headers={"HX-Request": "true"})
    assert answer.status_code == 200
    assert answer.headers["HX-Retarget"] == "#signed-out"
    text = "You have been signed out. Sign in in another tab, then go on here; nothing you typed is lost."
    assert text in re.sub("<[^>]+>", "", answer.text)
    assert "sessionid" not in answer.cookies, "it takes nobody's new sign-in away"
    assert "meanwhile" not in browser.get(reverse("login")).text, "told once, not at the sign-in too"


def test_who_only_looked_is_told_nothing(browser):
    answer = browser.get(PAGE)
    assert "signed out" not in browser.get(answer.url).text


def test_a_token_of_before_the_sign_in_gives_a_sentence(browser):
    stale = Client(enforce_csrf_checks=True)
    token = stale.get(reverse("login")).context["csrf_token"]
    stale.force_login(User.objects.get())
    stale.cookies["csrftoken"] = "a" * 32
    answer = stale.post(reverse("feeds:preview_mapping"), {"csrfmiddlewaretoken": str(token)})
    assert answer.status_code == 403
    assert "Go back, reload the page, and press the button once more." in answer.text


def test_a_part_of_what_is_gone_has_the_page_loaded_anew(browser):
    browser.force_login(User.objects.get())
    gone = reverse("feeds:live", args=["00000000-0000-0000-0000-000000000000"])
    answer = browser.get(gone, headers={"HX-Request": "true"})
    assert (answer.status_code, answer.headers["HX-Refresh"]) == (204, "true")
    assert browser.get(gone).status_code == 404


def test_an_address_that_only_takes_buttons_says_so(browser):
    browser.force_login(User.objects.get())
    answer = browser.get(reverse("feeds:preview_mapping"))
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
    assert "This address only takes what a button sends. Nothing was done." in answer.text


TYPED = {"name": "Prices", "as": "json", "document": '{"path": "/{sku'}


def save(browser, path, values, origin="http://testserver", who="olga"):
    """Presses Save on that page, signs in where it leads, and gives the page that follows."""
    answer = browser.post(
        path, values | {"whose": User.objects.get(username="olga").pk}, headers={"Origin": origin}
    )
    form = browser.get(answer.url)
    said = {"username": who, "password": "a-long-password", "next": form.context["next"]}
    return form, browser.get(browser.post(reverse("login"), said).url)


def test_what_was_typed_in_a_mapping_is_there_again_after_the_sign_in_and_not_stored(browser):
    path = reverse("feeds:add_mapping")
    form, page = save(browser, path, TYPED)
    assert "What you typed is there again once you have signed in." in form.text
    assert page.request["PATH_INFO"] == path
    assert "This is what you had typed. Nothing of it is stored yet." in page.text
    assert page.context["editor"].text == TYPED["document"]
    assert page.context["form"]["name"].value() == "Prices"
    assert not Mapping.objects.exists()
    assert "Prices" not in browser.get(path).text, "it is told once"


def test_what_was_typed_of_a_destination_is_there_again_but_for_its_passwords(browser):
    User.objects.update(is_staff=True, is_superuser=True)
    values = {"name": "shop", "url": "https://shop.example", "auth": "bearer", "token": "s3cret-token"}
    values |= {"headers": "X-Key: s3cret-key"}
    _, page = save(browser, reverse("feeds:add_destination"), values)
    assert page.context["form"]["name"].value() == "shop"
    assert page.context["form"]["headers"].value() == "X-Key: s3cret-key"
    assert "s3cret-token" not in page.text
    assert not Destination.objects.exists()


def test_what_is_kept_cannot_be_read_in_the_table_of_sessions(browser):
    browser.post(reverse("feeds:add_mapping"), TYPED | {"whose": 1}, headers={"Origin": "http://testserver"})
    [kept] = [session.get_decoded()["typed"] for session in Session.objects.all()]
    assert "Prices" not in str(kept)


def test_what_was_typed_is_there_again_for_who_had_typed_it_alone(browser):
    User.objects.create_user("otto", password="a-long-password")
    path = reverse("feeds:add_mapping")
    _, page = save(browser, path, TYPED, who="otto")
    assert page.request["PATH_INFO"] == path
    assert "Prices" not in page.text
    browser.force_login(User.objects.get(username="olga"))
    assert "Prices" not in browser.get(path).text, "it is not kept for later either"


@pytest.mark.parametrize("origin", ["https://evil.example", "null", ""])
def test_no_other_site_puts_words_into_a_form(browser, origin):
    _, page = save(browser, reverse("feeds:add_mapping"), TYPED, origin)
    assert "Prices" not in page.text


def test_what_is_too_long_is_not_kept(browser):
    form, _ = save(browser, reverse("feeds:add_mapping"), TYPED | {"document": "x" * 200_001})
    assert SIGNED_OUT in form.text


def test_a_token_of_before_a_sign_in_elsewhere_loses_nothing_that_was_typed(browser):
    stale = Client(enforce_csrf_checks=True)
    stale.force_login(User.objects.get())
    path = reverse("feeds:add_mapping")
    headers = {"Origin": "http://testserver"}
    answer = stale.post(
        path, TYPED | {"csrfmiddlewaretoken": "a" * 32, "whose": User.objects.get().pk}, headers=headers
    )
    assert answer.headers["Location"] == path
    assert stale.get(path).context["editor"].text == TYPED["document"]
    assert not Mapping.objects.exists()


@pytest.mark.parametrize("cookie", [{}, {"csrftoken": "a" * 32}], ids=["none", "stale"])
@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", MULTIPART_CONTENT])
def test_of_a_form_that_broke_off_on_its_way_nothing_is_kept(browser, content_type, cookie):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(User.objects.get())
    strict.cookies.load(cookie)
    path = reverse("feeds:add_mapping")
    cut: Any = {"wsgi.input": Whole(BytesIO(b"name=Pri"), 100), "HTTP_ORIGIN": "http://testserver"}
    answer = strict.generic("POST", path, b"x" * 100, content_type, **cut)
    assert answer.status_code == 403
    assert "This is what you had typed" not in strict.get(path).text
