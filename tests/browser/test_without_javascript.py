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


def test_a_mapping_is_filled_in_and_stored(open_page: Callable[..., Page], stack: Stack) -> None:
    stack.call("tests.browser.inside.add_mapping", "Prices", {"fields": {"sku": "id", "name": "title"}})
    page = open_page(java_script_enabled=False)
    sign_in(page, "anna")
    page.goto("/mappings/of/Prices/")
    page.get_by_text("paste a header line", exact=False).click()
    pasted = page.get_by_label("Header line, and maybe a row")
    pasted.fill("sku,name,price\nA-001,Lamp,1.50")
    page.get_by_role("button", name="Show the requests").last.click()
    page.get_by_role("button", name="+ price").click()
    page.get_by_role("button", name="Remove field 2").click()
    expect(page.get_by_role("button", name="+ name")).to_be_visible()
    price = page.get_by_role("group", name="Field 3")
    price.get_by_label("Name").fill("price.amount")
    price.get_by_label("Type").select_option("number")
    page.get_by_role("button", name="Add a constant").click()
    constant = page.get_by_role("group", name="Field 4")
    constant.get_by_label("Constant").fill("EUR")
    page.get_by_role("button", name="Add a rule").click()
    rule = page.get_by_role("group", name="Rule 1")
    rule.get_by_label("Column").fill("sku")
    rule.get_by_label("unique in the file").check()

    # What is wrong is said beside it, and what was filled in stays.
    page.get_by_role("button", name="Save").click()
    expect(constant.get_by_role("alert")).to_be_visible()
    constant.get_by_label("Name").fill("price.currency")
    page.get_by_role("button", name="Show the requests").last.click()
    requests = page.get_by_role("region", name="What the first rows become")
    expect(requests).to_contain_text('"amount": 1.50')
    expect(requests).to_contain_text('"currency": "EUR"')
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Stored Prices, version 2.")).to_be_visible()
    expect(rule.get_by_label("unique in the file")).to_be_checked()


def test_a_destination_is_added_tested_and_changed(
    open_page: Callable[..., Page], third_party: RunningThirdParty
) -> None:
    third_party.behave("outlet")
    page = open_page(java_script_enabled=False)
    sign_in(page, "anna")
    page.goto("/destinations/new/")
    page.get_by_label("Name", exact=True).fill("outlet")
    page.get_by_label("URL", exact=True).fill("outlet.example")
    page.get_by_label("bearer token").check()
    page.get_by_label("Token", exact=True).fill("very-secret")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Nothing is stored yet: see what is marked below.")).to_be_visible()
    page.get_by_label("URL", exact=True).fill(third_party.url("/outlet"))
    page.get_by_label("Token", exact=True).fill("very-secret")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("button", name="Send this test").click()
    expect(page.get_by_role("region", name="Test send").get_by_text("success", exact=True)).to_be_visible()
    page.get_by_role("link", name="Change").click()
    page.get_by_label("Requests a second").fill("5")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Stored. Requests from now on are sent like this.")).to_be_visible()
    expect(page.locator("body")).not_to_contain_text("very-secret")
