"""`make screenshots`: every page of a running Rowpost with sample data, desktop and phone, light and dark.

All go to var/screenshots; those that the README and the documentation show also to docs/screenshots.
"""

import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from playwright.sync_api import Browser, Page

from tests.acceptance.stores import ROOT
from tests.browser import tour, windows, world
from tests.browser.watching import overflow
from tests.processes import Stack
from tests.third_party import RunningThirdParty

TO = ROOT / "var" / "screenshots"
SHOWN = ROOT / "docs" / "screenshots"
SIZES = {"desktop": windows.DESKTOP, "phone": windows.PHONE}


class Shown(NamedTuple):
    taken: str
    height: int  # pixels


# What is shown, and how much of it from above: a picture in the repository is to stay small.
BEST = {
    "feed": Shown("feed-delivering-desktop-light", 1160),
    "preview": Shown("feed-ready-desktop-light", 1180),
    "overview": Shown("overview-desktop-light", 1228),
    "row": Shown("row-arrived-desktop-light", 1190),
    "phone": Shown("feed-completed-phone-dark", 1500),
}


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
                stop.visit(page)
                page.screenshot(path=TO / f"{stop.name}-{look}.png", full_page=True)
                for name in (name for name, best in BEST.items() if best.taken == f"{stop.name}-{look}"):
                    self._keep(page, name)
                if wider := overflow(page):
                    sys.stdout.write(f"{stop.name}-{look}: {wider} pixels too wide\n")

    def _keep(self, page: Page, name: str) -> None:
        width: int = page.evaluate("document.documentElement.clientWidth")
        full: int = page.evaluate("document.documentElement.scrollHeight")
        page.screenshot(
            path=SHOWN / f"{name}.png",
            full_page=True,
            clip={"x": 0, "y": 0, "width": width, "height": min(full, BEST[name].height)},
        )


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
    sys.stdout.write(f"{len(list(TO.glob('*.png')))} pictures are in {TO.relative_to(ROOT)}.\n")


if __name__ == "__main__":
    main()
