"""The main way on a phone, and by keyboard alone."""

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.feeds import ledger, write_feed
from tests.browser.watching import overflow
from tests.browser.windows import PHONE, sign_in
from tests.browser.world import PASSWORD
from tests.processes import Stack
from tests.third_party import RunningThirdParty


@pytest.fixture(scope="module", autouse=True)
def shop(stack: Stack, third_party: RunningThirdParty) -> None:
    stack.add_destination("shop", third_party.url("/ok"))


def test_a_feed_is_sent_from_a_phone(open_page: Callable[..., Page], tmp_path: Path) -> None:
    page = open_page(viewport=PHONE, has_touch=True, is_mobile=True, device_scale_factor=3)
    sign_in(page, "olga")
    page.get_by_role("link", name=re.compile("^Upload ")).tap()
    page.get_by_label("CSV files").set_input_files(write_feed(tmp_path / "phone.csv", 5))
    page.get_by_role("button", name="Upload").tap()
    expect(page.get_by_text("5 rows will be sent to shop")).to_be_visible()
    assert overflow(page) == 0
    page.get_by_role("button", name="Send").tap()
    expect(page.get_by_text("Done. Every row has arrived.")).to_be_visible()
    expect(ledger(page, "Arrived")).to_have_text("5")
    assert overflow(page) == 0
    page.get_by_role("link", name="Look at the rows here").tap()
    page.get_by_role("link", name="3", exact=True).tap()
    expect(page.get_by_role("heading", name="Row 3")).to_be_visible()
    assert overflow(page) == 0


def test_a_feed_is_sent_by_keyboard_alone(page: Page, tmp_path: Path) -> None:
    # Said long before it is needed: the dialogue must not open before the browser knows.
    file = write_feed(tmp_path / "keys.csv", 3)
    page.on("filechooser", lambda dialogue: dialogue.set_files(file))
    page.goto("/")
    expect(page.get_by_label("Username")).to_be_focused()
    type_on(page, "olga", "Tab", PASSWORD, "Enter")
    expect(page.get_by_role("heading", name="Feeds", level=1)).to_be_visible()

    # The first Tab offers to skip the navigation.
    type_on(page, "Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    type_on(page, "Enter")
    expect(page.locator("main")).to_be_focused()
    type_on(page, "Tab")
    expect(page.get_by_role("link", name=re.compile("^Upload "))).to_be_focused()
    type_on(page, "Enter")

    # A file is chosen in the system's own dialogue, which opens from the keyboard.
    page.wait_for_url("**/feeds/new/")
    tab_to(page, "input[type=file]")
    type_on(page, "Enter")
    expect(page.locator("[data-file-names]")).to_have_text("keys.csv")
    tab_to(page, "#upload button.primary")
    type_on(page, "Enter")

    expect(page.get_by_text("3 rows will be sent to shop")).to_be_visible()
    tab_to(page, "#do-send")
    type_on(page, "Enter")
    expect(page.get_by_text("Done. Every row has arrived.")).to_be_visible()


def test_a_newcomer_sees_a_sample_arrive_within_two_minutes(
    page: Page, stack: Stack, third_party: RunningThirdParty
) -> None:
    stack.add_destination("demo", third_party.url("/demo/products"), retry_first=5.0)
    stack.call("tests.browser.inside.add_person", "nina", PASSWORD)
    began = time.monotonic()
    sign_in(page, "nina")
    page.get_by_role("link", name="Upload your first feed").click()
    page.get_by_label("Destination").select_option("demo")
    page.get_by_role("button", name="Use a sample of 200 products").click()
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_text("Done. 195 of 200 rows have arrived.")).to_be_visible()
    assert time.monotonic() - began < 120


def type_on(page: Page, *keys: str) -> None:
    """Presses keys, and writes what is the name of none."""
    for key in keys:
        if key in ("Tab", "Enter"):
            page.keyboard.press(key)
        else:
            page.keyboard.type(key)


def tab_to(page: Page, selector: str) -> None:
    """Tab after Tab until it is there; what has the focus is seen to have it."""
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("(selector) => document.activeElement.matches(selector)", selector):
            assert page.evaluate("document.activeElement.matches(':focus-visible')")
            return
    raise AssertionError(f"{selector} cannot be reached by keyboard.")
