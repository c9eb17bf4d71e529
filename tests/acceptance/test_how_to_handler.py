"""docs/how-to/handler.md, followed step by step while rows are on their way, in a copy of the project.

Whatever the page shows is taken from the page: files, the line for the settings, commands.
"""

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import pytest

from tests.acceptance.conftest import ONE_OF_EACH
from tests.acceptance.ledger import Arrivals, arrivals, assert_all_succeeded, assert_each_arrived, watch
from tests.acceptance.stores import ROOT
from tests.processes import Stack
from tests.third_party import RunningThirdParty

pytestmark = pytest.mark.processes

PAGE = ROOT / "docs" / "how-to" / "handler.md"
COPIED = ("config", "deliveries", "feeds", "outbox", "templates", "tests", "manage.py")
COUNT = "tally.count_arrivals"
OTHERS = ("tally.leave_receipts", "tally.find_slowest", "tally.write_summary", "tally.forget_receipts")
PYTHON = ".venv/bin/python manage.py "
ROWS = 360
RATE = 30.0  # rows a second: slow enough to restart everything meanwhile


class Recipe:
    """The page's blocks of code."""

    def __init__(self, text: str) -> None:
        self._sections = dict(re.findall(r"^##+ (.+?)\n(.*?)(?=^##+ |\Z)", text, re.MULTILINE | re.DOTALL))
        self._text = text

    def blocks(self, language: str, section: str = "") -> list[str]:
        text = self._sections[section] if section else self._text
        return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)

    def files(self) -> dict[str, str]:
        """Path → content. A file that is shown in several blocks goes on with each."""
        found: dict[str, str] = {}
        for block in self.blocks("python"):
            head, _, content = block.partition("\n")
            if head.startswith("# tally/"):
                path = head.removeprefix("# ")
                found[path] = found.get(path, "") + content
        return found

    def line_of_settings(self) -> str:
        [line] = [block for block in self.blocks("python") if block.startswith("    ")]
        return line

    def commands(self, section: str) -> list[list[str]]:
        """The arguments of manage.py, command by command."""
        lines = "".join(self.blocks("sh", section)).splitlines()
        assert all(line.startswith(PYTHON) for line in lines)
        return [line.removeprefix(PYTHON).split() for line in lines]


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return Recipe(PAGE.read_text())


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the project, in which all processes of the stack are started."""
    project = tmp_path / "project"
    project.mkdir()
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, project / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, project / name)
    monkeypatch.setattr("tests.processes.ROOT", project)
    return project


def write_app(project: Path, recipe: Recipe) -> None:
    for path, content in {"tally/__init__.py": "", **recipe.files()}.items():
        (project / path).parent.mkdir(exist_ok=True)
        (project / path).write_text(content)
    settings = project / "config" / "settings.py"
    text = settings.read_text()
    opening = "INSTALLED_APPS = [\n"
    assert opening in text
    settings.write_text(text.replace(opening, opening + recipe.line_of_settings()))


def delete_app(project: Path, recipe: Recipe) -> None:
    settings = project / "config" / "settings.py"
    settings.write_text(settings.read_text().replace(recipe.line_of_settings(), ""))
    shutil.rmtree(project / "tally")


def manage(stack: Stack, commands: list[list[str]]) -> str:
    """Runs these management commands, which must go well; returns what they print."""
    printed = ""
    for arguments in commands:
        ran = stack.manage(*arguments)
        assert ran.code == 0, ran.err
        printed += ran.out
    return printed


def restart(stack: Stack) -> None:
    for name in ("worker", "relay"):
        stack.stop(name)
        stack.start(name)


def newest_event(stack: Stack) -> int:
    return int(stack.sql("SELECT coalesce(max(id), 0) FROM outbox_outboxevent")[0][0])


def successes(stack: Stack, *, after: int = 0) -> set[int]:
    rows = stack.sql("SELECT id FROM outbox_outboxevent WHERE type = 'DeliverySucceeded' AND id > %s", after)
    return {row[0] for row in rows}


def handled(stack: Stack, handler: str, state: str = "done") -> list[int]:
    """The events that it has handled, one entry for each handling."""
    rows = stack.sql(
        """SELECT h.event_id FROM outbox_handling h JOIN outbox_subscription s ON s.id = h.subscription_id
           WHERE s.handler = %s AND h.state = %s ORDER BY h.event_id""",
        handler,
        state,
    )
    return [row[0] for row in rows]


def test_a_handler_is_added_and_removed_while_rows_are_on_their_way(
    new_stack: Stack,
    project: Path,
    recipe: Recipe,
    third_party: RunningThirdParty,
    feed_of: Callable[[int], Path],
) -> None:
    # Given rows on their way
    new_stack.start(*ONE_OF_EACH)
    third_party.behave("tally", ms=5)
    new_stack.add_destination("shop", third_party.url("/tally"), rate=RATE)
    first = new_stack.send(feed_of(ROWS), to="shop")
    watch(lambda: len(successes(new_stack)) > RATE, within=30, until="a second's rows")

    # When the handler is added, and later removed while other rows are on their way
    _add_the_handler(new_stack, project, recipe, first)
    off, tables_away = recipe.commands("4. Remove it")
    manage(new_stack, [[*off[:-1], name] for name in OTHERS])
    second = new_stack.send(feed_of(ROWS), to="shop")
    received = _switch_it_off(new_stack, off, second)
    with held_up(new_stack, second):
        manage(new_stack, [tables_away])
        delete_app(project, recipe)
        assert new_stack.feed(second).pending > 0, "The rows were not on their way any more."
    restart(new_stack)

    # Then nothing misses it, and nothing was disturbed: each row arrived once, without a failure
    new_stack.wait_for_end(second, within=ROWS / RATE + 30)
    arrived = arrivals(third_party, "/tally").entries
    for feed in (first, second):
        assert_all_succeeded(new_stack, feed, ROWS)
        of_feed = Arrivals([entry for entry in arrived if entry["feed"] == str(feed)])
        assert_each_arrived(of_feed, range(1, ROWS + 1))
    assert new_stack.sql("SELECT sum(tries), sum(deaths) FROM outbox_handling") == [(0, 0)]
    assert handled(new_stack, COUNT) == received


@contextmanager
def held_up(stack: Stack, feed: UUID) -> Iterator[None]:
    """Commands take as long as they take: meanwhile the feed is paused, so that rows are left for later."""
    stack.call("feeds.commands.pause", str(feed))
    yield
    stack.call("feeds.commands.resume", str(feed))


def _add_the_handler(stack: Stack, project: Path, recipe: Recipe, feed: UUID) -> None:
    # When it is written and its subscription stored, beside workers that do not know it
    write_app(project, recipe)
    before = newest_event(stack)
    with held_up(stack, feed):
        manage(stack, recipe.commands("2. Deploy it"))
        subscribed = newest_event(stack)
    # Then new events are kept for it, and nobody runs them yet
    watch(lambda: handled(stack, COUNT, "ready"), within=20, until="events that wait for the handler")
    assert not handled(stack, COUNT)
    assert stack.feed(feed).pending > 0, "The rows were not on their way any more."

    # When workers and relays are restarted
    restart(stack)
    # Then it handles each later event, one as any other form of handler, and no earlier one
    stack.wait_for_end(feed, within=ROWS / RATE + 30)
    stack.assert_at_rest()
    counted = handled(stack, COUNT)
    assert len(counted) == len(set(counted))
    assert set(counted) >= successes(stack, after=subscribed) != set()
    assert min(counted) > before
    assert stack.sql("SELECT sum(count) FROM tally_arrivals") == [(len(counted),)]
    _assert_other_forms_have_run(stack, feed, len(counted))
    # And the page's commands show it
    shown = manage(stack, recipe.commands("3. See it"))
    assert re.search(rf"^{COUNT} +DeliverySucceeded +transactional +on$", shown, re.MULTILINE)


def _switch_it_off(stack: Stack, off: list[str], feed: UUID) -> list[int]:
    """Returns the events that it has received."""
    counted = len(handled(stack, COUNT))
    watch(lambda: len(handled(stack, COUNT)) > counted + RATE, within=30, until="a second's rows")
    # When it is switched off
    with held_up(stack, feed):
        manage(stack, [off])
    stack.wait(lambda: _has_nothing_left(stack), within=20, until="zeros in the status")
    # Then it has handled what it had received
    received = handled(stack, COUNT)
    assert len(received) == len(set(received))
    assert stack.sql("SELECT sum(count) FROM tally_arrivals") == [(len(received),)]

    # And receives no more of what others do
    def later() -> set[int]:
        return successes(stack, after=received[-1]) & set(handled(stack, "feeds.track_progress"))

    watch(later, within=20, until="later rows that others have handled")
    assert _has_nothing_left(stack)
    assert handled(stack, COUNT) == received
    return received


def _assert_other_forms_have_run(stack: Stack, feed: UUID, succeeded: int) -> None:
    folder = stack.folder
    assert (folder / "summaries" / f"{feed}.json").exists()
    receipts = stack.sql("SELECT count(*) FROM tally_receipt WHERE feed_id IS NOT NULL")[0][0]
    assert receipts == len(list((folder / "receipts").iterdir())) == len(handled(stack, OTHERS[0]))
    assert abs(receipts - succeeded) < RATE  # it may have been subscribed some events sooner or later
    assert stack.sql("SELECT count(*) FROM tally_slowest WHERE seconds > 0") == [(1,)]


def _has_nothing_left(stack: Stack) -> bool:
    open_states = ("ready", "leased", "waiting", "parked")
    return not any(handled(stack, name, state) for name in (COUNT, *OTHERS) for state in open_states)


def test_the_policy_of_the_page_does_what_it_says(recipe: Recipe) -> None:
    [block] = [block for block in recipe.blocks("python") if "policy = " in block]
    exec(compile(block, str(PAGE), "exec"), {})  # noqa: S102 our own page
