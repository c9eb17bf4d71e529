"""Uploads over HTTP to a real web process: streamed, and nothing left of one that does not succeed."""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.acceptance.visitor import Visitor, add_person
from tests.processes import Stack

pytestmark = pytest.mark.processes

MB = 1024 * 1024
FLAT = 12 * MB  # that a web process may grow by, whatever is uploaded
DISK = 3 * MB


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A web alone, with folders of its own for what is received and what is stored."""
    folder = tmp_path_factory.mktemp("stack")
    (folder / "received").mkdir()
    (folder / "stored").mkdir()
    with Stack(folder, TMPDIR=str(folder / "received"), STORAGE_URL=f"file://{folder / 'stored'}") as stack:
        stack.start("web")
        add_person(stack, "olga")
        yield stack


@pytest.fixture(scope="module")
def shop(stack: Stack) -> int:
    return stack.add_destination("shop", "https://shop.example")


@pytest.fixture(scope="module")
def olga(stack: Stack) -> Iterator[Visitor]:
    with Visitor(stack, "olga") as olga:
        yield olga


@pytest.fixture
def left(stack: Stack) -> Callable[[], list[str]]:
    """Files that are there now and were not when the test began, and feeds."""

    def found() -> set[str]:
        places = [path for name in ("received", "stored") for path in (stack.folder / name).rglob("*")]
        feeds = stack.sql("SELECT id, name FROM feeds_feed")
        return {str(path.relative_to(stack.folder)) for path in places} | {
            f"feed {name}" for _, name in feeds
        }

    before = found()
    return lambda: sorted(found() - before)


def serving(stack: Stack) -> list[int]:
    """The processes that answer: the children of the one that listens."""
    return [
        int(pid)
        for pid in Path(f"/proc/{stack.pid('web')}/task/{stack.pid('web')}/children").read_text().split()
    ]


def memory(pid: int, what: str) -> int:
    """In bytes: VmRSS is now, VmHWM the most since it was last asked to forget."""
    line = next(
        line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith(what)
    )
    return int(line.split()[1]) * 1024


def test_a_large_upload_is_streamed_to_storage_in_flat_memory(
    stack: Stack, shop: int, olga: Visitor, left: Callable[[], list[str]]
) -> None:
    # Given a web process that has served an upload
    olga.uploading([("small.csv", 1 * MB)], destination=shop).finish()
    [pid] = serving(stack)
    Path(f"/proc/{pid}/clear_refs").write_text("5")  # the peak is counted from here
    before = memory(pid, "VmRSS")
    # When a large one comes
    size = 250 * MB
    status, place, page = olga.uploading([("large.csv", size)], destination=shop).finish()
    # Then it is a feed, whole, and the process held little of it at any moment
    assert status == 302, page
    [(stored,)] = stack.sql("SELECT size FROM feeds_feed WHERE name = 'large.csv'")
    assert stored == size
    assert (stack.folder / "stored" / place.split("/")[2] / "source").stat().st_size == size
    assert memory(pid, "VmHWM") - before < FLAT
    assert not list((stack.folder / "received").iterdir())


def test_what_is_too_large_is_refused_before_it_is_sent(
    stack: Stack, shop: int, olga: Visitor, left: Callable[[], list[str]]
) -> None:
    upload = olga.uploading([("huge.csv", 1 * MB)], destination=shop, said_length=3 * 1024 * MB)
    status, _, page = upload.answer()
    assert status == 413
    assert "An upload may have at most 2 GB in all." in page
    assert "Nothing was stored and nothing is sent." in page
    assert left() == []


def test_a_client_that_breaks_off_leaves_nothing(
    stack: Stack, shop: int, olga: Visitor, left: Callable[[], list[str]]
) -> None:
    # Given an upload of two files, of which one has come whole and one in part
    upload = olga.uploading([("one.csv", 4 * MB), ("two.csv", 40 * MB)], destination=shop)
    upload.send(at_most=12 * MB)
    stack.wait(lambda: len(left()) == 2, within=10, until="two files to be received")
    # When the client is gone
    upload.connection.close()
    # Then so are they
    stack.wait(lambda: left() == [], within=10, until="nothing to be left")


@contextmanager
def small_disk(place: Path) -> Iterator[None]:
    """For a while the folder is a file system of its own, and what it held is out of sight."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small file system")
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no file system may be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


FULL_WHILE_RECEIVED = (
    507,
    "The file was not stored, and nothing of it is left behind.",
    "Ask an admin to make room",
)
FULL_AT_THE_FIRST = (422, "Nothing of it was kept and nothing is sent.", "Ask an admin to make room")
FULL_AT_THE_SECOND = (422, "These are uploaded: one.csv.", "upload only the rest again")


@pytest.mark.parametrize(
    ("folder", "sizes", "told", "kept"),
    [
        ("received", {"one.csv": DISK + MB}, FULL_WHILE_RECEIVED, []),
        ("received", {"one.csv": DISK + 1}, FULL_WHILE_RECEIVED, []),  # full at the last bytes
        ("received", {"one.csv": 2 * MB, "two.csv": 2 * MB}, FULL_WHILE_RECEIVED, []),
        ("stored", {"one.csv": DISK + MB, "two.csv": MB}, FULL_AT_THE_FIRST, []),
        ("stored", {"one.csv": DISK + 1}, FULL_AT_THE_FIRST, []),
        (
            "stored",
            {"one.csv": 2 * MB, "two.csv": 2 * MB, "three.csv": MB},
            FULL_AT_THE_SECOND,
            ["feed one.csv"],
        ),
    ],
)
def test_with_the_disk_full_at_any_stage_nothing_is_left_and_it_says_what_to_do(
    stack: Stack,
    shop: int,
    olga: Visitor,
    left: Callable[[], list[str]],
    folder: str,
    sizes: dict[str, int],
    told: tuple[int, str, str],
    kept: list[str],
) -> None:
    with small_disk(stack.folder / folder):
        status, _, page = olga.uploading(list(sizes.items()), destination=shop).finish()
        files = [path for path in (stack.folder / folder).rglob("*") if path.is_file()]
        assert len(files) == len(kept)
    assert (status, [sentence for sentence in told[1:] if sentence not in page]) == (told[0], []), page
    assert left() == kept
