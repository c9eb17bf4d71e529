"""Test sends: one request a press of the form, however often it is pressed, and its exchange for a month."""

import re
import threading
import uuid
from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from deliveries import trial
from deliveries.commands import add_destination
from feeds.models import Deed, SentTest
from feeds.tasks import retention

pytestmark = pytest.mark.django_db(transaction=True)

BODY = '{"sku":"A-001"}'


@pytest.fixture
def place(settings, server):
    """A destination that answers, with its page."""
    settings.ALLOWED_NETWORKS = ["127.0.0.0/8"]
    server.clear()
    server.behave("shop", body='{"kept": true}')
    destination = add_destination(name="shop", url=server.url("/shop"))
    return reverse("feeds:destination", args=[destination.id])


@pytest.fixture
def browser(as_, admin):
    return as_(admin)


def form_on(page, **changes):
    ticket = page.context["form"]["ticket"].value()
    values = {"method": "POST", "path": "", "content_type": "application/json", "body": BODY}
    return values | {"ticket": str(ticket), "whose": page.context["user"].pk} | changes


def test_what_was_sent_and_answered_is_shown_at_an_address_of_its_own(browser, place, server):
    answer = browser.post(place, form_on(browser.get(place)))
    assert re.fullmatch(rf"{place}\?test=[-0-9a-f]{{36}}#test", answer.url)
    for _ in range(2):  # also when it is loaded anew
        page = browser.get(answer.url).text
        assert "&quot;kept&quot;: true" in page
        assert "A-001" in page
    assert server.stats()["count"] == 1


def test_pressed_twice_it_is_sent_once_and_shows_the_same_exchange(browser, place, server):
    form = form_on(browser.get(place))
    first, second = (browser.post(place, form) for _ in range(2))
    assert first.url == second.url
    assert "It was sent once, not twice: this is what came of it." in browser.get(second.url).text
    assert server.stats()["count"] == 1
    assert Deed.objects.filter(what="sent").count() == 1


def test_a_second_press_while_the_first_is_under_way_waits_for_its_answer(browser, place, server):
    server.behave("shop", ms=700)
    form = form_on(browser.get(place))
    found = []

    def press():
        try:
            found.append(browser.get(browser.post(place, form).url).text)
        finally:
            connection.close()

    presses = [threading.Thread(target=press) for _ in range(2)]
    for each in presses:
        each.start()
    for each in presses:
        each.join()
    assert server.stats()["count"] == 1
    assert len(found) == 2
    for page in found:
        assert "Answered after" in page


def test_the_next_page_sends_the_same_again_and_another_body_is_another_test(browser, place, server):
    form = form_on(browser.get(place))
    shown = browser.get(browser.post(place, form).url)
    browser.post(place, form_on(shown))
    browser.post(place, form | {"body": "{}"})
    assert server.stats()["count"] == 3


def test_the_form_keeps_what_this_person_tried_and_shows_it_to_nobody_else(browser, as_, place, other):
    url = browser.post(place, form_on(browser.get(place), path="/?token=s3cret", body="{}")).url
    assert browser.get(url).context["form"]["path"].value() == "/?token=s3cret"
    other.is_staff = True
    other.save()
    page = as_(other).get(url)
    assert "success" in page.text
    assert "s3cret" not in page.text


def test_one_whose_process_died_says_that_it_may_have_arrived(browser, place, monkeypatch, server):
    monkeypatch.setattr(trial, "LONGEST", -5)

    def die(*_, **__):
        raise RuntimeError("died")

    form = form_on(browser.get(place))
    with monkeypatch.context() as patched:
        patched.setattr(trial, "send", die)
        assert browser.post(place, form).status_code == 500
    page = browser.get(browser.post(place, form).url).text
    assert "A test was begun, and no answer to it is known yet: it may have arrived all the same." in page
    assert server.stats()["count"] == 0


def test_of_another_destination_or_by_a_broken_address_none_is_shown(browser, place):
    url = browser.post(place, form_on(browser.get(place))).url
    second = add_destination(name="second", url="https://shop.example")
    for wrong in (
        url.replace(place, reverse("feeds:destination", args=[second.id])),
        f"{place}?test=nonsense",
        f"{place}?test={uuid.uuid4()}",
    ):
        page = browser.get(wrong)
        assert (page.status_code, page.context["test"]) == (200, None)


def test_the_same_form_sent_for_another_destination_is_another_test(browser, place, server):
    form = form_on(browser.get(place))
    second = add_destination(name="second", url=server.url("/shop"))
    for url in (place, reverse("feeds:destination", args=[second.id])):
        assert "Answered after" in browser.get(browser.post(url, form).url).text
    assert server.stats()["count"] == 2


def test_they_are_kept_for_a_month(browser, place):
    browser.post(place, form_on(browser.get(place)))
    [old] = SentTest.objects.all()
    old.began_at -= timedelta(days=31)
    old.save()
    browser.post(place, form_on(browser.get(place)))
    retention()
    assert SentTest.objects.get().id != old.id


def test_they_go_after_a_month_also_where_nobody_tests_any_more(browser, place):
    browser.post(place, form_on(browser.get(place)))
    for days, left in ((29, 1), (31, 0)):
        SentTest.objects.update(began_at=timezone.now() - timedelta(days=days))
        retention()
        assert SentTest.objects.count() == left


@pytest.mark.parametrize(
    ("body", "rows"), [("", 3), ("x", 3), ("x\n" * 9, 9), ("x" * 500, 6), ("x\n" * 99, 16)]
)
def test_the_box_of_the_body_is_as_high_as_what_stands_in_it(browser, place, body, rows):
    page = browser.post(place, form_on(browser.get(place), path="wrong", body=body))
    assert page.context["form"].fields["body"].widget.attrs["rows"] == rows


def test_what_was_typed_is_there_again_after_a_sign_in_and_not_sent(browser, admin, place, server):
    form = form_on(browser.get(place), body='{"sku": "typed"}')
    Session.objects.all().delete()
    browser.post(place, form, headers={"Origin": "http://testserver"})
    browser.force_login(admin)
    assert browser.get(place).context["form"]["body"].value() == '{"sku": "typed"}'
    assert server.stats()["count"] == 0
