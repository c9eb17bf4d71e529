"""Windows of a browser onto a stack."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, expect, sync_playwright

from tests.browser import chromium
from tests.browser.world import PASSWORD

PATIENCE = 60_000  # milliseconds: for a state to come on a machine that is busy with something else
DESKTOP: ViewportSize = {"width": 1280, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}


@contextmanager
def running_chromium() -> Iterator[Browser]:
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium.path(), args=chromium.ARGUMENTS)
        yield browser
        browser.close()


def new_window(browser: Browser, address: str, **options: Any) -> BrowserContext:
    """With cookies of its own; options are those of Playwright's contexts."""
    options = {"viewport": DESKTOP, "locale": "en-GB", "timezone_id": "Europe/Berlin"} | options
    window = browser.new_context(base_url=address, **options)
    window.set_default_timeout(PATIENCE)
    return window


def sign_in(page: Page, name: str) -> None:
    page.goto("/")
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Feeds", level=1)).to_be_visible()
