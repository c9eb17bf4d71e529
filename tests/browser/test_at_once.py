"""A double click, two people, a page left open: a plain message, and nothing done twice."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Dialog, Page, expect

from tests.browser.feeds import agreeing, ledger, upload, write_feed
from tests.browser.watching import Watch
from tests.browser.windows import sign_in
from tests.browser.world import PASSWORD
from tests.processes import Stack
from tests.third_party import RunningThirdParty


@pytest.fixture(scope="module", autouse=True)
def shop(stack: Stack, third_party: RunningThirdParty) -> None:
    stack.add_destination("shop", third_party.url("/ok"), rate=5.0)


def deeds(stack: Stack, name: str) -> list[str]:
    """What was done with the feed of that name, and stored."""
    done = stack.sql(
        "SELECT what FROM feeds_deed JOIN feeds_feed ON feeds_feed.id = feed_id WHERE name = %s "
        "ORDER BY feeds_deed.id",
        name,
    )
    return [what for (what,) in done]


def test_a_double_click_uploads_once_and_sends_once(page: Page, stack: Stack, tmp_path: Path) -> None:
    sign_in(page, "olga")
    page.goto("/feeds/new/")
    page.get_by_label("CSV files").set_input_files(write_feed(tmp_path / "twice.csv", 3))
    page.get_by_role("button", name="Upload").dblclick()
    page.get_by_role("button", name="Send").dblclick()
    expect(page.get_by_text("Done. Every row has arrived.")).to_be_visible()
    assert stack.sql("SELECT count(*) FROM feeds_feed WHERE name = 'twice.csv'") == [(1,)]
    assert deeds(stack, "twice.csv") == ["uploaded", "sent"]


def test_a_double_click_on_any_button_does_it_once(page: Page, stack: Stack, tmp_path: Path) -> None:
    # A browser often drops the second of two forms that are sent at once. Ours does not rely on that.
    page.add_init_script("""addEventListener("submit", (event) => {
        if (!event.defaultPrevented) sessionStorage.sent = Number(sessionStorage.sent || 0) + 1;
    })""")
    sign_in(page, "olga")
    upload(page, write_feed(tmp_path / "clicked.csv", 60))
    page.evaluate("sessionStorage.sent = 0")
    asked = agreeing(page)
    for button, next_one in (
        ("Try ten rows", "Send the rest"),
        ("Send the rest", "Pause"),
        ("Pause", "Resume"),
        ("Resume", "Pause"),
    ):
        page.get_by_role("button", name=button).dblclick()
        expect(page.get_by_role("button", name=button)).to_be_hidden()
        expect(page.get_by_role("button", name=next_one)).to_be_visible()
    page.get_by_role("button", name="Cancel").dblclick()
    expect(page.locator(".sentence")).to_contain_text("Cancelled.")
    assert deeds(stack, "clicked.csv") == ["uploaded", "tried", "sent", "paused", "resumed", "cancelled"]
    assert page.evaluate("sessionStorage.sent") == "5"
    assert len(asked) == 1


def test_of_two_who_press_send_at_the_same_moment_one_does_it(
    open_page: Callable[..., Page], stack: Stack, third_party: RunningThirdParty, tmp_path: Path
) -> None:
    olga, anna = open_page(), open_page()
    sign_in(olga, "olga")
    upload(olga, write_feed(tmp_path / "moment.csv", 60))
    sign_in(anna, "anna")
    anna.goto(olga.url)
    for page in (olga, anna):
        page.evaluate("setTimeout(() => document.getElementById('do-send').click())")
    for page in (olga, anna):
        expect(page.get_by_role("button", name="Pause")).to_be_visible()
    second = "cannot be sent. This is how it stands now."
    assert sorted(page.get_by_text(second).count() for page in (olga, anna)) == [0, 1]
    assert deeds(stack, "moment.csv") == ["uploaded", "sent"]
    agreeing(olga)
    olga.get_by_role("button", name="Cancel").click()
    expect(anna.locator(".sentence")).to_contain_text("Cancelled.")
    rows = [entry["row"] for entry in third_party.ledger() if entry["feed"] in olga.url]
    assert len(rows) == len(set(rows))


def test_who_comes_second_is_told_how_it_stands(
    open_page: Callable[..., Page], stack: Stack, tmp_path: Path
) -> None:
    first, second = open_page(), open_page()
    sign_in(first, "olga")
    upload(first, write_feed(tmp_path / "both.csv", 40))
    sign_in(second, "anna")
    second.goto(first.url)
    expect(second.get_by_role("heading", name="Ready to send")).to_be_visible()

    first.get_by_role("button", name="Send").click()
    expect(first.get_by_role("button", name="Pause")).to_be_visible()
    second.get_by_role("button", name="Send").click()
    expect(second.get_by_text("cannot be sent. This is how it stands now.")).to_be_visible()

    # Whoever watches sees what the other does.
    second.get_by_role("button", name="Pause").click()
    expect(first.get_by_role("button", name="Resume")).to_be_visible()
    first.get_by_role("button", name="Resume").click()
    expect(second.get_by_role("button", name="Pause")).to_be_visible()
    agreeing(second)
    second.get_by_role("button", name="Cancel").click()
    expect(first.get_by_text("Cancelled.")).to_be_visible()
    expect(ledger(first, "Waiting")).to_have_text("0")


def test_a_question_is_asked_before_what_cannot_be_taken_back(page: Page, tmp_path: Path) -> None:
    sign_in(page, "olga")
    upload(page, write_feed(tmp_path / "kept.csv", 2))
    asked: list[str] = []

    def refuse(dialog: Dialog) -> None:
        asked.append(dialog.message)
        dialog.dismiss()

    page.once("dialog", refuse)
    page.get_by_role("button", name="Discard").click()
    assert asked == ["Discard this feed? Nothing of it will be sent."]
    expect(page.get_by_role("button", name="Send")).to_be_enabled()


def test_a_button_pressed_after_the_session_has_ended_is_pressed_once_more(
    page: Page, stack: Stack, tmp_path: Path
) -> None:
    sign_in(page, "olga")
    upload(page, write_feed(tmp_path / "morning.csv", 2))
    stack.sql("DELETE FROM django_session")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_text("You were signed out meanwhile: nothing was done.")).to_be_visible()
    page.get_by_label("Username").fill("olga")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Ready to send")).to_be_visible()
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_text("Done. Every row has arrived.")).to_be_visible()


def test_a_page_that_watches_a_feed_says_so_once_it_is_gone(
    page: Page, stack: Stack, tmp_path: Path, watches: list[Watch]
) -> None:
    sign_in(page, "olga")
    upload(page, write_feed(tmp_path / "watched.csv", 2))
    agreeing(page)
    page.get_by_role("button", name="Discard").click()
    expect(page.get_by_text("Cancelled. 0 of 2 rows have arrived.")).to_be_visible()
    watches[0].expect(404)
    stack.call("tests.browser.inside.delete_feed", "watched.csv")
    expect(page.get_by_role("heading", name="There is nothing here")).to_be_visible()


def test_a_button_of_a_feed_that_is_gone_leads_somewhere(
    page: Page, stack: Stack, tmp_path: Path, watches: list[Watch]
) -> None:
    sign_in(page, "olga")
    upload(page, write_feed(tmp_path / "gone.csv", 2))
    stack.sql("DELETE FROM feeds_feed WHERE name = 'gone.csv'")
    watches[0].expect(404)
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("heading", name="There is nothing here")).to_be_visible()
    page.get_by_role("link", name="To my feeds").click()
    expect(page.get_by_role("heading", name="Feeds", level=1)).to_be_visible()
