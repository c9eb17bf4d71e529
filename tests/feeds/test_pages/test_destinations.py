"""Destinations, mappings and the overview."""

import json

import pytest
from django.contrib.auth.models import Group, Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from deliveries.answers import Kind, judge
from deliveries.authentication import HIDDEN
from deliveries.client import Answer
from deliveries.commands import add_destination
from deliveries.models import Destination
from deliveries.sending import rule_of
from feeds.models import Feed, FeedStatus, Mapping
from outbox.models import Error, Handling, Lane, State, Subscription
from tests.feeds.test_pages.test_admin import form_of
from tests.feeds.test_pages.test_uploads import csv_file, upload

pytestmark = pytest.mark.django_db


def test_an_admin_makes_and_changes_a_destination_and_its_secrets_stay_hidden(as_, admin, destination):
    browser = as_(admin)
    values = form_of(destination, name="second", headers="Authorization: Bearer top-secret", group="")
    made = browser.post(reverse("feeds:add_destination"), values)
    second = Destination.objects.get(name="second")
    assert made.url == reverse("feeds:destination", args=[second.id])

    url = reverse("feeds:change_destination", args=[second.id])
    changed = browser.post(url, values | {"headers": "Authorization: ••••••••", "rate": "4"})
    assert changed.status_code == 302
    second.refresh_from_db()
    assert second.headers == {"Authorization": "Bearer top-secret"}
    assert Lane.objects.get(id=second.lane_id).interval == 0.25
    for page in (url, made.url):
        assert "top-secret" not in browser.get(page).text


def test_a_key_in_the_url_is_kept_where_its_dots_are_left_and_no_page_shows_it(as_, admin, destination):
    Destination.objects.update(url="https://shop.example/?api_key=top-secret&v=2")
    browser = as_(admin)
    url = reverse("feeds:change_destination", args=[destination.id])
    form = form_of(destination, group="")
    shown = f"https://shop.example/?api_key={HIDDEN}&v=2"
    assert browser.get(url).context["form"].initial["url"] == shown
    assert browser.post(url, form | {"url": shown.replace("v=2", "v=3")}).status_code == 302
    destination.refresh_from_db()
    assert destination.url == "https://shop.example/?api_key=top-secret&v=3"
    for page in (
        url, reverse("feeds:destination", args=[destination.id]), reverse("feeds:destinations"),
        reverse("admin:deliveries_destination_changelist"),
        reverse("admin:deliveries_destination_change", args=[destination.id]),
    ):  # fmt: skip
        assert "top-secret" not in browser.get(page).text, page
    moved = browser.post(url, form | {"url": f"https://mine.example/?api_key={HIDDEN}", "headers": ""})
    assert "enter the values that are dots again." in moved.text
    refused = browser.post(url, form | {"url": f"https://shop.example/?token={HIDDEN}"})
    assert "No value is stored for token; enter it." in refused.text


def test_a_method_by_which_rows_on_their_way_cannot_go_is_refused_until_they_are_done(
    as_, admin, destination, make_feed
):
    feed = make_feed(FeedStatus.PAUSED, mapping={"fields": {"sku": "id"}})
    browser, url = as_(admin), reverse("feeds:change_destination", args=[destination.id])
    refused = browser.post(url, form_of(destination, group="", method="GET"))
    assert "products.csv is on its way there, and its rows cannot go by GET." in refused.text
    assert Destination.objects.get().method == "POST"
    Feed.objects.filter(id=feed.id).update(import_done=True)
    assert browser.post(url, form_of(destination, group="", method="GET")).status_code == 302
    assert Destination.objects.get().method == "GET"


@pytest.mark.parametrize("action", ["send", "try"])
def test_a_checked_feed_whose_destination_has_another_method_since_is_not_sent_as_it_does_not_fit(
    as_, owner, destination, make_feed, action
):
    feed = make_feed(mapping={"fields": {"sku": "id"}})
    Destination.objects.update(method="GET")
    page = as_(owner).post(reverse("feeds:act", args=[feed.id, action]), follow=True)
    assert "Its mapping does not fit shop any more. A GET request has no body" in page.text
    feed.refresh_from_db()
    assert feed.status == "ready"


def test_a_password_in_the_url_is_refused_with_the_place_for_it(as_, admin, destination):
    form = form_of(destination, group="", headers="", url="https://anna:top-secret@shop.example/")
    page = as_(admin).post(reverse("feeds:add_destination"), form)
    assert "Enter them under the authentication, as user name and password (basic)." in page.text
    assert not Destination.objects.exclude(id=destination.id).exists()


@pytest.mark.parametrize(
    "statuses",
    ['{"404": ["again"]}', '{"404": {}}', '{"4o4": "again"}', "[1]", "[" * 20_000, '{"404": "\\ud800"}'],
)
def test_statuses_that_make_no_sense_are_told_in_the_form(as_, admin, destination, statuses):
    form = form_of(destination, name="second", headers="", group="", statuses=statuses)
    page = as_(admin).post(reverse("feeds:add_destination"), form)
    assert "Write statuses as in" in page.text
    assert Destination.objects.count() == 1


@pytest.mark.parametrize("said", ["NaN", "[" * 20_000, '"\\ud800"', "9" * 5000, "1e999"])
def test_what_is_no_json_is_the_text_that_a_success_has(as_, admin, destination, said):
    form = form_of(destination, name="second", headers="", group="", success_path="state", success_value=said)
    assert as_(admin).post(reverse("feeds:add_destination"), form).status_code == 302
    assert Destination.objects.get(name="second").success_value == said


def test_a_success_may_be_a_number_of_any_length(as_, admin, destination):
    long = "12345678901234567890123"
    form = form_of(destination, name="second", headers="", group="", success_path="id", success_value=long)
    assert as_(admin).post(reverse("feeds:add_destination"), form).status_code == 302
    rule = rule_of(Destination.objects.get(name="second"))
    kinds = [
        judge(Answer(status=200, content=f'{{"id": {found}}}'.encode()), rule).kind for found in (long, "7")
    ]
    assert kinds == [Kind.SUCCEEDED, Kind.FAILED]


def test_a_nul_character_as_the_sign_of_success_is_told_in_the_form(as_, admin, destination):
    form = form_of(destination, name="second", headers="", group="", success_value='["\\u0000"]')
    page = as_(admin).post(reverse("feeds:add_destination"), form)
    assert "Write the value without a NUL character." in page.text


def test_a_name_that_is_taken_is_told_in_the_form(as_, admin, destination):
    page = as_(admin).post(reverse("feeds:add_destination"), form_of(destination, headers="", group=""))
    assert "already exists" in page.text


def test_only_admins_see_the_overview(as_, owner):
    assert as_(owner).get(reverse("feeds:overview")).status_code == 403


def test_a_destination_of_everybody_is_looked_after_by_admins_alone(as_, owner, destination):
    owner.groups.add(Group.objects.create(name="Shop team"))
    owner.user_permissions.set(Permission.objects.filter(codename__endswith="_destination"))
    assert as_(owner).get(reverse("feeds:destination", args=[destination.id])).status_code == 404
    for action in ("pause", "resume"):
        url = reverse("feeds:act_destination", args=[destination.id, action])
        assert as_(owner).post(url).status_code == 404
    assert not Lane.objects.get(id=destination.lane_id).paused


def test_a_group_that_was_given_it_makes_and_looks_after_its_own_destinations(as_, owner, destination):
    # Given somebody of two groups, one of which may add and change destinations
    team, others = (Group.objects.create(name=name) for name in ("Shop team", "Others"))
    owner.groups.add(team)
    browser, add = as_(owner), reverse("feeds:add_destination")
    assert browser.get(add).status_code == 403
    assert add not in browser.get(reverse("feeds:destinations")).text
    team.permissions.set(Permission.objects.filter(codename__endswith="_destination"))
    assert add in browser.get(reverse("feeds:destinations")).text

    # When they add one, it can belong to no other group, and not to everybody
    values = form_of(destination, name="second", headers="", group=others.id)
    for group in (others.id, ""):
        page = browser.post(add, values | {"group": group})
        assert page.status_code == 200
        assert page.context["form"].errors.keys() == {"group"}
    made = browser.post(add, values | {"group": team.id})
    second = Destination.objects.get(name="second")
    assert made.url == reverse("feeds:destination", args=[second.id])
    assert second.group == team

    # Then they look after it until they leave the group
    assert made.url in browser.get(reverse("feeds:destinations")).text
    change = reverse("feeds:change_destination", args=[second.id])
    assert browser.post(change, values | {"group": team.id, "rate": "3"}).url == made.url
    second.refresh_from_db()
    assert second.rate == 3.0
    pause = reverse("feeds:act_destination", args=[second.id, "pause"])
    assert "All rows wait" in browser.post(pause, follow=True).text
    others.permissions.set(team.permissions.all())
    owner.groups.set([others])
    assert browser.get(made.url).status_code == 404


def test_a_destination_is_paused_and_resumed_and_a_second_click_only_tells(as_, admin, destination):
    browser = as_(admin)
    for action, paused in (("pause", True), ("pause", True), ("resume", False), ("resume", False)):
        url = reverse("feeds:act_destination", args=[destination.id, action])
        assert browser.post(url, follow=True).status_code == 200
        assert Lane.objects.get(id=destination.lane_id).paused is paused


def test_a_destination_of_a_group_is_open_to_its_members_only(as_, owner, other, destination, delivering):
    group = Group.objects.create(name="Shop team")
    Destination.objects.filter(id=destination.id).update(group=group)
    assert destination.url not in as_(other).get(reverse("feeds:destinations")).text
    assert as_(other).get(reverse("feeds:feed", args=[delivering.id])).status_code == 404

    other.groups.add(group)
    assert destination.url in as_(other).get(reverse("feeds:destinations")).text
    assert as_(other).get(reverse("feeds:feed", args=[delivering.id])).status_code == 200


def test_a_feed_cannot_be_sent_to_a_destination_of_another_group(as_, owner, destination):
    Destination.objects.filter(id=destination.id).update(group=Group.objects.create(name="Shop team"))
    assert upload(as_(owner), destination, csv_file()).status_code == 422


def test_the_list_of_destinations_asks_as_much_for_one_group_as_for_many(
    as_, admin, destination, django_assert_num_queries
):
    browser, url = as_(admin), reverse("feeds:destinations")
    browser.get(url)
    with CaptureQueriesContext(connection) as before:
        browser.get(url)
    for name in ("red", "blue"):
        add_destination(name=name, url="https://x.example", group=Group.objects.create(name=name))
    with django_assert_num_queries(len(before)):
        page = browser.get(url).text
    assert "for red" in page
    assert "for blue" in page


def test_a_test_send_begins_with_the_newest_feeds_first_row_as_it_is_sent(as_, admin, destination, make_feed):
    # Given a feed whose file calls a column of its mapping otherwise
    document = {"path": "/{id}", "fields": {"price": "price"}}
    make_feed(mapping=document, aliases={"id": "sku"})
    page = as_(admin).get(reverse("feeds:destination", args=[destination.id])).text
    assert 'value="/001"' in page
    assert "{&quot;price&quot;:&quot;10.50&quot;}" in page


def test_a_test_send_that_is_refused_shows_why(as_, admin, destination):
    Destination.objects.filter(id=destination.id).update(url="http://127.0.0.1:9/x")
    url = reverse("feeds:destination", args=[destination.id])
    form = {"method": "POST", "path": "", "content_type": "", "body": "{}"}
    page = as_(admin).post(url, form, follow=True).text
    assert "ALLOWED_NETWORKS" in page
    assert "very-secret" not in page


def test_a_mapping_is_stored_by_name_and_its_next_version_beside_it(as_, owner):
    browser = as_(owner)
    for document in ('{"path": "/a"}', '{"path": "/b"}'):
        answer = browser.post(reverse("feeds:add_mapping"), {"name": "shop one", "document": document})
        assert answer.url == reverse("feeds:mapping", args=["shop one"])
    assert [m.version for m in Mapping.objects.order_by("version")] == [1, 2]
    assert "/b" in browser.get(answer.url).text
    assert "/a" in browser.get(answer.url, {"version": "1"}).text


def test_a_mapping_that_cannot_work_is_refused_with_its_place(as_, owner):
    page = as_(owner).post(reverse("feeds:add_mapping"), {"name": "x", "document": '{"pth": "/a"}'})
    assert "unknown key" in page.text
    assert not Mapping.objects.exists()


def test_the_first_rows_are_shown_as_requests_while_a_mapping_is_written(as_, owner, make_feed):
    feed = make_feed()
    url = reverse("feeds:preview_mapping")
    document = json.dumps({"path": "/{sku}", "fields": {"price": {"to": "cost", "type": "number"}}})
    page = as_(owner).post(url, {"feed": str(feed.id), "document": document}).text
    assert "https://shop.example/products/001" in page
    assert "&quot;cost&quot;: 10.5" in page
    assert "no column" in as_(owner).post(url, {"feed": str(feed.id), "document": '{"path": "/{x}"}'}).text
    assert "not valid JSON" in as_(owner).post(url, {"feed": str(feed.id), "document": "{"}).text


def test_another_persons_rows_are_not_shown_under_a_mapping(as_, other, make_feed):
    feed = make_feed()
    page = as_(other).post(reverse("feeds:preview_mapping"), {"feed": str(feed.id), "document": "{}"}).text
    assert "Lamp" not in page


def test_the_overview_groups_parked_work_and_retries_it_once(as_, admin, delivering):
    subscription = Subscription.objects.create(
        event_type="T", handler="t.one", kind="transactional", queue="t.one"
    )
    error = Error.objects.create(handler="t.one", exception="ValueError", place="t.py:1", sample="No.")
    Handling.objects.create(
        event_id=1, subscription=subscription, lane_id=delivering.lane_id, state=State.PARKED, pos=1,
        error=error, finished_at=timezone.now(),
    )  # fmt: skip
    browser = as_(admin)
    page = browser.get(reverse("feeds:overview")).text
    assert "ValueError" in page
    assert "gave up by our fault" in page
    values = {"error_id": error.id, "handler": "t.one", "until": timezone.now().isoformat()}
    assert "1 run again" in browser.post(reverse("feeds:retry_parked"), values, follow=True).text
    assert "Somebody was faster" in browser.post(reverse("feeds:retry_parked"), values, follow=True).text


def test_admins_are_told_on_every_page_when_nothing_moves(as_, admin, owner):
    assert "no worker is running" in as_(admin).get(reverse("feeds:list")).text
    assert "no worker is running" not in as_(owner).get(reverse("feeds:list")).text


def test_what_keeps_a_secret_is_said_only_where_one_may_be_stored(as_, admin, destination):
    browser = as_(admin)
    changed = browser.get(reverse("feeds:change_destination", args=[destination.id])).text
    added = browser.get(reverse("feeds:add_destination")).text
    for how in ("leave the dots to keep one", "remove the line to remove it", "Empty keeps what is stored"):
        assert how in changed
        assert how not in added
