"""All processes are stopped and started again: what a feed's page tells is true from the first second on."""

import re
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest

from tests.acceptance.ledger import arrivals, write_feed
from tests.acceptance.visitor import Visitor, add_person, words
from tests.processes import Stack
from tests.third_party import RunningThirdParty

pytestmark = pytest.mark.processes

BEHIND_THE_PAGES = ("worker", "relay", "beat")
ALL = ("web", *BEHIND_THE_PAGES)
GONE = ("no worker is running.", "No relay is running,", "Beat is not running,")
FRESH = 10.0  # seconds that a process is believed to live after it said so
RATE = 10  # a busy machine keeps it
ROWS = 4000
TOLERANCE = 0.3
COUNT = re.compile(r'id="see-(arrived|failed|cancelled|waiting|all)"[^>]*>([\d,]+)<')
LEFT = re.compile(r"About (?:(\d+) min )?(?:(\d+) s )?left at ([\d.]+)/s")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("stack")) as stack:
        stack.start(*ALL)
        add_person(stack, "anna", admin=True)
        yield stack


def test_what_stands_still_is_told_on_the_pages_until_it_runs_again(stack: Stack) -> None:
    anna = Visitor(stack, "anna")

    def told_of() -> list[str]:
        page = anna.read("/feeds/")
        return [sentence for sentence in GONE if sentence in page]

    def wait_until_told_of(*sentences: str) -> None:
        stack.wait(lambda: told_of() == list(sentences), within=FRESH + 10, until=f"{sentences} to be told")

    wait_until_told_of()
    # When all that works behind the pages dies
    for name in BEHIND_THE_PAGES:
        stack.kill(name)
    # Then each of it is told, and no longer once it is back
    wait_until_told_of(*GONE)
    assert "Work stands still." not in anna.read("/overview/")
    assert "Nothing moves: no worker is running." in anna.read("/overview/")
    for name, still_gone in (("worker", GONE[1:]), ("beat", GONE[1:2]), ("relay", ())):
        stack.start(name)
        wait_until_told_of(*still_gone)
    # And whoever ends in good order is missed at once
    stack.stop("beat")
    assert told_of() == list(GONE[2:])
    assert "Work stands still." in anna.read("/overview/")
    stack.start("beat")
    wait_until_told_of()
    anna.browser.close()


def told(page: str) -> dict[str, int]:
    """The counts of a feed's page."""
    return {what: int(count.replace(",", "")) for what, count in COUNT.findall(page)}


@pytest.mark.parametrize(
    "end", ["kill", pytest.param("stop", marks=pytest.mark.slow)], ids=["killed", "stopped in good order"]
)
def test_counts_rate_and_time_left_are_true_after_a_restart(
    stack: Stack, third_party: RunningThirdParty, tmp_path: Path, end: str
) -> None:
    # Given a feed on its way to a third party that takes so many requests a second
    third_party.behave(end, ms=5)
    stack.add_destination(end, third_party.url(f"/{end}"), rate=float(RATE))
    feed = stack.send(write_feed(tmp_path / "feed.csv", ROWS), to=end)
    stack.wait(lambda: stack.feed(feed).succeeded > 3 * RATE, within=30, until="three seconds of it")
    # When all processes end, and are away for a while
    for name in ALL:
        getattr(stack, end)(name)
    arrived = len(arrivals(third_party, f"/{end}").rows)
    time.sleep(3)
    # Then the page tells what the ledger has as soon as there is a web again
    stack.start("web")
    anna = Visitor(stack, "anna")
    ledger = stack.feed(feed)
    counts = told(anna.page(f"/feeds/{feed}/"))
    assert counts == {
        "arrived": ledger.succeeded,
        "failed": 0,
        "waiting": ledger.pending,
        "all": ROWS,
    }
    # And no more than has arrived, and hardly less
    assert arrived - 2 * RATE <= counts["arrived"] <= arrived
    # And soon after the first row is sent again, how fast and how long is what the third party sees
    stack.start(*BEHIND_THE_PAGES)
    stack.wait(lambda: stack.feed(feed).succeeded > ledger.succeeded, within=20, until="the next rows")
    moving = f"/feeds/{feed}/live/?stage=delivering-0"
    stack.wait(lambda: LEFT.search(anna.read(moving)), within=10, until="how long it takes")
    ends = time.monotonic() + 3
    while time.monotonic() < ends:
        page = anna.page(moving)
        counts = told(page)
        assert counts["arrived"] + counts["failed"] + counts["waiting"] == counts["all"] == ROWS
        left, rate = _pace(words(page))
        assert rate == pytest.approx(RATE, rel=TOLERANCE)
        assert left == pytest.approx(counts["waiting"] / rate, rel=0.05)
        time.sleep(0.3)
    assert RATE / 2 < _usual_rate(arrivals(third_party, f"/{end}").times) < (1 + TOLERANCE) * RATE
    anna.browser.close()
    stack.call("feeds.commands.cancel", feed)
    stack.wait_for_end(feed, within=40)


def _usual_rate(times: list[float]) -> float:
    """The median of the requests in each second that had any."""
    return median(Counter(int(at - times[0]) for at in times).values())


def _pace(page: str) -> tuple[int, float]:
    """Seconds left, and rows a second."""
    found = LEFT.search(page)
    assert found, page
    return 60 * int(found[1] or 0) + int(found[2] or 0), float(found[3])
