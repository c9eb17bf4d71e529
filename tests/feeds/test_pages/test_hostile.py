"""Whatever is written into an address or a form, the answer is a page that says what is wrong, never an
error of ours."""

import pytest
from django.http import QueryDict

from tests.feeds.test_pages.test_access import every_page

pytestmark = pytest.mark.django_db

HOSTILE = {
    "a NUL character": "\x00",
    "a number beyond every column": "9" * 30,
    "too long": "é" * 3000,
}


@pytest.fixture
def reads(monkeypatch):
    """The names of all that the pages ask a request's address or form for, as they ask."""
    names: set[str] = set()
    for method in ("__getitem__", "__contains__", "get", "getlist"):
        plain = getattr(QueryDict, method)

        def noted(self, key, *more, plain=plain, **options):
            names.add(key)
            return plain(self, key, *more, **options)

        monkeypatch.setattr(QueryDict, method, noted)
    return names


@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
def test_nothing_that_is_entered_breaks_a_page(as_, admin, address, reads, value):
    browser, broken, tried = as_(admin), [], 0
    for name, arguments in every_page():
        if name in ("readyz", "logout"):
            continue
        for ask in (browser.get, browser.post):
            reads.clear()
            ask(address(name, arguments))
            ask(address(name, arguments), dict.fromkeys(reads, value))
            alone = reads if value == "\x00" else ()  # no field's refusal hides another's
            for asked in [*({field: value} for field in alone), dict.fromkeys(reads, value)]:
                answer = ask(address(name, arguments), asked)
                tried += 1
                if answer.status_code >= 500:
                    broken.append((name, ask.__name__, list(asked), answer.status_code))
    assert tried > 50
    assert not broken
