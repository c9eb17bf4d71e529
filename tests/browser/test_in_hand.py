"""A feed in a person's hand: tried, sent on, paused, given up, cancelled."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.feeds import agreeing, ledger, upload, write_feed
from tests.browser.windows import sign_in
from tests.processes import Stack
from tests.third_party import RunningThirdParty

BUSY = {"3": {"status": 503, "body": '{"error": "the shop is being rebuilt"}'}}
SLOW = 500  # milliseconds an answer, so that a person can step in
AGES = 3600.0  # seconds until the next attempt


@pytest.fixture(scope="module", autouse=True)
def shop(stack: Stack, third_party: RunningThirdParty) -> None:
    """A third party that fails with row 3 for now, and is asked one request after the other."""
    third_party.behave("shop", rows=BUSY)
    stack.add_destination("shop", third_party.url("/shop"), concurrency=1, retry_first=AGES)


def rows_that_arrived(third_party: RunningThirdParty, feed: str) -> set[int]:
    return {int(entry["row"]) for entry in third_party.ledger() if feed.endswith(f"/{entry['feed']}/")}


def test_ten_rows_are_tried_then_the_rest_is_sent_paused_and_given_up(
    page: Page, third_party: RunningThirdParty, tmp_path: Path
) -> None:
    sign_in(page, "olga")
    upload(page, write_feed(tmp_path / "tried.csv", 24))

    # Ten rows are really sent, and are seen with what became of them; the others wait.
    page.get_by_role("button", name="Try ten rows").click()
    expect(page.get_by_text("Trial: 9 of the first 10 rows have arrived.")).to_be_visible()
    tried = page.get_by_role("region", name="The rows that were tried").get_by_role("row")
    expect(tried).to_have_count(11)
    expect(tried.nth(10)).to_contain_text("arrived")
    expect(tried.nth(3)).to_contain_text("An attempt failed; it is tried again.")
    assert rows_that_arrived(third_party, page.url) == set(range(1, 11))

    # The rest goes, and stops when a person says so.
    third_party.behave("shop", rows=BUSY, ms=SLOW)
    page.get_by_role("button", name="Send the rest").click()
    expect(ledger(page, "Arrived")).to_have_text(re.compile(r"1\d"))
    page.get_by_role("button", name="Pause").click()
    expect(
        page.get_by_text(re.compile("^Paused. .* the others wait until the feed is resumed"))
    ).to_be_visible()
    expect(ledger(page, "Waiting")).not_to_have_text("0")
    third_party.behave("shop", rows=BUSY)
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_text("23 of 24 rows have arrived.")).to_be_visible()
    expect(page.get_by_text("1 row was tried and will be tried again")).to_be_visible()

    # Nobody wants to wait for that one; and it is not lost for good.
    asked = agreeing(page)
    page.get_by_role("button", name="Give up now").click()
    expect(page.get_by_text("Done. 23 of 24 rows have arrived.")).to_be_visible()
    assert asked[0].startswith("Give up 1 row that failed and would be tried again?")
    expect(page.get_by_role("region", name="Why rows failed")).to_contain_text("Given up by olga")
    third_party.behave("shop")
    page.get_by_role("button", name="Retry failed").click()
    expect(page.get_by_text("Done. Every row has arrived.")).to_be_visible()
    deeds = page.get_by_role("region", name="Who did what").get_by_role("listitem")
    expect(deeds).to_contain_text(["retried", "gave up", "resumed", "paused", "sent", "tried", "uploaded"])


def test_a_cancelled_feed_keeps_what_arrived_and_gives_the_rest_back_as_a_file(
    page: Page, third_party: RunningThirdParty, tmp_path: Path
) -> None:
    third_party.behave("shop", ms=SLOW)
    sign_in(page, "olga")
    upload(page, write_feed(tmp_path / "stopped.csv", 40))
    page.get_by_role("button", name="Send", exact=True).click()
    expect(ledger(page, "Arrived")).not_to_have_text("0")
    agreeing(page)
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator(".sentence")).to_contain_text("Cancelled.")
    expect(ledger(page, "Waiting")).to_have_text("0")
    page.reload()
    cancelled = int(ledger(page, "Cancelled").inner_text())
    assert int(ledger(page, "Arrived").inner_text()) + cancelled == 40
    with page.expect_download() as download:
        page.get_by_role("link", name=re.compile(r"Not processed \d")).click()
    assert len(Path(download.value.path()).read_text().splitlines()) == 1 + cancelled


def test_who_sits_on_a_button_that_goes_is_told_what_came_and_goes_on_in_the_page(
    page: Page, third_party: RunningThirdParty, tmp_path: Path
) -> None:
    third_party.behave("shop", ms=SLOW)
    sign_in(page, "olga")
    upload(page, write_feed(tmp_path / "watched.csv", 6))
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.get_by_text("Sending has begun.")).to_be_visible()
    page.get_by_role("button", name="Pause").focus()

    expect(page.locator("#said")).to_have_text("watched.csv is completed: 6 arrived, 0 failed.")
    expect(page.locator("#main")).to_be_focused()
