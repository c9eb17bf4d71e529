"""A real Rowpost, a third party, and Chromium."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser import chromium, people
from tests.browser.watching import Watch
from tests.processes import Stack
from tests.third_party import RunningThirdParty

PATIENCE = 60.0  # seconds: for a state to come on a machine that is busy with something else
ALL_OF_IT = ("web", "worker", "relay", "beat")
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.timeout(300))


@pytest.fixture(scope="module")
def third_party() -> Iterator[RunningThirdParty]:
    with RunningThirdParty() as third_party:
        yield third_party


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """All processes, with anna, an admin, and olga, who uploads."""
    with Stack(tmp_path_factory.mktemp("stack")) as stack:
        stack.start(*ALL_OF_IT)
        stack.call("tests.browser.people.add", "anna", admin=True)
        stack.call("tests.browser.people.add", "olga")
        yield stack


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=PATIENCE * 1000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium.path(), args=chromium.ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def watches() -> Iterator[list[Watch]]:
    """Whatever any page of a test did wrong fails it."""
    watches: list[Watch] = []
    yield watches
    for watch in watches:
        watch.assert_nothing_wrong()


@pytest.fixture
def open_page(browser: Browser, stack: Stack, watches: list[Watch]) -> Iterator[Callable[..., Page]]:
    """Opens a window of its own, with its own cookies; options are those of Playwright's contexts."""
    contexts = []

    def open_page(**options: Any) -> Page:
        context = browser.new_context(base_url=stack.address, locale="en-GB", **options)
        context.set_default_timeout(PATIENCE * 1000)
        contexts.append(context)
        watches.append(Watch(context, stack.address))
        return context.new_page()

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture
def page(open_page: Callable[..., Page]) -> Page:
    return open_page(viewport={"width": 1280, "height": 900})


@pytest.fixture
def sign_in() -> Callable[[Page, str], None]:
    def sign_in(page: Page, name: str) -> None:
        page.goto("/")
        page.get_by_label("Username").fill(name)
        page.get_by_label("Password").fill(people.PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("heading", name="Feeds", level=1)).to_be_visible()

    return sign_in
