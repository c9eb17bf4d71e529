"""How a destination lets us in: what may be entered, and the header that it becomes."""

import pytest

from deliveries.authentication import fixed_headers, problem_with

OAUTH2 = {"token_url": "https://login.shop.example/token", "client_id": "us", "client_secret": "secret"}


@pytest.mark.parametrize(
    ("auth", "credentials", "headers"),
    [
        ("none", None, {}),
        ("bearer", {"token": "abc"}, {"Authorization": "Bearer abc"}),
        ("basic", {"user": "anna", "password": "a:b"}, {"Authorization": "Basic YW5uYTphOmI="}),
        ("basic", {"user": "jörg", "password": ""}, {"Authorization": "Basic asO2cmc6"}),
        ("key", {"key_header": "X-API-Key", "key": "abc"}, {"X-API-Key": "abc"}),
        ("oauth2", OAUTH2, {}),
    ],
)
def test_each_choice_is_a_header_apart_from_the_token_that_must_be_fetched(auth, credentials, headers):
    assert fixed_headers(auth, credentials) == headers
    assert problem_with(auth, credentials or {}, ["X-Shop"]) == ("", "")


@pytest.mark.parametrize(
    ("auth", "credentials", "place", "says"),
    [
        ("bearer", {}, "token", "Enter the token."),
        ("bearer", {"token": "a\r\nHost: b"}, "token", "ASCII"),
        ("bearer", {"token": "grün"}, "token", "ASCII"),
        ("basic", {"user": "", "password": "x"}, "user", "Enter the user name."),
        ("basic", {"user": "a:b"}, "user", "colon"),
        ("key", {"key_header": "X Key", "key": "abc"}, "key_header", "HTTP does not allow"),
        ("key", {"key_header": "Rowpost-Row", "key": "abc"}, "key_header", "sets Rowpost-Row itself"),
        ("oauth2", OAUTH2 | {"token_url": "ftp://x"}, "token_url", "The token URL must start with http"),
        ("oauth2", OAUTH2 | {"client_secret": ""}, "client_secret", "Enter the client secret."),
    ],
)
def test_what_could_not_work_is_told_at_its_field(auth, credentials, place, says):
    found = problem_with(auth, credentials, [])
    assert found[0] == place
    assert says in found[1]


@pytest.mark.parametrize(
    ("auth", "credentials", "line"),
    [
        ("bearer", {"token": "abc"}, "authorization"),
        ("oauth2", OAUTH2, "Authorization"),
        ("key", {"key_header": "X-API-Key", "key": "abc"}, "x-api-key"),
    ],
)
def test_a_header_line_that_collides_is_refused(auth, credentials, line):
    place, problem = problem_with(auth, credentials, ["X-Shop", line])
    assert place == "headers"
    assert problem.startswith(f"{line} is set by the authentication")
