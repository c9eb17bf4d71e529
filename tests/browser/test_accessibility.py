"""Every page keeps the rules of WCAG 2, levels A and AA, and fits its window: desktop and phone, light and
dark."""

from collections.abc import Callable, Iterable, Iterator

import pytest
from playwright.sync_api import Page

from tests.browser import tour, windows, world
from tests.browser.accessibility import violations
from tests.browser.watching import Watch, overflow
from tests.processes import Stack
from tests.third_party import RunningThirdParty

# What a theme changes is colours; the other rules are looked at once for each size.
Visit = Callable[..., None]
COLOURS = ("color-contrast", "link-in-text-block")


@pytest.fixture
def visit(open_page: Callable[..., Page], watches: list[Watch]) -> Visit:
    """Looks at pages one after the other; those of anna, unless they are for nobody."""
    page = open_page(reduced_motion="reduce")
    watches[0].expect(404)

    def visit(stops: Iterable[tour.Stop], *, signed_in: bool = True) -> None:
        if signed_in:
            windows.sign_in(page, "anna")
        found = [f"{stop.name}, {problem}" for stop in stops for problem in _problems(page, stop)]
        assert not found, "\n".join(found)

    return visit


def _problems(page: Page, stop: tour.Stop) -> Iterator[str]:
    stop.visit(page)
    page.evaluate("document.querySelectorAll('details').forEach((details) => { details.open = true })")
    for size, viewport in (("desktop", windows.DESKTOP), ("phone", windows.PHONE)):
        page.set_viewport_size(viewport)
        page.emulate_media(color_scheme="light")
        yield from (f"{size}, light: {line}" for line in violations(page))
        page.emulate_media(color_scheme="dark")
        yield from (f"{size}, dark: {line}" for line in violations(page, only=COLOURS))
        if wider := overflow(page):
            yield f"{size}: {wider} pixels wider than the window"


def test_pages_before_the_first_feed(visit: Visit) -> None:
    visit(tour.EMPTY)


def test_pages_for_those_who_are_not_signed_in(visit: Visit) -> None:
    visit(tour.SIGNED_OUT, signed_in=False)


def test_pages_of_a_busy_rowpost(visit: Visit, stack: Stack, third_party: RunningThirdParty) -> None:
    busy = world.build(stack, third_party)
    world.park_mails(stack)
    visit((*tour.stops(busy), *tour.TROUBLE))
