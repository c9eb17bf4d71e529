"""Files to upload, and what a feed's page says."""

import re
from pathlib import Path

from playwright.sync_api import Dialog, Locator, Page, expect


def write_feed(path: Path, rows: int) -> Path:
    lines = [f"A-{n:03},Oak chair {n},{n}.50" for n in range(1, rows + 1)]
    path.write_text("\n".join(["sku,name,price", *lines]) + "\n")
    return path


def upload(page: Page, file: Path) -> None:
    page.goto("/feeds/new/")
    page.get_by_label("CSV files").set_input_files(file)
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_role("heading", name="Ready to send")).to_be_visible()


def agreeing(page: Page) -> list[str]:
    """The questions that the page asks from now on, and is told yes to."""
    asked: list[str] = []

    def agree(dialog: Dialog) -> None:
        asked.append(dialog.message)
        dialog.accept()

    page.on("dialog", agree)
    return asked


def ledger(page: Page, term: str) -> Locator:
    """A number of the ledger."""
    return page.locator(".ledger div", has=page.get_by_text(term, exact=True)).locator("dd")


def correct_delimiter(page: Page, name: str) -> None:
    page.get_by_text(re.compile("ow th(e|is) file is written")).click()
    page.get_by_label("Delimiter").select_option(name)
    page.get_by_role("button", name="Read it again").click()
