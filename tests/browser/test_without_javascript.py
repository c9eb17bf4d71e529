"""What matters works with JavaScript off: upload, preview, send, lists, retry."""

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.feeds import correct_delimiter, ledger, write_feed
from tests.browser.watching import Watch
from tests.browser.windows import sign_in
from tests.processes import Stack
from tests.third_party import RunningThirdParty


def test_a_feed_is_uploaded_previewed_sent_and_retried(
    open_page: Callable[..., Page],
    watches: list[Watch],
    stack: Stack,
    third_party: RunningThirdParty,
    tmp_path: Path,
) -> None:
    third_party.behave("plain", rows={"2": {"status": 422, "body": '{"error": "not in the shop"}'}})
    stack.add_destination("plain", third_party.url("/plain/products"))
    page = open_page(java_script_enabled=False)
    watches[0].expect(422)  # for the form that is sent without a file
    sign_in(page, "olga")

    page.get_by_role("link", name="Upload your first feed").click()
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_text("Choose a file first.")).to_be_visible()
    page.get_by_label("CSV files").set_input_files(write_feed(tmp_path / "plain.csv", 5))
    page.get_by_role("button", name="Upload").click()

    # The page reloads by itself until the file is read.
    expect(page.get_by_role("heading", name="Ready to send")).to_be_visible()
    expect(page.get_by_role("region", name="The first requests")).to_contain_text('"sku": "A-001"')
    correct_delimiter(page, "Comma")
    expect(page.get_by_role("heading", name="Ready to send")).to_be_visible()
    page.get_by_role("button", name="Send").click()

    # And until every row has ended.
    expect(page.get_by_text("Done. 4 of 5 rows have arrived.")).to_be_visible()
    third_party.behave("plain")
    reasons = page.get_by_role("region", name="Why rows failed")
    expect(reasons).to_contain_text("not in the shop")
    reasons.get_by_role("button", name="Retry", exact=True).click()
    expect(page.get_by_text("Done. Every row has arrived.")).to_be_visible()
    expect(ledger(page, "Failed")).to_have_text("0")

    # Lists are filtered and searched.
    page.get_by_role("link", name="Look at the rows here").click()
    page.get_by_label("Which rows").select_option("Arrived")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("row")).to_have_count(6)
    page.get_by_role("link", name="Feeds").first.click()
    page.get_by_label("Search by file name").fill("plain")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("link", name="plain.csv")).to_be_visible()
    page.get_by_label("Status").select_option("Paused")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_text("No feed matches")).to_be_visible()
