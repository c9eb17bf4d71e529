"""What holds for the whole suite: slow tests and those in a browser only when asked for, tests that share
processes together."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.contenttypes.management import create_contenttypes
from django.db import connection
from django.db.models.signals import post_migrate
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

from outbox import wakeup
from tests.noting import running
from tests.third_party import RunningThirdParty

WHOLE_FILES = ("tests/acceptance/", "tests/browser/")
ONLY_WHEN_ASKED_FOR = ("slow", "browser")
ALWAYS_THE_SAME = ("django_content_type", "auth_permission")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: the long version of a measurement; runs only with -m slow")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # Not in addopts: an -m on the command line takes the place of one that stands there.
    unasked = [marker for marker in ONLY_WHEN_ASKED_FOR if marker not in config.option.markexpr]
    left_out = [item for item in items if any(map(item.get_closest_marker, unasked))]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None) -> None:
    """After a test that commits, only rows are deleted. TRUNCATE makes the files of each anew, a quarter
    of a second on PostgreSQL; and what Django itself stores by `post_migrate` would be stored again."""
    post_migrate.disconnect(create_contenttypes)
    post_migrate.disconnect(dispatch_uid="django.contrib.auth.management.create_permissions")

    def rows_alone(style: Any, tables: Sequence[str], **_: Any) -> list[str]:
        return [f"DELETE FROM {name}" for name in tables if name not in ALWAYS_THE_SAME]

    connection.ops.sql_flush = rows_alone  # type: ignore[method-assign]


@pytest.fixture(autouse=True)
def relay_is_not_woken(monkeypatch: pytest.MonkeyPatch) -> None:
    """No thread of the test process speaks to a broker; stacks of real processes wake their own relay."""
    monkeypatch.setattr(wakeup, "_waker", SimpleNamespace(pid=os.getpid(), wake=lambda: None))


@pytest.fixture(autouse=True)
def passwords_are_cheap(settings: Any) -> None:
    """Argon2 takes its time by design, at each user that a test makes."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(scope="module")
def third_party() -> Iterator[RunningThirdParty]:
    """A third party of a file's own: its tests do not disturb each other."""
    with RunningThirdParty() as third_party:
        yield third_party


@pytest.fixture
def noting() -> Iterator[str]:
    """The address of a third party that keeps each request as it came."""
    with running() as address:
        yield address


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
