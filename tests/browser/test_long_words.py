"""Long words, many columns and big numbers: no page is wider than its window, and no number is broken."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser import windows
from tests.browser.feeds import upload
from tests.browser.watching import overflow
from tests.processes import Stack
from tests.third_party import RunningThirdParty

WORD = "Donaudampfschifffahrt"
NAME = "🎉" + 10 * WORD + " كتالوج.csv"
COLUMNS = 40
BROKEN = "(numbers) => numbers.filter((n) => n.getClientRects().length > 1).map((n) => n.textContent)"
MILLIONS = "total = 8888888, pending = 1111111, succeeded = 6666666, failed = 1111111, invalid = 999999"


def write_wide(path: Path) -> Path:
    header = ",".join(f"column_{place}" for place in range(COLUMNS))
    rows = [",".join([f"{number}", 20 * WORD, *[f"{number}.5"] * (COLUMNS - 2)]) for number in range(1, 13)]
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def assert_it_fits(page: Page) -> None:
    for viewport in (windows.DESKTOP, windows.PHONE):
        page.set_viewport_size(viewport)
        assert not overflow(page), (page.url, viewport)


@pytest.fixture
def fed(page: Page, stack: Stack, third_party: RunningThirdParty, tmp_path: Path) -> str:
    """The page of a feed whose rows are refused with one long word, as of a file of millions."""
    third_party.behave("wide", status=422, body='{"error": "%s"}' % (20 * WORD))
    stack.add_destination("d" * 100, third_party.url("/wide/" + 6 * WORD))
    windows.sign_in(page, "anna")
    upload(page, write_wide(tmp_path / NAME))
    return page.url


def test_pages_fit_whatever_stands_in_them(page: Page, stack: Stack, fed: str) -> None:
    # Before it is sent: the table runs on within its card, and the body is shown by its beginning.
    assert_it_fits(page)
    wide = page.get_by_role("region", name="First rows")
    assert wide.evaluate("(table) => table.scrollWidth > table.clientWidth")
    body = page.get_by_role("article").first
    expect(body.get_by_text('"column_39"')).to_be_hidden()
    body.get_by_text(f"Show all {COLUMNS + 2} lines").click()
    expect(body.get_by_text('"column_39"')).to_be_visible()
    expect(body.get_by_text('"column_0"')).to_have_count(2)
    expect(body.locator("pre:visible")).to_have_count(1)
    assert_it_fits(page)

    # Send stays in sight at the end of the page.
    page.get_by_role("article").last.scroll_into_view_if_needed()
    expect(page.get_by_role("button", name="Send", exact=True)).to_be_in_viewport()
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.get_by_text("Done. No row has arrived.")).to_be_visible()
    stack.sql(f"UPDATE feeds_feed SET {MILLIONS}")
    page.goto(fed)
    assert_it_fits(page)
    expect(page.get_by_role("link", name="8,888,888")).to_be_visible()
    assert page.locator(".ledger dd > a").evaluate_all(BROKEN) == []
    for path in ("/feeds/", "/destinations/", "/destinations/1/", "/overview/", "/mappings/new/"):
        page.goto(path)
        assert_it_fits(page)
    for path in ("rows/", "rows/1/"):
        page.goto(f"{fed}{path}")
        assert_it_fits(page)
