"""The form of a mapping: nothing that is typed in it gets lost, however slow the answers are."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Locator, Page, Route, ViewportSize, expect

from tests.browser import windows
from tests.browser.windows import sign_in

PROCESSES = ("web",)  # nothing is sent here


@pytest.fixture
def form(page: Page) -> Page:
    """The form of a new mapping, for a header that was pasted, with one field."""
    sign_in(page, "anna")
    page.goto("/mappings/new/")
    paste(page, "sku,name,price\nA-001,Lamp,1.50")
    page.get_by_role("button", name="+ sku").click()
    expect(requests(page)).to_contain_text('"sku": "A-001"')
    return page


def paste(page: Page, text: str) -> None:
    page.get_by_label("Header line, and maybe a row").fill(text)
    page.get_by_label("Header line, and maybe a row").press("Tab")


def field(page: Page, number: int, label: str) -> Locator:
    return page.get_by_role("group", name=f"Field {number}").get_by_label(label, exact=True)


def requests(page: Page) -> Locator:
    return page.get_by_role("region", name="What the first rows become")


@contextmanager
def slow_answers(page: Page) -> Iterator[None]:
    """Whatever the page asks for is answered at the end of this, and not before."""
    held: list[Route] = []
    page.route("**/mappings/**", lambda route: held.append(route))
    yield
    for route in held:
        route.continue_()
    page.unroute("**/mappings/**")


def test_what_is_typed_while_a_field_is_added_stays(form: Page) -> None:
    with slow_answers(form):
        form.get_by_role("button", name="+ price").click()
        field(form, 1, "Name").press("End")
        form.keyboard.type("-code")
    expect(field(form, 2, "Name")).to_have_value("price")
    expect(requests(form)).to_contain_text('"price": "1.50"')
    expect(requests(form)).to_contain_text('"sku-code": "A-001"')
    expect(field(form, 1, "Name")).to_have_value("sku-code")
    form.keyboard.type("s")
    expect(field(form, 1, "Name")).to_have_value("sku-codes")


def test_what_is_typed_while_requests_are_on_their_way_is_in_the_next_ones(form: Page) -> None:
    with slow_answers(form):
        with form.expect_request("**/mappings/preview/"):
            field(form, 1, "Name").fill("id")
        form.keyboard.type("-2")
    expect(requests(form)).to_contain_text('"id-2": "A-001"')
    expect(field(form, 1, "Name")).to_have_value("id-2")


def test_what_is_typed_while_another_header_is_read_stays(form: Page) -> None:
    rule = form.get_by_role("group", name="Rule 1")
    with slow_answers(form):
        paste(form, "sku,colour\nB-1,red")
        field(form, 1, "Name").fill("id")
        form.get_by_role("button", name="Add a rule").click()
        rule.get_by_label("Column").fill("colour")
        rule.get_by_label("never empty").check()
    expect(form.get_by_role("button", name="+ colour")).to_be_visible()
    expect(requests(form)).to_contain_text('"id": "B-1"')
    expect(rule.get_by_label("Column")).to_have_value("colour")


def test_fields_that_come_and_go_are_stored_as_they_stand(form: Page) -> None:
    form.get_by_role("button", name="+ name").click()
    form.get_by_role("button", name="+ price").click()
    form.get_by_role("button", name="Remove field 2").click()
    expect(form.get_by_role("button", name="Remove field 3")).to_be_focused()
    expect(form.get_by_role("button", name="+ name")).to_be_visible()
    expect(form.get_by_role("button", name="+ price")).to_be_hidden()
    form.get_by_role("button", name="Add a constant").click()
    expect(field(form, 4, "Constant")).to_be_focused()
    form.keyboard.type("EUR")
    field(form, 4, "Name").fill("currency")
    form.get_by_label("Name", exact=True).first.fill("Prices")
    form.get_by_role("button", name="Save").click()
    expect(form.get_by_role("heading", name="Prices")).to_be_visible()
    expect(field(form, 2, "Column")).to_have_value("price")
    expect(field(form, 3, "Constant")).to_have_value("EUR")


@pytest.mark.parametrize("viewport", [windows.DESKTOP, windows.PHONE])
def test_who_saves_what_is_wrong_is_led_to_it(open_page: Callable[..., Page], viewport: ViewportSize) -> None:
    page = open_page(viewport=viewport)
    sign_in(page, "anna")
    page.goto("/mappings/new/")
    paste(page, "sku,name,bought")
    for column in ("sku", "name", "bought"):
        page.get_by_role("button", name=f"+ {column}").click()
    field(page, 3, "Type").select_option("date")
    page.get_by_label("Name", exact=True).first.fill("Purchases")
    page.get_by_role("button", name="Save").click()

    wrong = page.get_by_role("group", name="Field 3")
    expect(wrong).to_be_focused()
    expect(wrong).to_have_accessible_description(
        "Format is empty: say how a date is written, such as DD.MM.YYYY."
    )
    expect(wrong.get_by_text("Format is empty")).to_be_in_viewport()
