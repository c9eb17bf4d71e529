"""Too many wrong passwords close the sign-in for a name from an address, and for nobody else."""

from datetime import timedelta

import pytest
import time_machine
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def people(db):
    User.objects.create_superuser("anna", password=PASSWORD)
    User.objects.create_user("olga", password=PASSWORD)


def sign_in(name, password, *, page="login", **meta):
    meta = {"REMOTE_ADDR": "192.0.2.1"} | meta
    return Client().post(reverse(page), {"username": name, "password": password}, **meta)


def fail(times, name="anna", **meta):
    for _ in range(times):
        answer = sign_in(name, "wrong", **meta)
    return answer


@pytest.mark.parametrize("page", ["login", "admin:login"])
def test_after_five_failures_a_plain_page_says_when_to_try_again(page):
    assert fail(4, page=page).status_code == 200
    answer = fail(1, page=page)
    assert answer.status_code == 429
    assert "nobody can sign in as anna from your address" in answer.text
    assert "Try again in 15 minutes." in answer.text
    # And the right password does not help now
    assert sign_in("anna", PASSWORD, page=page).status_code == 429


def test_a_name_from_elsewhere_and_others_from_there_are_not_touched():
    fail(5)
    assert sign_in("anna", PASSWORD, REMOTE_ADDR="192.0.2.2").status_code == 302
    assert sign_in("olga", PASSWORD).status_code == 302


def test_it_opens_by_itself_when_the_page_said_and_later_tries_do_not_prolong_it():
    now = timezone.now()
    with time_machine.travel(now, tick=False):
        fail(5)
    with time_machine.travel(now + timedelta(minutes=10, seconds=1), tick=False):
        assert "Try again in 5 minutes." in fail(1).text
    with time_machine.travel(now + timedelta(minutes=15, seconds=1), tick=False):
        assert sign_in("anna", PASSWORD).status_code == 302


def test_who_signs_in_starts_to_count_anew():
    for _ in range(2):
        fail(4)
        assert sign_in("anna", PASSWORD).status_code == 302


def test_behind_a_proxy_the_address_that_it_saw_counts_and_not_what_people_write_before_it(settings):
    settings.PROXIES = 1
    fail(5, HTTP_X_FORWARDED_FOR="10.0.0.9, 198.51.100.1")
    moved = {"HTTP_X_FORWARDED_FOR": "10.0.0.7, 198.51.100.1"}
    assert sign_in("anna", PASSWORD, **moved).status_code == 429
    assert sign_in("anna", PASSWORD, HTTP_X_FORWARDED_FOR="198.51.100.2").status_code == 302
    assert sign_in("anna", PASSWORD).status_code == 302


def test_without_a_proxy_nobody_can_write_an_address_of_their_own():
    for number in range(5):
        answer = fail(1, HTTP_X_FORWARDED_FOR=f"198.51.100.{number}")
    assert answer.status_code == 429


def test_a_name_is_shown_as_text_and_no_password_is_kept():
    from axes.models import AccessAttempt

    answer = fail(5, "<b>anna</b>")
    assert "&lt;b&gt;anna" in answer.text
    kept = AccessAttempt.objects.get()
    assert "wrong" not in f"{kept.post_data} {kept.get_data}"


@pytest.mark.parametrize("page", ["login", "admin:login"])
def test_a_name_longer_than_any_is_a_failure_like_others(page):
    assert fail(4, name="é" * 3000, page=page).status_code == 200
    assert fail(1, name="é" * 3000, page=page).status_code == 429
