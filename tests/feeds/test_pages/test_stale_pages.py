"""A page that was left open: whatever became of its feed meanwhile, no button and no form fails."""

import shutil
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from feeds.models import Deed, Errand, Feed, FeedStatus, Row
from outbox.models import OutboxEvent

pytestmark = pytest.mark.django_db

CELLS = {"cell-0": "9", "cell-1": "Stool", "cell-2": "1"}
BUTTONS: dict[str, tuple[str, dict[str, object], dict[str, str]]] = {
    **{
        action: ("feeds:act", {"action": action}, {})
        for action in ("send", "try", "rest", "resume", "pause", "cancel")
    },
    "correct": ("feeds:correct", {}, {"delimiter": ";", "preamble": "2"}),
    "columns": ("feeds:confirm_columns", {}, {"column": "sku", "found": "name"}),
    "retry": ("feeds:retry", {}, {}),
    "retry group": ("feeds:retry", {}, {"group": "0123456789abcdef"}),
    "give up": ("feeds:give_up", {}, {}),
    "edit": ("feeds:edit_row", {"number": 2}, CELLS | {"revision": "1"}),
    "edit invalid": ("feeds:edit_row", {"number": 3}, CELLS | {"checked": "yes"}),
}
PAGES: dict[str, tuple[str, dict[str, object]]] = {
    "feed": ("feeds:feed", {}),
    "live": ("feeds:live", {}),
    "reasons": ("feeds:reasons", {}),
    "rows": ("feeds:rows", {}),
    "row": ("feeds:row", {"number": 2}),
    "row that is not there": ("feeds:row", {"number": 99}),
    "failed file": ("feeds:results", {"kind": "failed"}),
    "spreadsheet": ("feeds:results_xlsx", {"kind": "failed"}),
}


_NONE: dict[str, object] = {"created": 0, "tried": 0, "succeeded": 0, "import_done": False}
_UNREAD = _NONE | {"total": 0, "failed": 0, "invalid": 0, "pending": 0}
UNSENT = {
    FeedStatus.CHECKING: _UNREAD,
    FeedStatus.READY: _NONE | {"failed": 1, "pending": 2},
    FeedStatus.REJECTED: _UNREAD | {"reason": "It is empty."},
}


def as_it_is(feed: Feed) -> None:
    """Nothing happened."""


def without_its_rows(feed: Feed) -> None:
    """As the retention leaves it."""
    shutil.rmtree(feed.folder, ignore_errors=True)
    Row.objects.filter(feed_id=feed.id).delete()
    Feed.objects.filter(id=feed.id).update(rows_deleted=True, deleted_up_to=feed.total)


def lost(feed: Feed) -> None:
    """Deleted."""
    Deed.objects.filter(feed=feed).delete()
    Errand.objects.filter(feed=feed).delete()
    Feed.objects.filter(id=feed.id).delete()


MEANWHILE = {f.__name__: f for f in (as_it_is, without_its_rows, lost)}


@pytest.fixture(params=FeedStatus.values)
def feed(request, delivering):
    fields = {"status": request.param} | UNSENT.get(request.param, {})
    Feed.objects.filter(id=delivering.id).update(**fields)
    delivering.refresh_from_db()
    return delivering


@pytest.fixture(params=MEANWHILE)
def meanwhile(request, feed) -> Callable[[], None]:
    return lambda: MEANWHILE[request.param](feed)


def told(answer, browser: Client) -> None:
    """A page of ours with a sentence, and no error of ours."""
    assert answer.status_code in (200, 302, 404, 422), answer.status_code
    if answer.status_code == 302:
        answer = browser.get(answer.url)
        assert answer.status_code in (200, 404), answer.status_code
    if answer.status_code == 404:
        assert "There is nothing here" in answer.text


def test_no_button_fails_and_none_does_it_twice(as_, owner, feed, meanwhile):
    browser = as_(owner)
    before: dict[str, Any] = dict(Feed.objects.values().get())
    for name, (view, arguments, form) in BUTTONS.items():
        meanwhile()
        url = reverse(view, kwargs={"feed_id": feed.id} | arguments)
        told(browser.post(url, form), browser)
        again = OutboxEvent.objects.count(), Deed.objects.count()
        told(browser.post(url, form), browser)
        assert (OutboxEvent.objects.count(), Deed.objects.count()) == again, f"{name} did it twice"
        Feed.objects.filter(id=feed.id).update(**{name: before[name] for name in before if name != "id"})
        Errand.objects.all().delete()


def test_every_page_opens(as_, owner, feed, meanwhile):
    browser = as_(owner)
    meanwhile()
    for view, arguments in PAGES.values():
        answer = browser.get(reverse(view, kwargs={"feed_id": feed.id} | arguments))
        told(answer, browser)
