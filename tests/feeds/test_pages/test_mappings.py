"""Mappings are filled in as a form, or written as JSON; beside it, what the first rows become."""

from typing import Any

import pytest
from django.urls import reverse

from feeds.commands import add_mapping
from feeds.mapping import MappingError
from feeds.models import Deed, Feed, Mapping

pytestmark = pytest.mark.django_db

NAMES = [
    "number",
    "kind",
    "column",
    "value",
    "to",
    "type",
    "decimal",
    "thousands",
    "yes",
    "no",
    "format",
    "by",
    "empty",
]
BLANK = dict.fromkeys(NAMES, "") | {"kind": "column", "type": "text", "decimal": ".", "empty": "text"}


def numbered(parts):
    return [{"number": str(n)} | part for n, part in enumerate(parts, start=1)]


def filled(*parts, rules=(), **more):
    """What a browser posts of the form."""
    data: dict[str, Any] = {"as": "form", "name": "Products", "method": "", "path": "", "content_type": ""}
    fields, rules = numbered(parts), numbered(rules)
    data |= {f"field-{name}": [(BLANK | field)[name] for field in fields] for name in NAMES}
    for name in ("number", "column", "pattern", "one_of"):
        data[f"rule-{name}"] = [rule.get(name, "") for rule in rules]
    for name in ("required", "unique"):
        data[f"rule-{name}"] = [rule["number"] for rule in rules if rule.get(name)]
    return data | more


SKU, PRICE = {"column": "sku", "to": "id"}, {"column": "price", "to": "price.amount", "type": "number"}
EUR = {"kind": "constant", "value": "EUR", "to": "price.currency"}


def test_a_new_mapping_begins_with_the_columns_of_the_newest_feed_and_their_requests(as_, owner, make_feed):
    make_feed()
    page = as_(owner).get(reverse("feeds:add_mapping")).text

    for n, column in enumerate(("sku", "name", "price"), start=1):
        assert f'name="field-column" id="column-{n}" value="{column}"' in page
    assert "&quot;name&quot;: &quot;Lamp&quot;" in page


def test_the_page_of_a_new_mapping_asks_for_each_thing_once(
    as_, owner, make_feed, django_assert_max_num_queries
):
    make_feed()
    browser = as_(owner)
    with django_assert_max_num_queries(3):  # session, person, feeds to choose from
        browser.get(reverse("feeds:add_mapping"))


def test_the_form_stores_the_document_that_json_would(as_, owner):
    rules = [
        {"column": "sku", "required": True, "unique": True},
        {"column": "name", "one_of": "Lamp\r\nChair"},
    ]
    data = filled(SKU, PRICE, EUR, rules=rules, method="PUT", path="/p/{sku}")
    answer = as_(owner).post(reverse("feeds:add_mapping"), data)

    assert answer.url == reverse("feeds:mapping", args=["Products"])
    assert Mapping.objects.get().document == {
        "version": 1,
        "method": "PUT",
        "path": "/p/{sku}",
        "fields": [
            {"column": "sku", "to": "id"},
            {"column": "price", "to": "price.amount", "type": "number"},
            {"constant": "EUR", "to": "price.currency"},
        ],
        "rules": {"sku": {"required": True, "unique": True}, "name": {"one_of": ["Lamp", "Chair"]}},
    }


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}])
def test_parts_are_added_and_removed_by_buttons_and_nothing_is_stored(as_, owner, make_feed, headers):
    make_feed()
    browser, url = as_(owner), reverse("feeds:add_mapping")

    def press(button, *fields, **more):
        return browser.post(url, filled(*fields, do=button, **more), headers=headers).text

    assert 'value="add:name"' in press("show", SKU)
    assert 'value="name" list="columns"' in press("add:name", SKU)
    assert 'aria-label="Field 2"' in press("constant", SKU)
    assert 'aria-label="Rule 1"' in press("rule", SKU)
    assert 'aria-label="Field 2"' not in press("remove:2", SKU, PRICE)
    assert 'aria-label="Rule 1"' not in press("unrule:1", SKU, rules=[{"column": "a"}])
    assert 'aria-label="Field 1"' in press("remove:7", SKU)
    assert not Mapping.objects.exists()


def test_a_part_keeps_its_number_while_others_go_and_a_complaint_calls_it_by_that(as_, owner, make_feed):
    make_feed()
    fields = [SKU | {"number": "2"}, {"column": "name", "type": "date", "number": "5"}]
    rules = [{"column": "sku", "number": "3", "unique": True}, {"column": "name", "number": "4"}]
    page = as_(owner).post(reverse("feeds:add_mapping"), filled(*fields, rules=rules, do="add")).text

    for label in ("Field 2", "Field 5", "Field 6", "Rule 3", "Rule 4"):
        assert f'aria-label="{label}"' in page
    assert "Field 5: Format is empty" in page
    assert 'name="rule-unique" value="3" checked' in page
    assert 'name="rule-unique" value="4" checked' not in page


def test_the_requests_are_shown_without_a_script_too(as_, owner, make_feed):
    make_feed()
    page = as_(owner).post(reverse("feeds:add_mapping"), filled(SKU, PRICE, EUR, do="show")).text

    assert "&quot;amount&quot;: 10.50" in page
    assert "&quot;currency&quot;: &quot;EUR&quot;" in page


def test_the_requests_follow_while_the_form_is_filled_in(as_, owner, make_feed):
    make_feed()
    page = as_(owner).post(reverse("feeds:preview_mapping"), filled(SKU, PRICE)).text

    assert "&quot;amount&quot;: 10.50" in page
    assert "<form" not in page


def test_a_pasted_header_is_as_good_as_a_feed(as_, owner):
    data = filled({"column": "preis", "to": "p", "type": "number", "decimal": ","}, do="sample")
    page = (
        as_(owner)
        .post(reverse("feeds:add_mapping"), data | {"pasted": "Artikel;Preis\n4711;1,50\nshort\n"})
        .text
    )

    assert 'value="add:Artikel"' in page
    assert "&quot;p&quot;: 1.50" in page


def test_a_feed_whose_file_is_gone_or_unreadable_gives_a_page_without_requests(as_, owner, make_feed):
    feed = make_feed()
    url = f"{reverse('feeds:add_mapping')}?feed={feed.id}"
    feed.plain_path.write_bytes(b'"sku,name\n')
    assert as_(owner).get(url).status_code == 200
    assert as_(owner).get(reverse("feeds:feed", args=[feed.id])).status_code == 200
    feed.plain_path.unlink()
    assert as_(owner).get(url).status_code == 200
    assert as_(owner).get(reverse("feeds:feed", args=[feed.id])).status_code == 200


@pytest.mark.parametrize("pasted", ["", " \n", '"', "a,b", "\x00", "x" * 30_000])
def test_whatever_is_pasted_gives_a_page(as_, owner, pasted):
    answer = as_(owner).post(reverse("feeds:add_mapping"), filled(SKU, do="show", pasted=pasted))
    assert answer.status_code == 200


def test_what_is_wrong_stands_beside_its_field_and_nothing_is_stored(as_, owner, make_feed):
    make_feed()
    page = as_(owner).post(reverse("feeds:add_mapping"), filled(SKU, {"column": "name", "type": "date"})).text

    assert 'role="alert">Format is empty: say how a date is written, such as DD.MM.YYYY.' in page
    assert "Field 2: Format is empty" in page
    assert 'value="Products"' in page
    assert not Mapping.objects.exists()


def test_a_mapping_without_a_name_is_told_and_the_form_is_kept(as_, owner):
    page = as_(owner).post(reverse("feeds:add_mapping"), filled(SKU, name="")).text

    assert "This field is required" in page
    assert 'id="column-1" value="sku"' in page


def test_form_and_json_are_two_ways_to_write_the_same(as_, owner):
    browser, url = as_(owner), reverse("feeds:add_mapping")
    page = browser.post(url, filled(SKU, PRICE, do="json")).text
    assert "&quot;to&quot;: &quot;price.amount&quot;" in page
    assert 'name="document"' in page

    document = '{"fields": {"sku": "id"}}'
    page = browser.post(url, {"as": "json", "name": "x", "document": document, "do": "form"}).text
    assert 'id="column-1" value="sku"' in page
    assert not Mapping.objects.exists()


def test_a_stored_mapping_opens_in_the_form_or_says_why_it_cannot(as_, owner):
    add_mapping(name="plain", document={"fields": {"sku": "id"}, "rules": {"sku": {"unique": True}}})
    add_mapping(name="shaped", document={"body": {"id": "{sku}"}})
    browser = as_(owner)

    page = browser.get(reverse("feeds:mapping", args=["plain"])).text
    assert 'id="column-1" value="sku"' in page
    assert 'name="rule-unique" value="1" checked' in page
    assert 'name="document"' in browser.get(reverse("feeds:mapping", args=["plain"]) + "?as=json").text
    page = browser.get(reverse("feeds:mapping", args=["shaped"])).text
    assert "It has a JSON template (body), which the form does not show. So it is shown as JSON." in page
    page = browser.post(
        reverse("feeds:mapping", args=["shaped"]),
        {"as": "json", "name": "shaped", "document": '{"body": 1}', "do": "form"},
    ).text
    assert "Go on in JSON" in page


def test_a_form_of_a_thousand_columns_is_taken(as_, owner):
    fields = [{"column": f"c{n}", "to": f"c{n}"} for n in range(1000)]
    answer = as_(owner).post(reverse("feeds:add_mapping"), filled(*fields))

    assert answer.status_code == 302
    assert len(Mapping.objects.get().document["fields"]) == 1000


@pytest.mark.parametrize("data", [{"as": "form"}, {"as": "form", "do": "remove:x"}, {"as": "odd"}, {}])
def test_a_post_that_no_page_makes_gives_a_page(as_, owner, data):
    assert as_(owner).post(reverse("feeds:add_mapping"), data).status_code == 200


@pytest.mark.parametrize("name", ["a\nb", "a\tb", "a\u2028b", "..", "a/../b", "x" * 101])
def test_a_name_that_has_no_page_of_its_own_is_refused(as_, owner, admin, name):
    browser = as_(owner)
    answer = browser.post(reverse("feeds:add_mapping"), filled(SKU, name=name))
    assert 'class="problem" role="alert"' in answer.text
    assert not Mapping.objects.exists()
    with pytest.raises(MappingError):
        add_mapping(name=name, document={})
    assert browser.get(reverse("feeds:mappings")).status_code == 200
    assert as_(admin).get(reverse("feeds:overview")).status_code == 200


@pytest.mark.parametrize("name", ["a/b", "Prices %", "é ü", "a?b#c"])
def test_any_other_name_has_one(as_, owner, name):
    answer = as_(owner).post(reverse("feeds:add_mapping"), filled(SKU, name=name), follow=True)
    assert answer.context["shown"].name == name


def test_the_address_of_a_name_that_cannot_be_leads_nowhere(as_, owner):
    assert as_(owner).get("/mappings/of/a%00b/").status_code == 404


def seen_by(browser, url):
    return browser.get(url).context["seen"]


def test_a_form_that_is_saved_twice_stores_one_version(as_, owner):
    browser, url = as_(owner), reverse("feeds:add_mapping")
    data = filled(SKU, seen=seen_by(browser, url))
    assert browser.post(url, data).url == browser.post(url, data).url
    assert Mapping.objects.count() == Deed.objects.count() == 1


@pytest.mark.parametrize("page", ["the mapping's page", "a new mapping of the same name"])
def test_who_saves_second_is_told_keeps_the_form_and_may_save_once_more(as_, owner, other, page):
    add_mapping(name="Products", document={"fields": {"sku": "id"}})
    known = reverse("feeds:mapping", args=["Products"])
    url = known if page == "the mapping's page" else reverse("feeds:add_mapping")
    hers, his = as_(owner), as_(other)
    before = seen_by(hers, url)
    his.post(known, filled(PRICE, seen=seen_by(his, known)))

    answer = hers.post(url, filled(SKU, EUR, seen=before))
    assert "Products, version 2 is there by now, which this page had not seen" in answer.text
    assert 'value="price.currency"' in answer.text
    assert Mapping.objects.count() == 2

    hers.post(url, filled(SKU, EUR, seen=answer.context["seen"]))
    assert Mapping.objects.get(version=3).document["fields"][1]["constant"] == "EUR"


def test_an_older_version_that_is_looked_at_becomes_the_next_one(as_, owner):
    add_mapping(name="Products", document={"fields": {"sku": "id"}})
    add_mapping(name="Products", document={"fields": {"sku": "key"}})
    browser, url = as_(owner), reverse("feeds:mapping", args=["Products"]) + "?version=1"
    assert browser.post(url, filled(SKU, seen=seen_by(browser, url))).status_code == 302
    assert Mapping.objects.filter(name="Products").count() == 3


@pytest.mark.parametrize(
    ("asked", "version"),
    [("1", 1), ("2", 2), ("", 2), ("3", 2), ("-1", 2), ("x", 2), ("²", 2), ("9" * 5000, 2), ("1\x00", 2)],
)
def test_the_version_that_is_asked_for_is_shown_and_the_newest_for_one_that_is_not_there(
    as_, owner, asked, version
):
    for field in ("id", "key"):
        add_mapping(name="Products", document={"fields": {"sku": field}})
    page = as_(owner).get(reverse("feeds:mapping", args=["Products"]), {"version": asked})
    assert page.context["shown"].version == version
    assert f'value="{"id" if version == 1 else "key"}"' in page.text


@pytest.mark.parametrize("status", ["ready", "delivering"])
def test_a_mapping_that_is_written_for_a_feed_is_used_for_it_until_it_is_sent(as_, owner, make_feed, status):
    feed = make_feed()
    url = f"{reverse('feeds:add_mapping')}?feed={feed.id}"
    browser = as_(owner)
    assert f"Save and use it for {feed.name}" in browser.get(url).text

    Feed.objects.filter(id=feed.id).update(status=status)
    answer = browser.post(url, filled(SKU))
    feed.refresh_from_db()
    if status == "ready":
        assert answer.url == reverse("feeds:feed", args=[feed.id])
        assert (feed.status, feed.mapping_name) == ("checking", "Products, version 1")
        assert f"Stored Products, version 1. {feed.name} is now sent with it" in browser.get(answer.url).text
    else:
        assert answer.url == reverse("feeds:mapping", args=["Products"])
        assert (feed.status, feed.mapping_name) == ("delivering", "")
        assert "and use it for" not in browser.get(url).text


def test_a_mapping_is_shown_on_the_newest_feed_that_is_sent_with_it(as_, owner, make_feed):
    add_mapping(name="Products", document={"fields": {"sku": "id"}})
    older, lacking, newest = (make_feed(name=name) for name in ("a.csv", "b.csv", "c.csv"))
    Feed.objects.filter(id__in=[older.id, lacking.id]).update(mapping_name="Products, version 1")
    Feed.objects.filter(id=lacking.id).update(missing=["sku"])
    url = reverse("feeds:mapping", args=["Products"])
    assert as_(owner).get(url).context["choice"].feed == older
    assert as_(owner).get(url, {"feed": str(newest.id)}).context["choice"].feed == newest
    assert as_(owner).get(reverse("feeds:add_mapping")).context["choice"].feed == newest
