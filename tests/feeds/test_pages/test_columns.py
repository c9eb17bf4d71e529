"""The question about missing columns on a feed's page, and what was answered on the mapping's."""

import pytest
from django.urls import reverse

from feeds.commands import add_mapping
from feeds.models import Alias, Feed, FeedStatus

pytestmark = pytest.mark.django_db

DOCUMENT = {"fields": {"sku": "id", "selling price": "price"}}


@pytest.fixture
def asking(make_feed):
    """A feed whose file lacks the mapping's "selling price"."""
    mapping = add_mapping(name="products", document=DOCUMENT)
    fields = {"mapping_name": str(mapping), "mapping": DOCUMENT, "missing": ["selling price"]}
    return lambda status=FeedStatus.READY: make_feed(status, **fields)


def answer(browser, feed, found="price", column="selling price"):
    data = {"column": [column], "found": [found]}
    return browser.post(reverse("feeds:confirm_columns", args=[feed.id]), data, follow=True)


@pytest.mark.parametrize("status", [FeedStatus.READY, FeedStatus.REJECTED])
def test_the_page_names_the_missing_column_and_proposes_the_most_similar(as_, owner, asking, status):
    page = as_(owner).get(reverse("feeds:feed", args=[asking(status).id])).text

    assert "A column is missing, so nothing was sent" in page
    assert '<option value="price" selected>' in page
    assert '<option value="sku"' not in page
    assert "Use this column from now on" in page
    assert "do/send/" not in page


@pytest.mark.parametrize("at_once", [True, False])
def test_who_has_a_file_read_again_is_told_that_it_is_then_sent(as_, owner, asking, make_feed, at_once):
    missing, unread = asking(FeedStatus.REJECTED), make_feed(FeedStatus.REJECTED, reason="It is empty.")
    Feed.objects.update(send_at_once=at_once)
    for url in (
        reverse("feeds:feed", args=[missing.id]),
        reverse("feeds:feed", args=[unread.id]),
        f"{reverse('feeds:mapping', args=['products'])}?feed={missing.id}",
    ):
        page = as_(owner).get(url).text
        assert ("it is sent at once, as was said at the upload." in page) is at_once, url


def test_what_was_read_stands_below_the_question(as_, owner, asking):
    page = as_(owner).get(reverse("feeds:feed", args=[asking().id])).text
    assert "UTF-8" in page
    assert "Lamp" in page
    listed = as_(owner).get(reverse("feeds:list")).text
    assert "Columns are missing: say which are meant" in listed


@pytest.mark.parametrize("status", [FeedStatus.READY, FeedStatus.REJECTED])
@pytest.mark.parametrize(
    ("dialect", "columns"),
    [
        ({"delimiter": ";"}, ["sku,name,price"]),
        ({"delimiter": ";", "has_header": False}, ["column_1"]),
        ({"delimiter": ""}, ["sku,name,price"]),
    ],
)
def test_lines_that_were_read_as_one_cell_bring_up_the_delimiter(
    as_, owner, make_feed, status, dialect, columns
):
    named = {"mapping_name": "products, version 1", "mapping": DOCUMENT, "missing": ["sku", "selling price"]}
    read = {"dialect": dialect | {"encoding": "utf-8"}, "columns": columns, "width": 1, "kept": [0]}
    feed = make_feed(status, said={"delimiter": ";"}, **named, **read)
    page = as_(owner).get(reverse("feeds:feed", args=[feed.id])).text

    assert "The file seems to have one column only, so nothing was sent" in page
    assert "<code>sku,name,price</code>. Are commas between its cells?" in page
    assert '<option value="," selected>Comma</option>' in page
    assert page.count('name="delimiter"') == 1
    assert "from now on" not in page


def test_a_line_with_markup_in_it_is_shown_as_text(as_, owner, make_feed):
    named = {"mapping_name": "products, version 1", "mapping": DOCUMENT, "missing": ["sku", "selling price"]}
    feed = make_feed(columns=["<img src=x>,sku"], width=1, kept=[0], dialect={"delimiter": ";"}, **named)
    page = as_(owner).get(reverse("feeds:feed", args=[feed.id])).text

    assert "<code>&lt;img src=x&gt;,sku</code>" in page


def test_a_file_that_really_has_one_column_is_asked_about_it(as_, owner, make_feed):
    named = {"mapping_name": "products, version 1", "mapping": DOCUMENT, "missing": ["selling price"]}
    feed = make_feed(columns=["price"], width=1, kept=[0], **named)
    page = as_(owner).get(reverse("feeds:feed", args=[feed.id])).text

    assert "A column is missing, so nothing was sent" in page
    assert '<option value="price" selected>' in page


def test_a_page_that_was_left_open_cannot_send_it(as_, owner, asking):
    feed = asking()
    page = as_(owner).post(reverse("feeds:act", args=[feed.id, "send"]), follow=True).text

    assert "lacks what the mapping names (selling price)" in page
    feed.refresh_from_db()
    assert feed.status == FeedStatus.READY


def test_the_answer_is_stored_and_listed_and_removed_on_the_mappings_page(as_, owner, asking):
    browser, feed = as_(owner), asking()
    assert "Noted, for this feed and later ones" in answer(browser, feed).text
    feed.refresh_from_db()
    assert feed.status == FeedStatus.CHECKING

    alias = Alias.objects.get()
    page = browser.get(reverse("feeds:mapping", args=["products"])).text
    assert "Columns by other names" in page
    assert "olga" in page
    url = reverse("feeds:remove_alias", args=[alias.id])
    assert "no longer taken for selling price" in browser.post(url, follow=True).text
    assert "Somebody has removed it already" in browser.post(url, follow=True).text


@pytest.mark.parametrize("found", ["", "nothing"])
def test_an_answer_without_a_column_is_told_in_a_sentence(as_, owner, asking, found):
    feed = asking()
    page = answer(as_(owner), feed, found).text

    assert 'class="note closable warning" role="status"' in page
    assert Feed.objects.get(id=feed.id).status == FeedStatus.READY


def test_a_second_click_is_told_and_does_nothing_twice(as_, owner, asking):
    browser, feed = as_(owner), asking()
    answer(browser, feed)
    assert "This is how it stands now" in answer(browser, feed).text
    assert Alias.objects.count() == 1
