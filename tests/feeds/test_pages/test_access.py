"""Nobody sees what is another's by guessing an address: every page is asked for by each role."""

import pytest
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from feeds.models import Feed

pytestmark = pytest.mark.django_db

OPEN = {
    "healthz", "readyz", "login", "logout", "password_reset", "password_reset_done",
    "password_reset_confirm", "password_reset_complete",
}  # fmt: skip


def every_page(patterns=None, namespace=""):
    """(name with namespace, names of its arguments) of all that is not Django's admin."""
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        if isinstance(pattern, URLResolver):
            if pattern.namespace != "admin":
                inner = f"{namespace}{pattern.namespace}:" if pattern.namespace else namespace
                yield from every_page(pattern.url_patterns, inner)
        elif isinstance(pattern, URLPattern) and pattern.name:
            yield namespace + pattern.name, set(pattern.pattern.converters)


@pytest.fixture
def address(delivering, destination):
    """The address of a page, its arguments filled with what belongs to the owner."""
    values = {
        "feed_id": delivering.id, "action": "pause", "number": 1, "kind": "failed", "uidb64": "x",
        "token": "y",
        "destination_id": destination.id, "alias_id": 1, "name": "none", "group": "0",
    }  # fmt: skip

    def address(name, arguments):
        return reverse(name, kwargs={argument: values[argument] for argument in arguments})

    return address


def test_a_stranger_is_sent_to_the_login_from_every_page(as_, address):
    browser = as_(None)
    for name, arguments in every_page():
        for method in (browser.get, browser.post):
            answer = method(address(name, arguments))
            if name in OPEN:
                assert answer.status_code in (200, 302, 405, 503), name
            else:
                assert answer.status_code == 302, name
                assert answer.url.startswith(reverse("login")), name


def test_somebody_elses_feed_is_not_there(as_, other, delivering, address):
    browser = as_(other)
    pages = [(name, arguments) for name, arguments in every_page() if "feed_id" in arguments]
    assert pages
    for name, arguments in pages:
        for method in (browser.get, browser.post):
            assert method(address(name, arguments)).status_code in (404, 405), name
    delivering.refresh_from_db()
    assert delivering.status == "delivering"


def test_a_feed_of_another_is_not_in_the_list(as_, owner, other, admin, delivering):
    url = reverse("feeds:list")
    assert delivering.name in as_(owner).get(url).text
    assert delivering.name not in as_(other).get(url).text
    assert delivering.name in as_(admin).get(url).text


def test_owner_and_admin_see_every_page_of_a_feed(as_, owner, admin, address):
    for browser in (as_(owner), as_(admin)):
        for name, arguments in every_page():
            if "feed_id" in arguments and "action" not in arguments and "group" not in arguments:
                answer = browser.get(address(name, arguments))
                assert answer.status_code in (200, 405), name


def test_an_open_page_of_a_person_who_was_signed_out_is_reloaded_whole(as_, delivering):
    answer = as_(None).get(reverse("feeds:live", args=[delivering.id]), headers={"HX-Request": "true"})
    assert answer.headers["HX-Refresh"] == "true"


def test_every_page_forbids_inline_scripts_and_other_hosts(as_, owner, delivering):
    for url in (reverse("feeds:list"), reverse("feeds:feed", args=[delivering.id]), "/nothing/"):
        assert "default-src 'self'" in as_(owner).get(url).headers["Content-Security-Policy"]


def test_no_page_has_inline_scripts_or_styles(as_, admin, address):
    browser = as_(admin)
    for name, arguments in every_page():
        if {"kind", "name"} & arguments:
            continue
        answer = browser.get(address(name, arguments))
        if answer.status_code == 200 and "html" in answer.headers["Content-Type"]:
            assert " style=" not in answer.text, name
            assert "<style" not in answer.text, name
            assert "onclick" not in answer.text, name
            assert "<script>" not in answer.text, name


def test_health_pages_need_no_login(as_, db):
    browser = as_(None)
    assert browser.get("/healthz").json() == {"status": "ok"}
    assert browser.get("/readyz").status_code == 503


def test_a_feed_deleted_meanwhile_gives_a_plain_page(as_, owner, delivering):
    browser = as_(owner)
    Feed.objects.filter(id=delivering.id).delete()
    for name in ("feeds:feed", "feeds:live", "feeds:rows"):
        answer = browser.get(reverse(name, args=[delivering.id]))
        assert answer.status_code == 404
        assert "There is nothing here" in answer.text
