"""URLs on pages: what lets us in is not shown, and all else is."""

import pytest

from deliveries.authentication import HIDDEN
from deliveries.blanking import blanks, secrets_of
from deliveries.models import Destination
from deliveries.shown_urls import entered_url, shown_path, shown_url

SHOP = "https://shop.example/products"


@pytest.mark.parametrize(
    "name",
    [
        "api_key",
        "apiKey",
        "X-Api-Key",
        "token",
        "access_token",
        "key",
        "code",
        "sig",
        "Password",
        "api%5Fkey",
    ],
)
def test_what_lets_us_in_is_not_shown(name):
    assert shown_url(f"{SHOP}?v=2&{name}=s3cret&shop=main") == f"{SHOP}?v=2&{name}={HIDDEN}&shop=main"


@pytest.mark.parametrize(("before", "after"), [("?v=2;", ";v=3"), ("?", "#part")])
def test_what_lets_us_in_ends_where_its_parameter_does(before, after):
    assert shown_url(f"{SHOP}{before}token=s3cret{after}") == f"{SHOP}{before}token={HIDDEN}{after}"


@pytest.mark.parametrize(
    "query", ["", "?v=2", "?tokens=5", "?api_key", "?api_key=", "?monkey=ape", "?keyword=chair"]
)
def test_all_else_is_shown(query):
    assert shown_url(SHOP + query) == SHOP + query


def test_a_row_may_be_named_by_its_key_or_code_and_shows_no_token():
    assert shown_path("/x?key=A-001&code=55&token=s3cret") == f"/x?key=A-001&code=55&token={HIDDEN}"


def test_dots_stand_for_what_is_stored():
    stored = f"{SHOP}?api_key=s3cret&v=2"
    assert entered_url(shown_url(stored), stored) == stored
    assert (
        entered_url(f"https://new.example/?v=3&api_key={HIDDEN}", stored)
        == "https://new.example/?v=3&api_key=s3cret"
    )
    assert entered_url(f"{SHOP}?api_key=other", stored) == f"{SHOP}?api_key=other"
    with pytest.raises(LookupError, match="token"):
        entered_url(f"{SHOP}?token={HIDDEN}", stored)


def test_of_two_parameters_of_one_name_each_keeps_its_own_value():
    stored = f"{SHOP}?key=first&v=2&key=second"
    assert entered_url(shown_url(stored), stored) == stored
    assert entered_url(f"{SHOP}?key=other&v=2&key={HIDDEN}", stored) == f"{SHOP}?key=other&v=2&key=second"
    with pytest.raises(LookupError, match="key"):  # nobody can tell which of them is left
        entered_url(f"{SHOP}?v=2&key={HIDDEN}", stored)


@pytest.mark.parametrize("slash", ["%2F", "%2f"])
def test_a_third_party_that_repeats_it_is_blanked_in_either_form(slash):
    secrets = secrets_of(Destination(url=f"{SHOP}?api_key=s3cret{slash}key&v=2", headers={}))
    blanked = blanks(secrets).text(f"No access with s3cret/key (s3cret{slash}key), v=2", 8192)
    assert blanked == f"No access with {HIDDEN} ({HIDDEN}), v=2"
