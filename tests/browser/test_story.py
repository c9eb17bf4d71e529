"""The whole story in one sitting: from the first sign-in to the mended rows."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.feeds import correct_delimiter, ledger, write_feed
from tests.browser.windows import sign_in
from tests.third_party import RunningThirdParty

CATEGORY_UNKNOWN = {"status": 422, "body": '{"error": "category is unknown"}'}
A_SECOND = 4  # rows, so that there is something to watch


def products(path: Path) -> Path:
    """A feed whose last row, the twelfth, has a cell too many."""
    write_feed(path, 11)
    with path.open("a") as file:
        file.write("A-012,Walnut lamp,1,surplus\n")
    return path


@pytest.fixture(scope="module")
def shop(third_party: RunningThirdParty) -> str:
    """A third party that refuses rows 2 and 5 for now."""
    third_party.behave("shop", rows={"2": CATEGORY_UNKNOWN, "5": CATEGORY_UNKNOWN})
    return third_party.url("/shop/products")


def test_an_admin_sets_up_a_destination_and_a_mapping(
    page: Page, shop: str, third_party: RunningThirdParty
) -> None:
    sign_in(page, "anna")
    page.get_by_role("link", name="Destinations").click()
    page.get_by_role("link", name="Add the first destination").click()
    page.get_by_label("Name", exact=True).fill("shop")
    page.get_by_label("URL", exact=True).fill(shop)
    page.get_by_label("Headers").fill("X-Api-Key: very-secret")
    page.get_by_label("Requests a second").fill(str(A_SECOND))
    page.get_by_role("button", name="Save").click()

    page.get_by_role("button", name="Send this test").click()
    test = page.get_by_role("region", name="Test send")
    expect(test.get_by_text("success", exact=True)).to_be_visible()
    expect(test).to_contain_text("TEST-1")
    expect(page.locator("body")).not_to_contain_text("very-secret")
    assert third_party.stats()["count"] == 1

    page.get_by_role("link", name="Mappings").click()
    page.get_by_role("link", name="Write the first mapping").click()
    page.get_by_label("Name", exact=True).fill("Products")
    page.get_by_label("Header line, and maybe a row").fill("sku,name,price\nA-001,Lamp,1.50")
    page.get_by_label("Header line, and maybe a row").press("Tab")
    page.get_by_role("button", name="+ sku").click()
    requests = page.get_by_role("region", name="What the first rows become")
    page.get_by_role("group", name="Field 1").get_by_label("Name").fill("id")
    expect(requests).to_contain_text('"id": "A-001"')
    page.get_by_role("button", name="+ price").click()
    expect(requests).to_contain_text('"price": "1.50"')
    page.get_by_role("group", name="Field 2").get_by_label("Type").select_option("number")
    expect(requests).to_contain_text('"id": "A-001"')
    expect(requests).to_contain_text('"price": 1.50')
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="Products")).to_be_visible()


def test_a_feed_is_uploaded_corrected_sent_watched_and_mended(
    page: Page,
    third_party: RunningThirdParty,
    tmp_path: Path,
) -> None:
    sign_in(page, "olga")
    page.get_by_role("link", name="Upload your first feed").click()
    page.get_by_label("CSV files").set_input_files(products(tmp_path / "products.csv"))
    expect(page.locator("[data-file-names]")).to_have_text("products.csv")
    page.get_by_label("What each row becomes").select_option(label="Products, version 1")
    page.get_by_role("button", name="Upload").click()

    # The file is read, and what would be sent is shown.
    expect(page.get_by_role("heading", name="Ready to send")).to_be_visible()
    expect(page.get_by_text("11 rows will be sent to shop")).to_be_visible()
    requests = page.get_by_role("region", name="The first requests")
    expect(requests).to_contain_text('"id": "A-001"')
    expect(requests).to_contain_text('"price": 1.50')
    expect(page.get_by_role("region", name="Invalid rows")).to_contain_text("13")

    # A person knows better for once, sees what comes of it, and takes it back.
    correct_delimiter(page, "Semicolon")
    expect(page.get_by_role("heading", name="The file seems to have one column only")).to_be_visible()
    expect(page.get_by_label("Delimiter")).to_have_value(",")
    page.get_by_role("button", name="Read it again").click()
    expect(page.get_by_role("region", name="How the file was read")).to_contain_text("comma")
    expect(page.get_by_text("11 rows will be sent to shop")).to_be_visible()

    # Ten rows are tried, and the page tells how far they are without being asked.
    page.get_by_role("button", name="Try ten rows").click()
    expect(page.get_by_role("button", name="Send the rest")).to_be_visible()
    page.evaluate("window.notReloaded = true")
    expect(ledger(page, "Arrived")).to_have_text(re.compile("[1-8]"))
    expect(ledger(page, "Arrived")).to_have_text(re.compile("[4-8]"))
    assert page.evaluate("window.notReloaded"), "The page moves in place."
    expect(page.get_by_text("Trial: 8 of the first 10 rows have arrived, 2 failed.")).to_be_visible()

    # The rest follows, and it ends: two rows were refused, one is invalid, and the ledger adds up.
    page.get_by_role("button", name="Send the rest").click()
    expect(page.get_by_text("Done. 9 of 12 rows have arrived.")).to_be_visible()
    expect(ledger(page, "Failed")).to_have_text("31 of them invalid")
    reasons = page.get_by_role("region", name="Why rows failed")
    expect(reasons).to_contain_text("category is unknown")

    # One row is mended by hand; the third party mends the other, which is sent again.
    page.get_by_role("link", name="row 2", exact=True).click()
    page.get_by_text("Change it and send it again").click()
    page.get_by_label("name").fill("Oak chair, mended")
    third_party.behave("shop")
    page.get_by_role("button", name="Send it again").click()
    expect(page.get_by_text("The row is sent again as you changed it")).to_be_visible()
    page.get_by_role("link", name="products.csv").click()
    expect(page.get_by_text("10 of 12 rows have arrived.")).to_be_visible()
    page.get_by_role("button", name="Retry failed").click()
    expect(page.get_by_text("Done. 11 of 12 rows have arrived.")).to_be_visible()
    expect(page.get_by_role("region", name="Who did what")).to_contain_text("olga retried what had failed")

    # What cannot be mended here is downloaded, with its reason.
    with page.expect_download() as download:
        page.get_by_role("link", name="Failed 1").click()
    assert download.value.suggested_filename == "products-failed.csv"
    text = Path(download.value.path()).read_text()
    assert text.startswith('"sku","name","price","_status"')
    assert "too_many_cells" in text

    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_a_file_is_dropped_onto_the_page(page: Page, tmp_path: Path) -> None:
    file = tmp_path / "dropped.csv"
    file.write_text("sku,name\nB-1,Lamp\n")
    sign_in(page, "olga")
    page.get_by_role("link", name=re.compile("^Upload ")).click()
    drop(page, file)
    expect(page.locator("[data-file-names]")).to_have_text("dropped.csv")
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_text("1 row will be sent to shop")).to_be_visible()


def drop(page: Page, file: Path) -> None:
    """Drops a file onto the page where a person would, by the browser's own input events."""
    box = page.locator(".drop").bounding_box()
    assert box is not None
    dragged = {"items": [], "files": [str(file)], "dragOperationsMask": 1}
    at = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    devtools = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        devtools.send("Input.dispatchDragEvent", {"type": kind, "data": dragged, **at})


def test_more_than_the_largest_upload_is_told_before_it_is_sent(page: Page, tmp_path: Path) -> None:
    sign_in(page, "olga")
    large = tmp_path / "large.csv"
    with large.open("wb") as file:
        file.truncate(2 * 1024**3 + 1)  # sparse: it takes no room
    page.goto("/feeds/new/")
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.method))
    page.get_by_label("CSV files").set_input_files(large)
    expect(page.locator(".upload-said")).to_contain_text("at most 2 GB in all")
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_role("button", name="Upload")).to_be_enabled()
    assert "POST" not in sent
    page.get_by_label("CSV files").set_input_files(products(tmp_path / "small.csv"))
    expect(page.locator(".upload-said")).to_be_empty()
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_role("heading", name="small.csv")).to_be_visible()
