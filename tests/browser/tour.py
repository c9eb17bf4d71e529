"""Every page of the product, by a name."""

import re
from typing import NamedTuple

from playwright.sync_api import Page

from tests.browser.world import INVALID_ROW, REFUSED_ROW, RETRIED_ROW, World


class Stop(NamedTuple):
    name: str
    path: str
    status: int = 200
    press: str = ""  # a button, whose page is the one that is meant

    def visit(self, page: Page) -> None:
        answer = page.goto(self.path)
        assert answer is not None
        assert answer.status == self.status, self
        if self.press:
            page.get_by_role("button", name=self.press).click()
            page.wait_for_url(re.compile("#"))


SIGNED_OUT = (
    Stop("sign-in", "/accounts/login/"),
    Stop("password-reset", "/accounts/password_reset/"),
    Stop("password-reset-done", "/accounts/password_reset/done/"),
    Stop("password-reset-old-link", "/accounts/reset/MQ/old-link/"),
)
EMPTY = (
    Stop("empty-feeds", "/feeds/"),
    Stop("empty-upload", "/feeds/new/"),
    Stop("empty-destinations", "/destinations/"),
    Stop("empty-mappings", "/mappings/"),
    Stop("empty-mapping", "/mappings/new/"),
    Stop("empty-overview", "/overview/"),
)


def stops(world: World) -> tuple[Stop, ...]:
    """What an admin sees."""
    return (
        Stop("feeds", "/feeds/"),
        Stop("feeds-none", "/feeds/?q=nothing"),
        Stop("upload", "/feeds/new/"),
        Stop("feed-completed", f"/feeds/{world.completed}/"),
        Stop("feed-waiting", f"/feeds/{world.waiting}/"),
        Stop("feed-held", f"/feeds/{world.held}/"),
        Stop("feed-paused", f"/feeds/{world.paused}/"),
        Stop("feed-ready", f"/feeds/{world.ready}/"),
        Stop("feed-rejected", f"/feeds/{world.rejected}/"),
        Stop("feed-missing", f"/feeds/{world.missing}/"),
        Stop("feed-trial", f"/feeds/{world.trial}/"),
        Stop("feed-cancelled", f"/feeds/{world.cancelled}/"),
        Stop("rows", f"/feeds/{world.completed}/rows/"),
        Stop("rows-failed", f"/feeds/{world.completed}/rows/?show=failed"),
        Stop("rows-none", f"/feeds/{world.completed}/rows/?q=nothing"),
        Stop("row-arrived", f"/feeds/{world.completed}/rows/{RETRIED_ROW}/"),
        Stop("row-failed", f"/feeds/{world.completed}/rows/{REFUSED_ROW}/"),
        Stop("row-invalid", f"/feeds/{world.completed}/rows/{INVALID_ROW}/"),
        Stop("row-retrying", f"/feeds/{world.held}/rows/1/"),
        Stop("destinations", "/destinations/"),
        Stop("destination", "/destinations/1/"),
        Stop("destination-failing", "/destinations/4/"),
        Stop("destination-new", "/destinations/new/"),
        Stop("destination-tested", "/destinations/1/", press="Send this test"),
        Stop("destination-change", "/destinations/2/change/"),
        Stop("destination-oauth2", "/destinations/5/change/"),
        Stop("mappings", "/mappings/"),
        Stop("mapping", "/mappings/of/Products/"),
        Stop("mapping-new", "/mappings/new/"),
        Stop("password-change", "/accounts/password_change/"),
        Stop("not-found", "/feeds/00000000-0000-0000-0000-000000000000/", 404),
        Stop("feed-delivering", f"/feeds/{world.delivering}/"),  # the later, the more there is to see
    )


TROUBLE = (Stop("overview", "/overview/"),)
