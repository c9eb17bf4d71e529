"""Where rows go and what they become, chosen among a few and among thousands."""

import re

import pytest
from django.contrib.auth.models import Group
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from deliveries.commands import add_destination
from deliveries.models import Destination
from feeds.commands import add_mapping
from feeds.models import Feed
from tests.feeds.test_pages.conftest import CSV

pytestmark = pytest.mark.django_db
UPLOAD = "/feeds/new/"


@pytest.fixture
def thousands(monkeypatch, destination):
    """More than fit into a list."""
    monkeypatch.setattr("feeds.named_choices.OFFERED", 3)
    monkeypatch.setattr("feeds.named_choices.SUGGESTED", 2)
    for number in range(5):
        add_destination(name=f"shop-{number}", url="https://shop.example")
        add_mapping(name=f"Map {number}", document={})
    add_mapping(name="Map 3", document={"path": "/newer"})
    Destination.objects.filter(name="shop-4").update(group=Group.objects.create(name="Others"))


def upload(browser, **chosen):
    file = SimpleUploadedFile("products.csv", CSV, content_type="text/csv")
    return browser.post(UPLOAD, {"file": file, "send_at_once": "", "mapping": "", **chosen})


def test_a_few_are_a_list_and_what_a_person_came_from_is_chosen(as_, owner, destination):
    add_destination(name="a-first", url="https://shop.example")
    add_mapping(name="Products", document={})
    browser = as_(owner)
    links = [browser.get(reverse(f"feeds:{name}")).text for name in ("destinations", "mappings")]
    assert f'href="{UPLOAD}?destination=shop"' in links[0]
    assert f'href="{UPLOAD}?mapping=Products"' in links[1]
    page = browser.get(f"{UPLOAD}?destination=shop&mapping=Products").text
    assert re.findall(r"selected>([^<]+)<", page) == ["shop", "Products, version 1"]
    assert "datalist" not in page
    page = browser.get(f"{UPLOAD}?destination=nowhere&mapping=%00").text
    assert re.findall(r"selected>([^<]+)<", page) == ["Each row as a JSON object of its columns"]


def test_who_says_no_destination_is_offered_that_of_their_last_feed(
    as_, owner, other, destination, make_feed
):
    add_destination(name="a-first", url="https://shop.example")
    selected = re.compile(rf'value="{destination.id}" selected')
    assert not selected.search(as_(owner).get(UPLOAD).text)
    make_feed()
    assert selected.search(as_(owner).get(UPLOAD).text)
    assert not selected.search(as_(other).get(UPLOAD).text)
    assert not selected.search(as_(owner).get(f"{UPLOAD}?destination=a-first").text)

    # When they may no longer send there
    Destination.objects.filter(id=destination.id).update(group=Group.objects.create(name="Others"))
    assert as_(owner).get(UPLOAD).status_code == 200


def test_among_thousands_one_is_chosen_by_its_name(as_, owner, thousands):
    browser = as_(owner)
    page = browser.get(UPLOAD).text
    assert "<select" not in page
    assert "Map 2" not in page
    assert upload(browser, destination="shop-2", mapping="Map 3").status_code == 302
    feed = Feed.objects.get()
    assert (feed.destination.name, feed.mapping_name) == ("shop-2", "Map 3, version 2")
    page = browser.get(f"{UPLOAD}?destination=shop-3&mapping=Map%203").text
    assert re.findall(r'name="(?:destination|mapping)" value="([^"]+)"', page) == ["shop-3", "Map 3"]


@pytest.mark.parametrize(
    ("chosen", "told"),
    [
        ({"destination": "hop-1"}, "There is no destination called “hop-1”. Do you mean shop-1?"),
        ({"destination": "nowhere"}, "There is no destination called “nowhere”. Choose another."),
        ({"destination": ""}, "Choose where the rows go."),
        ({"destination": "shop-4"}, "There is no destination called “shop-4”. Choose another."),
        (
            {"destination": "shop-1", "mapping": "map"},
            "There is no mapping called “map”. Do you mean Map 0 or",
        ),
        ({"destination": "a\x00b"}, "Null characters are not allowed"),
    ],
)
def test_a_name_that_there_is_not_is_told_with_similar_ones(as_, owner, thousands, chosen, told):
    answer = upload(as_(owner), **chosen)
    assert answer.status_code == 422
    assert told in answer.text
    assert not Feed.objects.exists()


def test_a_mapping_that_there_is_not_is_told_on_the_page_of_a_feed_too(as_, owner, thousands, make_feed):
    feed, browser = make_feed(), as_(owner)
    url = reverse("feeds:choose_mapping", args=[feed.id])
    page = browser.post(url, {"mapping": "ap 2"}, follow=True).text
    assert "There is no mapping called “ap 2”. Do you mean Map 2?" in page


def test_a_mapping_of_which_there_is_a_newer_version_meanwhile_is_to_be_chosen_again(as_, owner, destination):
    seen = add_mapping(name="Products", document={})
    add_mapping(name="Products", document={"path": "/newer"})
    answer = upload(as_(owner), destination=destination.id, mapping=seen.id)
    assert answer.status_code == 422
    assert "There is a newer version of this mapping: choose once more." in answer.text


def test_names_are_suggested_while_one_is_typed_and_only_those_that_may_be_chosen(as_, owner, thousands):
    def suggested(kind, text):
        return re.findall(r'value="([^"]+)"', as_(owner).get(f"{UPLOAD}names/{kind}/", {kind: text}).text)

    assert suggested("destination", "hop-") == ["shop-0", "shop-1"]
    assert suggested("destination", "SHOP-4") == []
    assert suggested("mapping", "3") == ["Map 3"]
    add_mapping(name="Größen", document={})
    assert suggested("mapping", "GRÖSS") == ["Größen"]
    assert len(suggested("mapping", "")) == 2
    assert as_(owner).get(f"{UPLOAD}names/nothing/").status_code == 404


def test_the_form_reads_no_more_of_thousands_than_it_needs(as_, owner, thousands):
    with CaptureQueriesContext(connection) as asked:
        as_(owner).get(UPLOAD)
    for sql in (each["sql"] for each in asked.captured_queries):
        if 'FROM "deliveries_destination"' in sql or 'FROM "feeds_mapping"' in sql:
            assert "LIMIT" in sql
            assert "document" not in sql
            assert "credentials" not in sql
