"""`make screenshots`: every page of a running Rowpost with sample data, desktop and phone, light and dark.

All go to var/screenshots; those that the README and the documentation show also to docs/screenshots.
"""

import shutil
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from playwright.sync_api import Browser, Page

from tests.acceptance.stores import ROOT
from tests.browser import tour, windows, world
from tests.browser.watching import overflow
from tests.processes import Stack
from tests.third_party import RunningThirdParty

TO = ROOT / "var" / "screenshots"
SHOWN = ROOT / "docs" / "screenshots"
BEST = {
    "feed": "feed-delivering-desktop-light",
    "overview": "overview-desktop-light",
    "row": "row-arrived-desktop-light",
    "phone": "feed-completed-phone-dark",
}
SIZES = {"desktop": windows.DESKTOP, "phone": windows.PHONE}


class Camera:
    """Windows of each size and theme."""

    def __init__(self, browser: Browser, address: str) -> None:
        self._pages: dict[str, Page] = {}
        for size, viewport in SIZES.items():
            for theme in ("light", "dark"):
                window = windows.new_window(
                    browser, address, viewport=viewport, color_scheme=theme, reduced_motion="reduce"
                )
                self._pages[f"{size}-{theme}"] = window.new_page()

    def sign_in(self, name: str) -> None:
        for page in self._pages.values():
            windows.sign_in(page, name)

    def take(self, stops: Iterable[tour.Stop]) -> None:
        for stop in stops:
            for look, page in self._pages.items():
                page.goto(stop.path)
                page.screenshot(path=TO / f"{stop.name}-{look}.png", full_page=True)
                if wider := overflow(page):
                    sys.stdout.write(f"{stop.name}-{look}: {wider} pixels too wide\n")


def _keep_the_best() -> None:
    for name, taken in BEST.items():
        shutil.copy(TO / f"{taken}.png", SHOWN / f"{name}.png")


def main() -> None:
    TO.mkdir(parents=True, exist_ok=True)
    for old in TO.glob("*.png"):
        old.unlink()
    with (
        tempfile.TemporaryDirectory() as folder,
        RunningThirdParty() as third_party,
        Stack(Path(folder)) as stack,
        windows.running_chromium() as browser,
    ):
        stack.start("web", "worker", "relay", "beat")
        world.add_people(stack)
        camera = Camera(browser, stack.address)
        camera.take(tour.SIGNED_OUT)
        camera.sign_in("anna")
        camera.take(tour.EMPTY)
        camera.take(tour.stops(world.build(stack, third_party)))
        world.park_mails(stack)
        camera.take(tour.TROUBLE)
        _keep_the_best()
    sys.stdout.write(f"{len(list(TO.glob('*.png')))} pictures are in {TO.relative_to(ROOT)}.\n")


if __name__ == "__main__":
    main()
