"""Rowpost's processes and a third party, shared by the tests of one file that do not disturb each other."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.acceptance.ledger import write_feed
from tests.processes import Stack

ONE_OF_EACH = ("worker", "relay", "beat")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One worker, relay and beat; a test leaves it as it found it."""
    with Stack(tmp_path_factory.mktemp("stack")) as stack:
        stack.start(*ONE_OF_EACH)
        yield stack


@pytest.fixture
def new_stack(tmp_path: Path) -> Iterator[Stack]:
    """A stack of the test's own, to be mistreated; nothing is started yet."""
    with Stack(tmp_path / "stack") as stack:
        yield stack


@pytest.fixture
def feed_of(tmp_path: Path) -> Callable[[int], Path]:
    """Writes a feed of so many rows."""
    return lambda rows: write_feed(tmp_path / f"feed-{rows}.csv", rows)
