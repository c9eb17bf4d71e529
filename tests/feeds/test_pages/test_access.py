"""Nobody sees what is another's by guessing an address: every address is asked for by each role.

The addresses are those of the URL configuration, so one that is added without a rule fails here.
"""

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission, User
from django.core.exceptions import SuspiciousOperation
from django.db import OperationalError
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from deliveries.models import Attempt, Delivery, Destination
from feeds.models import Alias, Deed, Errand, Feed, Mapping, Row

pytestmark = pytest.mark.django_db

OPEN, SIGNED_IN, FEED, STAFF = "everybody", "who is signed in", "who may see the feed", "staff"
ADDS, KEEPS = "who may add destinations", "who looks after the destination"
RULES = {
    "healthz": OPEN, "readyz": OPEN, "login": OPEN, "logout": OPEN, "password_reset": OPEN,
    "password_reset_done": OPEN, "password_reset_confirm": OPEN, "password_reset_complete": OPEN,
    "password_change": SIGNED_IN, "password_change_done": SIGNED_IN,
    "feeds:home": SIGNED_IN, "feeds:list": SIGNED_IN, "feeds:upload": SIGNED_IN, "feeds:names": SIGNED_IN,
    "feeds:destinations": SIGNED_IN,
    # Mappings are everybody's: their names, documents and other names of columns, but no rows.
    "feeds:mappings": SIGNED_IN, "feeds:add_mapping": SIGNED_IN, "feeds:preview_mapping": SIGNED_IN,
    "feeds:mapping": SIGNED_IN, "feeds:remove_alias": SIGNED_IN,
    "feeds:feed": FEED, "feeds:live": FEED, "feeds:act": FEED, "feeds:correct": FEED,
    "feeds:confirm_columns": FEED, "feeds:choose_mapping": FEED, "feeds:retry": FEED,
    "feeds:give_up": FEED, "feeds:reasons": FEED,
    "feeds:rows": FEED, "feeds:row": FEED, "feeds:edit_row": FEED, "feeds:results": FEED,
    "feeds:results_xlsx": FEED,
    "feeds:add_destination": ADDS, "feeds:destination": KEEPS, "feeds:change_destination": KEEPS,
    "feeds:act_destination": KEEPS, "feeds:overview": STAFF, "feeds:retry_parked": STAFF,
}  # fmt: skip
ONLY_POSTED = {
    "logout", "feeds:act", "feeds:correct", "feeds:confirm_columns", "feeds:retry", "feeds:give_up",
    "feeds:edit_row", "feeds:act_destination", "feeds:preview_mapping", "feeds:remove_alias",
    "feeds:retry_parked",
}  # fmt: skip
OPEN_IN_THE_ADMIN = {"admin:login", "admin:logout"}

POLICY = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
ROLES = ("a stranger", "a loner", "an outsider", "a member", "a keeper", "the owner", "staff", "an admin")
SEES_THE_FEED = {"a member", "a keeper", "the owner", "staff", "an admin"}
IS_STAFF = {"staff", "an admin"}


def every_page(patterns=None, namespace="", admin=False):
    """(name with namespace, names of its arguments) of every address: those of the admin, or all others."""
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        if isinstance(pattern, URLResolver):
            if patterns is None and (pattern.namespace == "admin") is not admin:
                continue
            inner = f"{namespace}{pattern.namespace}:" if pattern.namespace else namespace
            yield from every_page(pattern.url_patterns, inner, admin)
        elif isinstance(pattern, URLPattern) and (patterns is not None or not admin):
            assert pattern.name or admin, f"An address without a name: {pattern}"
            if pattern.name:
                yield namespace + pattern.name, set(pattern.pattern.regex.groupindex)


def may(role, rule):
    return {
        OPEN: True,
        SIGNED_IN: role != "a stranger",
        FEED: role in SEES_THE_FEED,
        STAFF: role in IS_STAFF,
        ADDS: role in {"an outsider", "a keeper", *IS_STAFF},
        KEEPS: role in {"a keeper", *IS_STAFF},
    }[rule]


@pytest.fixture
def people(owner, other, admin, destination):
    """One of each role; the feed goes to a destination of a group."""
    group = Group.objects.create(name="shop people")
    Destination.objects.filter(id=destination.id).update(group=group)
    member = User.objects.create_user("mia")
    member.groups.add(group)
    keeper, loner = User.objects.create_user("kim"), User.objects.create_user("lon")
    keeper.groups.add(group)
    other.groups.add(Group.objects.create(name="others"))
    for person in (keeper, other, loner):  # who was given this, and has no group with the destination
        person.user_permissions.set(Permission.objects.filter(codename__endswith="_destination"))
    staff = User.objects.create_user("stan", is_staff=True)
    return dict(zip(ROLES, (None, loner, other, member, keeper, owner, staff, admin), strict=True))


@pytest.fixture(params=ROLES)
def role(request):
    return request.param


@pytest.fixture
def browser(people, role, as_):
    return as_(people[role])


def everything():
    """All that somebody who may not could have changed."""
    models = (Feed, Row, Deed, Errand, Delivery, Attempt, Destination, Mapping, Alias, LogEntry)
    return {model.__name__: list(model.objects.order_by("pk").values()) for model in models}


@pytest.fixture(params=["a page", "a part of a page"])
def headers(request):
    return {"HX-Request": "true"} if request.param == "a part of a page" else {}


def test_every_address_has_a_rule():
    assert {name for name, _ in every_page()} == set(RULES)


def test_every_address_is_answered_by_its_rule(browser, role, address, people, headers):
    before = everything()
    for name, arguments in every_page():
        rule, url = RULES[name], address(name, arguments)
        for ask in (browser.get, browser.post):
            if may(role, rule) and (ask == browser.post or name == "logout"):
                continue  # what they may do has tests of its own
            answer = ask(url, headers=headers)
            if may(role, rule):
                assert answer.status_code in (200, 302, 405, 503), name
                assert "/accounts/login/" not in answer.headers.get("Location", ""), name
            elif role == "a stranger":
                _asks_to_sign_in(answer, name, headers)
            else:
                _is_refused(answer, rule, name, headers)
    assert everything() == before


def test_what_a_button_sends_is_taken_by_post_alone(as_, admin, address):
    browser = as_(admin)
    taken_otherwise = {
        name: browser.get(address(name, arguments)).status_code
        for name, arguments in every_page()
        if name in ONLY_POSTED
    }
    assert taken_otherwise == dict.fromkeys(ONLY_POSTED, 405)


def _is_refused(answer, rule, name, headers):
    if (
        headers and rule in (FEED, KEEPS) and answer.status_code == 204
    ):  # the whole page is asked for, and tells it
        assert answer.headers["HX-Refresh"] == "true", name
        assert not answer.content, name
    else:
        assert answer.status_code in ({FEED: 404, KEEPS: 404, ADDS: 403, STAFF: 403}[rule], 405), name


def _asks_to_sign_in(answer, name, headers):
    if headers:
        assert (answer.status_code, answer.headers.get("HX-Retarget")) == (200, "#signed-out"), name
        assert answer.text.startswith('<p class="note warning" id="signed-out-note">'), name
    else:
        assert answer.status_code == 302, name
        assert answer.url.startswith(reverse("login")), name


def test_the_admin_is_open_to_staff_alone_and_its_lists_to_who_was_given_them(browser, role, delivering):
    values = {
        "app_label": "feeds",
        "object_id": str(delivering.id),
        "content_type_id": 1,
        "url": "x",
        "id": "1",
    }
    names, before = list(every_page(admin=True)), everything()
    assert len(names) > 50
    for name, arguments in names:
        if name in OPEN_IN_THE_ADMIN:
            continue
        answer = browser.get(reverse(name, kwargs={argument: values[argument] for argument in arguments}))
        if role == "an admin":
            assert answer.status_code in (200, 302, 403, 404), name
        elif role == "staff":
            may_open = name.startswith(("admin:index", "admin:password", "admin:jsi18n"))
            assert (answer.status_code == 200) is may_open, name
        else:
            assert answer.status_code == 302, name
            assert "/login/" in answer.url, name
    assert everything() == before


@pytest.mark.parametrize("role", ["a loner", "an outsider"], indirect=True)
def test_what_is_anothers_is_in_no_page_whatever_is_asked_for(browser, delivering, destination, address):
    words = "hidden-file", "hidden-cell", "hidden-column", "hidden-shop", "hidden-answer"
    Destination.objects.filter(id=destination.id).update(
        name="hidden-shop", url="https://hidden-shop.example"
    )
    Feed.objects.filter(id=delivering.id).update(name="hidden-file.csv", columns=["hidden-column", "b", "c"])
    Row.objects.filter(feed_id=delivering.id).update(cells='["hidden-cell","",""]', error="hidden-answer")
    guessed = {
        "feed": str(delivering.id), "q": "hidden", "before": "f" * 32, "status": "delivering",
        "destination": str(destination.id), "mapping": "", "name": "guess", "document": "{}",
    }  # fmt: skip
    for name, arguments in every_page():
        if name == "logout":
            continue
        for ask in (browser.get, browser.post):
            for said in (guessed, {"feed": guessed["feed"]}, {}):
                text = b"".join(ask(address(name, arguments), said)).decode()
                assert not [word for word in words if word in text.replace('value="hidden"', "")], name


def test_no_form_is_taken_from_another_site(admin, address):
    """Each POST without the token that only our own pages hold."""
    browser = Client(enforce_csrf_checks=True, raise_request_exception=False)
    browser.force_login(admin)
    before = everything()
    for name, arguments in every_page():
        answer = browser.post(address(name, arguments))
        assert answer.status_code in (403, 405) or name in ("healthz", "readyz"), name
        if answer.status_code == 403:
            assert "This page was open for too long" in answer.text, name
    assert everything() == before


def test_every_answer_forbids_inline_scripts_other_hosts_and_frames(browser, address):
    for name, arguments in every_page():
        for ask in (browser.get, browser.post):
            _is_guarded(ask(address(name, arguments)), name)
    for url in (
        "/admin/",
        "/admin/feeds/feed/",
        "/admin/auth/user/",
        "/nothing/",
        "/feeds/%00/",
        "/static/x",
    ):
        _is_guarded(browser.get(url), url)


def _is_guarded(answer, name):
    assert answer.headers["Content-Security-Policy"] == POLICY, name
    assert answer.headers["X-Content-Type-Options"] == "nosniff", name
    assert answer.headers["X-Frame-Options"] == "DENY", name
    assert answer.headers["Referrer-Policy"] == "same-origin", name


def test_cookies_are_kept_from_scripts_and_from_other_sites(owner):
    browser = Client()
    browser.get(reverse("login"))
    browser.post(reverse("login"), {"username": "olga", "password": "a-long-password"})
    session = browser.cookies["sessionid"]
    assert (session["httponly"], session["samesite"]) == (True, "Lax")
    assert browser.cookies["csrftoken"]["samesite"] == "Lax"
    assert not session["secure"], "Over http, nobody could sign in."


@pytest.mark.parametrize("name", ["logout", "admin:logout"])
def test_a_link_signs_nobody_out(as_, admin, name):
    browser = as_(admin)
    assert browser.get(reverse(name)).status_code == 405
    assert browser.get(reverse("feeds:list")).status_code == 200
    browser.post(reverse(name))
    assert browser.get(reverse("feeds:list")).status_code == 302


ERRORS = {
    400: SuspiciousOperation("x"),
    500: ValueError("x"),
    503: OperationalError("x"),
    507: OSError(28, "x"),
}


@pytest.mark.parametrize("status", ERRORS)
def test_a_page_that_tells_of_an_error_is_guarded_too(as_, owner, monkeypatch, status):
    def fail(*_, **__):
        raise ERRORS[status]

    monkeypatch.setattr("feeds.queries.feeds_page", fail)
    answer = as_(owner).get(reverse("feeds:list"))
    assert answer.status_code == status
    _is_guarded(answer, status)


@pytest.mark.parametrize(
    "next_", ["https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)"]
)
def test_a_sign_in_leads_to_no_other_site(owner, next_):
    answer = Client().post(
        reverse("login"), {"username": "olga", "password": "a-long-password", "next": next_}
    )
    assert answer.headers["Location"] == reverse("feeds:list")


def test_a_feed_of_another_is_not_in_the_list(as_, owner, other, admin, delivering):
    url = reverse("feeds:list")
    assert delivering.name in as_(owner).get(url).text
    assert delivering.name not in as_(other).get(url).text
    assert delivering.name in as_(admin).get(url).text


def test_no_page_has_inline_scripts_or_styles(as_, admin, address):
    browser = as_(admin)
    for name, arguments in every_page():
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


SENDS = {
    "feeds:retry": {}, "feeds:edit_row": {"revision": "1", "cell-0": "9"}, "feeds:correct": {},
    "feeds:confirm_columns": {"column": "sku", "found": "sku"}, "feeds:choose_mapping": {"mapping": ""},
}  # fmt: skip


@pytest.mark.parametrize("role", ["the owner"], indirect=True)
def test_who_has_left_the_group_sees_their_feed_and_sends_nothing_more_of_it(
    browser, people, delivering, address
):
    Delivery.objects.update(status="failed")
    page = reverse("feeds:feed", args=[delivering.id])
    pressed = [(address(name, arguments), SENDS[name]) for name, arguments in every_page() if name in SENDS]
    pressed += [
        (reverse("feeds:act", args=[delivering.id, do]), {}) for do in ("send", "try", "rest", "resume")
    ]
    for url, said in pressed:
        before, answer = everything(), browser.post(url, said, follow=True)
        assert answer.redirect_chain[-1][0] == page, url
        assert "You may not send to shop any more, so nothing was done." in answer.text, url
        assert everything() == before, url
    assert (
        "The feed is paused." in browser.post(address("feeds:act", {"feed_id", "action"}), follow=True).text
    )

    people["the owner"].groups.set(Group.objects.filter(name="shop people"))
    assert "The feed was resumed." in browser.post(pressed[-1][0], follow=True).text


def test_a_feed_deleted_meanwhile_gives_a_plain_page(as_, owner, delivering, address):
    browser = as_(owner)
    pages = [(name, address(name, arguments)) for name, arguments in every_page() if RULES[name] == FEED]
    Feed.objects.filter(id=delivering.id).delete()
    for name, url in pages:
        for ask in (browser.get, browser.post):
            answer = ask(url)
            assert answer.status_code in (404, 405), name
            assert answer.status_code == 405 or "There is nothing here" in answer.text, name
