"""A session that ends while a page is open: it is told in place, and nothing that was typed is lost."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.feeds import upload, write_feed
from tests.browser.windows import sign_in
from tests.browser.world import PASSWORD
from tests.processes import Stack
from tests.third_party import RunningThirdParty

SIGNED_OUT = "You have been signed out."


@pytest.fixture(scope="module", autouse=True)
def shop(stack: Stack, third_party: RunningThirdParty) -> None:
    stack.add_destination("shop", third_party.url("/ok"), rate=2.0)


def end_session(stack: Stack) -> None:
    stack.sql("DELETE FROM django_session")


def sign_in_elsewhere(page: Page) -> None:
    """By the link that the page offers, in another tab."""
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Sign in in another tab").click()
    enter(opened.value)
    expect(opened.value.get_by_role("heading", name="Feeds", level=1)).to_be_visible()
    opened.value.close()


def enter(page: Page) -> None:
    page.get_by_label("Username").fill("olga")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def begin_a_mapping(page: Page) -> None:
    sign_in(page, "olga")
    page.goto("/mappings/new/?as=json")
    page.get_by_label("Name", exact=True).first.fill("Prices")


def test_a_mapping_is_typed_on_and_saved_after_a_sign_in_in_another_tab(page: Page, stack: Stack) -> None:
    # Given
    begin_a_mapping(page)
    path = page.get_by_label("Path after the URL")
    path.fill("/pro")

    # When
    end_session(stack)
    path.press("End")
    page.keyboard.type("ducts")

    # Then
    expect(page.get_by_text(SIGNED_OUT)).to_be_visible()
    expect(path).to_have_value("/products")
    expect(page.get_by_role("region", name="What the first rows become")).to_be_visible()
    expect(page.get_by_role("heading", name="Sign in")).to_be_hidden()

    # And when
    sign_in_elsewhere(page)
    path.press("End")
    page.keyboard.type("/v2")
    expect(page.get_by_text(SIGNED_OUT)).to_be_hidden()
    page.get_by_role("button", name="Save").click()

    # Then
    expect(page.get_by_text("Stored Prices, version 1.")).to_be_visible()
    expect(path).to_have_value("/products/v2")


@pytest.mark.parametrize("script", [True, False])
def test_a_mapping_that_is_saved_signed_out_is_there_again_after_the_sign_in(
    open_page: Callable[..., Page], stack: Stack, script: bool
) -> None:
    page = open_page(java_script_enabled=script)
    begin_a_mapping(page)
    page.get_by_label("Name", exact=True).first.fill(f"Stock {script}")
    page.get_by_label("Path after the URL").fill("/stock")
    end_session(stack)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("What you typed is there again once you have signed in.")).to_be_visible()
    enter(page)
    expect(page.get_by_text("This is what you had typed. Nothing of it is stored yet.")).to_be_visible()
    expect(page.get_by_label("Path after the URL")).to_have_value("/stock")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text(f"Stored Stock {script}, version 1.")).to_be_visible()


def test_a_feeds_page_says_so_once_and_goes_on_after_the_sign_in(
    page: Page, stack: Stack, tmp_path: Path
) -> None:
    sign_in(page, "olga")
    upload(page, write_feed(tmp_path / "night.csv", 60))
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    end_session(stack)
    expect(page.get_by_text(SIGNED_OUT)).to_be_visible()
    page.evaluate("document.getElementById('signed-out-note').dataset.seen = 'yes'")
    with page.expect_response("**/live/**"):
        pass
    expect(page.locator("#signed-out-note[data-seen]")).to_have_count(1)
    sign_in_elsewhere(page)
    expect(page.get_by_text(SIGNED_OUT)).to_be_hidden()
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Resume")).to_be_visible()


def test_a_message_stays_while_the_feed_comes_to_other_stages_until_it_is_closed(
    page: Page, stack: Stack, tmp_path: Path
) -> None:
    sign_in(page, "olga")
    upload(page, write_feed(tmp_path / "told.csv", 4))
    page.get_by_role("button", name="Send").click()
    told = page.get_by_text("Sending has begun.")
    expect(told).to_be_visible()
    expect(page.get_by_text("Done. Every row has arrived.")).to_be_visible()
    expect(page.get_by_role("heading", name="told.csv completed")).to_be_visible()
    expect(told).to_be_visible()
    page.get_by_role("button", name="Close this message").click()
    expect(told).to_be_hidden()


def test_without_javascript_a_message_is_given_time_to_be_read(
    open_page: Callable[..., Page], tmp_path: Path
) -> None:
    page = open_page(java_script_enabled=False)
    sign_in(page, "olga")
    page.goto("/feeds/new/")
    page.get_by_label("CSV files").set_input_files(write_feed(tmp_path / "plain.csv", 4))
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_role("heading", name="Ready to send")).to_be_visible()
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_text("Sending has begun.")).to_be_visible()
    expect(page.locator('noscript meta[http-equiv="refresh"]')).to_have_attribute("content", "10")
    expect(page.get_by_role("button", name="Close this message")).to_be_hidden()
    page.get_by_role("link", name="Reload now").click()
    expect(page.get_by_text("Done. Every row has arrived.")).to_be_visible()
