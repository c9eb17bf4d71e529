"""OAuth2 with real workers: one token for all of them, renewed when it is refused, and never seen."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.deliveries.token_server import CLIENT, SECRET, TokenServer
from tests.processes import Stack

pytestmark = pytest.mark.processes


@pytest.fixture
def party() -> Iterator[TokenServer]:
    with TokenServer() as party:
        yield party


def add_destination(stack: Stack, party: TokenServer, name: str, **settings: object) -> None:
    credentials = {"token_url": f"{party.address}/token", "client_id": CLIENT, "client_secret": SECRET}
    url = f"{party.address}/rows"
    stack.add_destination(name, url, auth="oauth2", credentials=credentials, **settings)


def assert_written_nowhere(stack: Stack, party: TokenServer) -> None:
    secrets = [SECRET, *party.given]
    tables = ("deliveries_attempt", "deliveries_destination", "deliveries_accesstoken", "outbox_outboxevent")
    for table in tables:
        kept = str(stack.sql(f"SELECT * FROM {table}"))
        assert not [secret for secret in secrets if secret in kept], table
    for log in stack.folder.glob("**/*.log"):
        text = log.read_text(errors="replace")
        assert not [secret for secret in secrets if secret in text], log


def test_a_token_that_was_revoked_is_renewed_once_and_no_row_is_lost_or_counted(
    stack: Stack, party: TokenServer, feed_of: Callable[[int], Path]
) -> None:
    # Given a token under which a row was sent some time ago
    add_destination(stack, party, "renewed")
    stack.wait_for_end(stack.send(feed_of(1), to="renewed"), within=20)
    stack.sql("UPDATE deliveries_accesstoken SET fetched_at = '2020-01-01 00:00:00+00:00'")
    # When the third party takes it back, and a feed is sent
    party.revoke()
    ended = stack.wait_for_end(stack.send(feed_of(80), to="renewed"), within=40)
    # Then the rows arrive under one new token, and none has spent an attempt on it
    assert (ended.succeeded, ended.failed) == (80, 0)
    assert len(party.given) == 2
    assert sum(status == 201 for _, status in party.rows) == 81
    assert not stack.sql("SELECT 1 FROM deliveries_attempt WHERE number > 1")
    assert_written_nowhere(stack, party)


def test_a_token_url_that_is_down_opens_the_breaker_and_all_rows_arrive_when_it_is_back(
    stack: Stack, party: TokenServer, feed_of: Callable[[int], Path]
) -> None:
    # Given a token URL that does not work
    party.answers.extend([(503, b"The login is being repaired")] * 6)
    add_destination(stack, party, "repaired", retry_first=0.5)
    # When a feed is sent there
    feed = stack.send(feed_of(12), to="repaired")
    # Then the breaker says why, and nothing was sent without a token
    stack.wait(
        lambda: bool(stack.sql("SELECT 1 FROM deliveries_destination WHERE breaker_opened > 0")),
        within=20,
        until="the breaker to open",
    )
    why = stack.sql("SELECT held_for FROM outbox_lane WHERE held_for <> ''")[0][0]
    assert "the token URL answered 503 Service Unavailable: The login is being repaired." in why
    assert not party.rows
    party.answers.clear()
    ended = stack.wait_for_end(feed, within=60)
    assert (ended.succeeded, ended.failed) == (12, 0)
    assert_written_nowhere(stack, party)


def test_a_third_party_that_refuses_fresh_tokens_is_paused_after_three_rows(
    stack: Stack, party: TokenServer, feed_of: Callable[[int], Path]
) -> None:
    party.takes_rows = False
    add_destination(stack, party, "refused")
    stack.send(feed_of(20), to="refused")
    stack.wait(
        lambda: bool(stack.sql("SELECT 1 FROM deliveries_destination WHERE paused_for <> ''")),
        within=20,
        until="the destination to be paused",
    )
    assert len(party.given) == 1
    assert_written_nowhere(stack, party)
