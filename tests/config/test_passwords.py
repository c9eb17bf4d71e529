"""Whoever forgot their password gets one mail with a link, and chooses another."""

import re

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.test import Client
from django.urls import reverse

pytestmark = pytest.mark.django_db

OLD, NEW = "correct horse battery", "staple of another colour"


@pytest.fixture(autouse=True)
def olga(settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.ALLOWED_HOSTS = ["*"]
    return User.objects.create_user("olga", "olga@example.com", OLD)


def ask_for(address, **headers):
    answer = Client().post(reverse("password_reset"), {"email": address}, headers=headers, follow=True)
    assert answer.status_code == 200
    return re.sub(r"CSRFToken.*", "", answer.text)


def link():
    (letter,) = mail.outbox
    return next(word for word in str(letter.body).split() if word.startswith("http"))


def choose(browser, new=NEW):
    page = browser.get(link().removeprefix("http://127.0.0.1:8000"), follow=True)
    if "form" not in page.context or page.context["form"] is None:
        return page
    chosen = {"new_password1": new, "new_password2": new}
    return browser.post(page.redirect_chain[-1][0], chosen, follow=True)


def can_sign_in(password):
    answer = Client().post(reverse("login"), {"username": "olga", "password": password})
    return answer.status_code == 302


def test_a_forgotten_password_is_replaced_through_the_link_of_one_mail():
    ask_for("olga@example.com")
    assert mail.outbox[0].to == ["olga@example.com"]
    choose(Client())
    assert can_sign_in(NEW)
    assert not can_sign_in(OLD)


def test_the_link_leads_to_our_own_address_whatever_the_request_names():
    ask_for("olga@example.com", host="evil.example")
    assert link().startswith("http://127.0.0.1:8000/accounts/reset/")
    assert "evil" not in mail.outbox[0].body


def test_a_link_works_once():
    ask_for("olga@example.com")
    choose(Client())
    choose(Client(), new="yet another password")
    assert can_sign_in(NEW)


def test_nobody_learns_who_has_an_account(olga):
    known = ask_for("olga@example.com")
    assert ask_for("nobody@example.com") == known
    olga.is_active = False
    olga.save()
    assert ask_for("olga@example.com") == known
    assert len(mail.outbox) == 1


def test_a_new_password_ends_what_was_signed_in_with_the_old_one(olga):
    elsewhere = Client()
    elsewhere.force_login(olga)
    assert elsewhere.get(reverse("feeds:list")).status_code == 200
    ask_for("olga@example.com")
    choose(Client())
    assert elsewhere.get(reverse("feeds:list")).status_code == 302


def test_a_weak_password_is_refused_with_a_sentence():
    ask_for("olga@example.com")
    assert "too short" in choose(Client(), new="short").text
    assert can_sign_in(OLD)
