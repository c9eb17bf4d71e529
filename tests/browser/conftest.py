"""A real Rowpost, a third party, and Chromium."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.browser import windows, world
from tests.browser.watching import Watch
from tests.processes import Stack

ALL_OF_IT = ("web", "worker", "relay", "beat")
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.timeout(300))


@pytest.fixture(scope="module")
def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """All processes, or the module's PROCESSES, with anna, an admin, and olga, who uploads."""
    with Stack(tmp_path_factory.mktemp("stack")) as stack:
        stack.start(*getattr(request.module, "PROCESSES", ALL_OF_IT))
        world.add_people(stack)
        yield stack


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with windows.running_chromium() as browser:
        yield browser


@pytest.fixture
def watches() -> Iterator[list[Watch]]:
    """Whatever any page of a test did wrong fails it."""
    watches: list[Watch] = []
    yield watches
    for watch in watches:
        watch.assert_nothing_wrong()


@pytest.fixture
def open_page(browser: Browser, stack: Stack, watches: list[Watch]) -> Iterator[Callable[..., Page]]:
    """Opens a page in a window of its own."""
    opened = []

    def open_page(**options: Any) -> Page:
        window = windows.new_window(browser, stack.address, **options)
        opened.append(window)
        watches.append(Watch(window, stack.address))
        return window.new_page()

    yield open_page
    for window in opened:
        window.close()


@pytest.fixture
def page(open_page: Callable[..., Page]) -> Page:
    return open_page()
