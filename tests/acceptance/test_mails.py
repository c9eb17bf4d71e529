"""Mails by real processes through a real mail server: one of each kind, and none that is forgotten."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from tests.acceptance.ledger import watch, write_feed
from tests.acceptance.mail_server import MailServer
from tests.acceptance.visitor import Visitor, add_person
from tests.processes import Stack
from tests.third_party import RunningThirdParty

pytestmark = pytest.mark.processes

OLGA, ANNA = "olga@example.com", "anna@example.com"
REFUSED_SHORTLY = {"status": 503, "body": '{"error": "Come back soon."}'}
PAUSE = "tests.acceptance.console.pause_destination"
RESUME = "tests.acceptance.console.resume_destination"


@pytest.fixture(scope="module")
def server() -> Iterator[MailServer]:
    with MailServer() as server:
        yield server


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, server: MailServer) -> Iterator[Stack]:
    """All processes, with anna, an admin, and olga, who uploads."""
    with Stack(tmp_path_factory.mktemp("stack"), EMAIL_URL=server.url) as stack:
        stack.start("web", "worker", "relay", "beat")
        add_person(stack, "anna", admin=True)
        add_person(stack, "olga")
        yield stack


@pytest.fixture(autouse=True)
def nothing_under_way(stack: Stack, server: MailServer) -> Iterator[None]:
    """Each test leaves the server as it found it."""
    server.letters.clear()
    server.asked.clear()
    yield
    server.refused.clear()
    server.hold = None


def upload(stack: Stack, third_party: RunningThirdParty, folder: Path, name: str) -> UUID:
    """olga's feed of twelve rows."""
    stack.add_destination(name, third_party.url(f"/{name}"), retry_first=3.0)
    file = write_feed(folder / f"{name}.csv", 12)
    return UUID(stack.call("tests.browser.inside.upload", str(file), to=name, by="olga"))


def records(stack: Stack, feed: UUID) -> list[tuple[str, str]]:
    """What is kept of its mails: subject, and why one could not be sent."""
    return stack.sql("SELECT subject, problem FROM feeds_mail WHERE feed_id = %s ORDER BY id", feed)


def test_one_mail_of_each_kind_and_none_for_single_rows(
    stack: Stack, server: MailServer, third_party: RunningThirdParty, tmp_path: Path
) -> None:
    # Given a feed of which some rows fail for good, and one for now
    rows = {"3": REFUSED_SHORTLY, "5": {"status": 422}, "6": {"status": 404}}
    third_party.behave("kinds", rows=rows)
    feed = upload(stack, third_party, tmp_path, "kinds")
    watch(lambda: server.about("every row was tried once"), within=30, until="the mail about the first tries")
    # When its destination is paused and resumed, and the last row arrives in the end
    [(destination,)] = stack.sql("SELECT id FROM deliveries_destination WHERE name = 'kinds'")
    stack.call(PAUSE, destination)
    watch(lambda: len(server.about("is paused")) == 2, within=20, until="mails about the pause")
    third_party.behave("kinds")
    stack.call(RESUME, destination)
    stack.wait_for_end(feed, within=30)
    watch(lambda: server.about("is completed"), within=20, until="the mail about its end")
    stack.assert_at_rest()
    # Then the uploader has had one mail of each kind, and an admin those about the destination
    assert server.letters == {
        (OLGA, "[Rowpost] kinds.csv: every row was tried once"): 1,
        (OLGA, "[Rowpost] kinds is paused"): 1,
        (ANNA, "[Rowpost] kinds is paused"): 1,
        (OLGA, "[Rowpost] kinds is resumed"): 1,
        (ANNA, "[Rowpost] kinds is resumed"): 1,
        (OLGA, "[Rowpost] kinds.csv is completed"): 1,
    }
    assert [problem for _, problem in records(stack, feed)] == [""] * 4


def test_a_mail_waits_for_a_server_that_is_away(
    stack: Stack, server: MailServer, third_party: RunningThirdParty, tmp_path: Path
) -> None:
    third_party.behave("away")
    with Visitor(stack, "olga") as olga:
        with server.away():
            feed = upload(stack, third_party, tmp_path, "away")
            stack.wait_for_end(feed, within=30)
            page = f"/feeds/{feed}/"
            stack.wait(lambda: "not sent yet" in olga.read(page), within=20, until="it to be told")
            assert "It is tried again" in olga.read(page)
        watch(lambda: server.letters, within=30, until="the mail")
        stack.assert_at_rest()
        assert "not sent" not in olga.read(page)
    assert server.letters == {(OLGA, "[Rowpost] away.csv is completed"): 1}


def test_an_address_that_is_refused_is_told_once_and_not_asked_for_again(
    stack: Stack, server: MailServer, third_party: RunningThirdParty, tmp_path: Path
) -> None:
    server.refuse(OLGA)
    third_party.behave("nobody")
    feed = upload(stack, third_party, tmp_path, "nobody")
    stack.wait(lambda: records(stack, feed), within=30, until="a record of the mail")
    stack.assert_at_rest()
    assert (server.asked, server.letters) == ({OLGA: 1}, {})
    with Visitor(stack, "olga") as olga:
        page = olga.read(f"/feeds/{feed}/")
    assert "The mail server refuses this address: 5.1.1 Nobody of that name lives here." in page


def test_a_worker_killed_between_a_mail_and_its_record_costs_one_more_at_most(
    stack: Stack, server: MailServer, third_party: RunningThirdParty, tmp_path: Path
) -> None:
    # Given a worker whose mail has been taken, which it does not know yet
    server.hold = threading.Event()
    third_party.behave("twice")
    feed = upload(stack, third_party, tmp_path, "twice")
    watch(lambda: server.letters, within=30, until="the mail")
    assert not records(stack, feed)
    # When it is killed, and its leases are over
    stack.kill("worker")
    server.hold.set()
    past = datetime.now(UTC) - timedelta(seconds=1)
    stack.sql("UPDATE outbox_lease SET until = %s WHERE state = 'running'", past)
    stack.start("worker")
    # Then its successor sends it once more, and that is all
    stack.wait(lambda: records(stack, feed), within=30, until="a record of the mail")
    stack.assert_at_rest()
    assert server.letters == {(OLGA, "[Rowpost] twice.csv is completed"): 2}
    assert records(stack, feed) == [("twice.csv is completed", "")]
