"""What holds for the whole suite: slow tests and those in a browser only when asked for, tests that share
processes together."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

from outbox import wakeup

WHOLE_FILES = ("tests/acceptance/", "tests/browser/")
ONLY_WHEN_ASKED_FOR = ("slow", "browser")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: the long version of a measurement; runs only with -m slow")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # Not in addopts: an -m on the command line takes the place of one that stands there.
    unasked = [marker for marker in ONLY_WHEN_ASKED_FOR if marker not in config.option.markexpr]
    left_out = [item for item in items if any(map(item.get_closest_marker, unasked))]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture(autouse=True)
def relay_is_not_woken(monkeypatch: pytest.MonkeyPatch) -> None:
    """No thread of the test process speaks to a broker; stacks of real processes wake their own relay."""
    monkeypatch.setattr(wakeup, "_waker", SimpleNamespace(pid=os.getpid(), wake=lambda: None))


@pytest.fixture(scope="session")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("static")


@pytest.fixture(autouse=True)
def pages_need_no_collected_files(settings: Any, collected: Path) -> None:
    """A fresh clone has collected none of its static files, and `make test` does not."""
    settings.STATIC_ROOT = collected
    settings.STORAGES = settings.STORAGES | {
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    }


class _ByFile(LoadScopeScheduling):  # type: ignore[misc]
    """A file whose tests share processes goes to one worker, every other test to whoever is free."""

    def _split_scope(self, nodeid: str) -> str:
        return nodeid.split("::")[0] if nodeid.startswith(WHOLE_FILES) else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    return _ByFile(config, log)
