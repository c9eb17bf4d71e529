"""A page that was left open over night: a sentence, and the way back."""

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse

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


def test_a_part_of_a_page_that_was_sent_off_has_the_page_loaded_anew_and_tells_there(browser):
    answer = press(browser, PAGE, **{"HX-Request": "true"})
    assert answer.headers["HX-Refresh"] == "true"
    again = browser.get(PAGE)
    assert again.url == f"{reverse('login')}?next=/mappings/of/products/%3Fversion%3D1"
    assert SIGNED_OUT in browser.get(again.url).text


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
