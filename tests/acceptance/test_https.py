"""Rowpost behind a proxy that speaks TLS: what a BASE_URL with https changes."""

from collections.abc import Iterator

import pytest
import requests

from tests.acceptance.visitor import PASSWORD, TOKEN, add_person
from tests.processes import Stack

pytestmark = pytest.mark.processes

HOST = "rowpost.example"
# As a proxy on the same machine passes them on; one that leaves X-Forwarded-Proto out is told the same.
PASSED_ON = {"Host": HOST, "Origin": f"https://{HOST}"}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A web alone, which was told nothing but where people reach it."""
    with Stack(tmp_path_factory.mktemp("stack"), BASE_URL=f"https://{HOST}") as stack:
        stack.start("web")
        add_person(stack, "olga")
        yield stack


def sign_in(stack: Stack, **headers: str) -> requests.Response:
    """By hand: over http a browser would keep back the cookies that this is about."""
    url = f"{stack.address}/accounts/login/"
    page = requests.get(url, headers={"Host": HOST}, timeout=20)
    found = TOKEN.search(page.text)
    assert found, page.text
    said = {"username": "olga", "password": PASSWORD, "csrfmiddlewaretoken": found[1]}
    cookie = f"csrftoken={page.cookies['csrftoken']}"
    passed_on = PASSED_ON | headers | {"Cookie": cookie}
    return requests.post(url, said, headers=passed_on, timeout=20, allow_redirects=False)


@pytest.mark.parametrize("headers", [{}, {"X-Forwarded-Proto": "https", "Referer": f"https://{HOST}/"}])
def test_people_sign_in_and_their_cookies_never_leave_tls(stack: Stack, headers: dict[str, str]) -> None:
    answer = sign_in(stack, **headers)
    assert answer.status_code == 302, answer.text
    cookies = {each.name: each for each in answer.cookies}
    assert {name: each.secure for name, each in cookies.items()} == {"sessionid": True, "csrftoken": True}
    session = cookies["sessionid"]
    assert session.has_nonstandard_attr("HttpOnly")
    assert session.get_nonstandard_attr("SameSite") == "Lax"


def test_a_form_of_another_site_is_refused(stack: Stack) -> None:
    answer = sign_in(stack, Origin="https://evil.example")
    assert answer.status_code == 403
    assert "This page was open for too long" in answer.text


def test_an_address_that_nobody_was_told_is_refused_with_a_guarded_page(stack: Stack) -> None:
    answer = requests.get(stack.address, headers={"Host": "evil.example"}, timeout=20)
    assert answer.status_code == 400
    assert "This request cannot be read" in answer.text
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_base_url_without_a_host_stops_the_start(stack: Stack) -> None:
    ran = stack.managing("check", env={"BASE_URL": "https:///feeds"}).finish()
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == (
        "Rowpost cannot start: BASE_URL must name a host, as https://rowpost.example does, "
        "not be 'https:///feeds'.\n"
    )
