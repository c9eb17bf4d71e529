"""Which settings were changed is told by name, and never by value."""

from deliveries.changes import changed_settings
from deliveries.models import Destination


def destination(**fields):
    return Destination(**{"name": "shop", "url": "https://shop.example"} | fields)


def test_what_is_the_same_is_not_told():
    assert changed_settings(destination(rate=5), destination(rate=5.0)) == []


def test_plain_settings_are_told_in_words():
    changed = destination(rate=4.0, max_attempts=3, url="https://other.example", auth="none", group_id=7)
    assert changed_settings(destination(), changed) == ["URL", "rate", "max attempts", "group"]


def test_headers_and_credentials_are_told_each_by_its_name():
    before = destination(
        headers={"X-Old": "a-secret", "X-Same": "s", "X-Key": "a-secret"},
        auth="basic",
        credentials={"user": "anna", "password": "a-secret"},
    )
    after = destination(
        headers={"X-Key": "b-secret", "X-Same": "s", "X-New": "b-secret"},
        auth="bearer",
        credentials={"token": "b-secret"},
        signing_secret="whsec_b-secret",
    )
    names = changed_settings(before, after)
    assert names == [
        "authentication", "signing secret", "header X-Old", "header X-Key", "header X-New", "user name",
        "password", "token",
    ]  # fmt: skip
    assert "secret" not in " ".join(names).replace("signing secret", "")


def test_every_setting_that_a_person_can_enter_is_compared():
    from deliveries.changes import SETTINGS
    from deliveries.forms import STORED

    assert {*SETTINGS, "group", "headers"} - {"group_id"} == set(STORED)
