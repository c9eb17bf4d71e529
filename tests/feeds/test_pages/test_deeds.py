"""Who did what is recorded with the deed, and shown where it was done and on the overview."""

import json
import re

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import Group
from django.contrib.contenttypes.models import ContentType
from django.urls import reverse
from django.utils import timezone

from deliveries.models import Delivery, Destination
from feeds import queries
from feeds.deeds import note_deed
from feeds.handlers import record_deed
from feeds.models import Alias, Deed, FeedStatus
from outbox.models import Error, Handling, OutboxEvent, State, Subscription
from outbox.notices import OutboxChanged
from tests.feeds.test_pages.test_admin import form_of

pytestmark = pytest.mark.django_db

ADMIN = "admin:deliveries_destination_"


def words(page):
    """The page as it is read, without its tags."""
    return " ".join(re.sub(r"<[^>]+>", "", page.text).split())


def told(**where):
    return list(Deed.objects.filter(**where).order_by("id").values_list("user__username", "what", "detail"))


@pytest.fixture
def browser(as_, admin):
    return as_(admin)


@pytest.fixture
def shown(browser, destination):
    """The destination's page and the overview, as they are now."""
    pages = [reverse("feeds:destination", args=[destination.id]), reverse("feeds:overview")]
    return lambda: [words(browser.get(page)) for page in pages]


@pytest.mark.parametrize("place", ["page", "admin"])
def test_a_destination_that_is_added_says_by_whom(browser, destination, place):
    url = reverse({"page": "feeds:add_destination", "admin": f"{ADMIN}add"}[place])
    values = form_of(destination, name="second", headers="X-Key: top-secret", group="")
    assert browser.post(url, values).status_code == 302
    second = Destination.objects.get(name="second")
    assert told(destination=second) == [("anna", "added", "")]
    page = words(browser.get(reverse("feeds:destination", args=[second.id])))
    assert "anna added " in page
    assert "It was added" not in page


def test_one_that_nobody_added_in_the_browser_says_since_when_it_is_there(shown):
    assert "It was added" in shown()[0]


@pytest.mark.parametrize("place", ["page", "admin"])
def test_a_change_of_a_destination_names_its_settings_and_no_secret(browser, destination, place, shown):
    name = {"page": "feeds:change_destination", "admin": f"{ADMIN}change"}[place]
    url = reverse(name, args=[destination.id])
    values = form_of(destination, headers="X-Key: new-secret", rate="5", auth="bearer", token="t0p-secret")
    for _ in range(2):  # the second changes nothing
        assert browser.post(url, values).status_code == 302
    detail = "authentication, rate, header X-Key, token"
    assert told(destination=destination) == [("anna", "changed", detail)]
    for page in shown():
        assert f"anna changed {detail}" in page
        assert "new-secret" not in page
        assert "t0p-secret" not in page


def test_a_change_that_is_refused_is_no_deed(browser, destination):
    url = reverse("feeds:change_destination", args=[destination.id])
    Destination.objects.update(edition=7)
    browser.post(url, form_of(destination, rate="5", seen_edition=1))
    assert not Deed.objects.exists()


@pytest.mark.parametrize("place", ["page", "admin"])
def test_pause_and_resume_say_by_whom_and_a_second_click_is_no_deed(browser, destination, place, shown):
    for action in ("pause", "pause", "resume", "resume"):
        if place == "page":
            browser.post(reverse("feeds:act_destination", args=[destination.id, action]))
        else:
            chosen = {"action": action, "_selected_action": [str(destination.id)]}
            browser.post(reverse(f"{ADMIN}changelist"), chosen)
    assert told(destination=destination) == [("anna", "paused", ""), ("anna", "resumed", "")]
    for page in shown():
        assert "anna paused " in page
        assert "anna resumed " in page


def test_a_test_send_is_recorded_and_nothing_of_what_it_says(browser, destination, shown):
    Destination.objects.update(url="http://127.0.0.1:9/x")
    form = {"method": "POST", "path": "/?key=a-secret", "content_type": "", "body": "a-secret"}
    browser.post(reverse("feeds:destination", args=[destination.id]), form)
    assert told() == [("anna", "sent", "a test, which was not answered")]
    assert "anna sent a test" in shown()[0]


def test_a_version_of_a_mapping_says_who_saved_it(as_, owner, browser):
    uploader = as_(owner)
    for path in ("/a", "/b"):
        values = {"name": "shop one", "document": json.dumps({"path": path})}
        uploader.post(reverse("feeds:add_mapping"), values)
    assert told(mapping_name="shop one") == [("olga", "saved", "version 1"), ("olga", "saved", "version 2")]
    assert "olga saved version 2" in words(uploader.get(reverse("feeds:mapping", args=["shop one"])))
    assert "olga saved version 2" in words(browser.get(reverse("feeds:overview")))


def test_an_alias_that_is_removed_is_told_with_the_mapping_also_when_its_feed_is_gone(as_, owner, browser):
    values = {"name": "Products", "document": json.dumps({"path": "/{sku}"})}
    as_(owner).post(reverse("feeds:add_mapping"), values)
    alias = Alias.objects.create(mapping_name="Products", column="sku", found="SKU no.", user=owner)
    as_(owner).post(reverse("feeds:remove_alias", args=[alias.id]))
    page = words(as_(owner).get(reverse("feeds:mapping", args=["Products"])))
    assert "olga took back the word that &quot;SKU no.&quot; is the column &quot;sku&quot;" in page


@pytest.mark.parametrize("status", [FeedStatus.READY, FeedStatus.REJECTED])
def test_a_feed_that_was_read_again_says_by_whom_before_it_is_sent(as_, owner, make_feed, status):
    feed = make_feed(status)
    as_(owner).post(reverse("feeds:correct", args=[feed.id]), {"delimiter": ";"})
    type(feed).objects.update(status=status)
    page = words(as_(owner).get(reverse("feeds:feed", args=[feed.id])))
    assert "olga corrected how it is read" in page
    assert page.count("Who did what") == 1


def test_parked_work_that_is_retried_is_told_on_the_overview(browser, destination):
    subscription = Subscription.objects.create(event_type="T", handler="t.one", kind="effect", queue="q")
    error = Error.objects.create(handler="t.one", exception="ValueError", place="t.py:1", sample="No.")
    now = timezone.now()
    Handling.objects.create(
        event_id=1, subscription=subscription, lane_id=destination.lane_id, state=State.PARKED, error=error,
        finished_at=now,
    )  # fmt: skip
    form = {"error_id": error.id, "handler": "t.one", "until": timezone.now().isoformat()}
    for _ in range(2):
        browser.post(reverse("feeds:retry_parked"), form)
    [event] = OutboxEvent.objects.all()  # of the first; its handler tells it
    record_deed(OutboxChanged.restore(event.payload, correlation_id=event.correlation_id))
    assert told() == [("anna", "retried", "what t.one had parked")]
    assert "anna retried what t.one had parked" in words(browser.get(reverse("feeds:overview")))


def test_what_is_done_in_the_admin_to_people_and_to_the_outbox_is_told_too(browser, owner):
    group = Group.objects.create(name="Shop team")
    browser.post(reverse("admin:auth_group_add"), {"name": "Buyers"})
    browser.post(reverse("admin:auth_group_change", args=[group.id]), {"name": "Shop people"})
    subscription = Subscription.objects.create(event_type="T", handler="t.one", kind="effect", queue="q")
    chosen = {"action": "switch_off", "_selected_action": [str(subscription.id)]}
    browser.post(reverse("admin:outbox_subscription_changelist"), chosen)
    gone = Group.objects.create(name="Interns")
    browser.post(reverse("admin:auth_group_delete", args=[gone.id]), {"post": "yes"})
    page = words(browser.get(reverse("feeds:overview")))
    assert "anna deleted the group Interns" in page
    assert "Interns:" not in page
    assert "anna changed the group Shop people: Changed Name" in page
    assert "Changed Name." not in page
    assert "anna added the group Buyers" in page
    assert "Buyers: Added" not in page
    assert "anna changed the subscription t.one on T: Switched off" in page
    history = browser.get(reverse("admin:outbox_subscription_history", args=[subscription.id])).text
    assert "Switched off." in history


def test_what_is_a_deed_anyway_is_not_told_a_second_time_by_the_admins_log(admin, destination, delivering):
    for thing in (destination, delivering):
        kind = ContentType.objects.get_for_model(thing)
        LogEntry.objects.create(
            user=admin, content_type=kind, object_id=thing.pk, object_repr=str(thing), action_flag=CHANGE
        )
    assert not queries.recent_deeds().items


def test_a_handling_that_is_run_again_in_the_admin_has_it_in_its_history(browser, destination):
    subscription = Subscription.objects.create(event_type="T", handler="t.one", kind="effect", queue="q")
    error = Error.objects.create(handler="t.one", exception="E", place="p", sample="s")
    common = {"subscription": subscription, "lane_id": destination.lane_id, "finished_at": timezone.now()}
    parked = Handling.objects.create(event_id=1, state=State.PARKED, error=error, **common)
    done = Handling.objects.create(event_id=2, state=State.DONE, **common)
    chosen = {"action": "retry_parked", "_selected_action": [str(parked.id), str(done.id)]}
    browser.post(reverse("admin:outbox_handling_changelist"), chosen)
    assert [entry.object_id for entry in LogEntry.objects.all()] == [str(parked.id)]


def test_rows_that_are_sent_again_in_the_admin_are_told_on_their_feeds_page(browser, delivering):
    Delivery.objects.update(status="failed")
    delivery = Delivery.objects.get(number=2)
    chosen = {"action": "retry", "_selected_action": [str(delivery.id)]}
    page = browser.post(reverse("admin:deliveries_delivery_changelist"), chosen, follow=True)
    assert "1 failed deliveries are sent again." in page.text
    assert told(feed=delivering) == [("anna", "retried", "row 2, in the admin")]
    Delivery.objects.update(status="scheduled")
    chosen = {"action": "cancel", "_selected_action": [str(each.id) for each in Delivery.objects.all()]}
    browser.post(reverse("admin:deliveries_delivery_changelist"), chosen)
    assert told(feed=delivering)[1:] == [("anna", "cancelled", "2 rows, in the admin")]


def test_a_feed_that_is_paused_in_the_admin_says_so_in_a_sentence(browser, delivering):
    chosen = {"action": "pause", "_selected_action": [str(delivering.id)]}
    browser.post(reverse("admin:feeds_feed_changelist"), chosen)
    page = browser.get(reverse("feeds:feed", args=[delivering.id]))
    assert "anna paused it, in the admin" in words(page)


def test_the_newest_deeds_are_read_in_two_queries_without_any_secret(
    admin, destination, delivering, django_assert_num_queries
):
    for number in range(15):
        note_deed(destination_id=destination.id, user_id=admin.pk, what="changed", detail=f"x{number}")
        note_deed(delivering.id, user_id=admin.pk, what="edited", detail=f"row {number}")
    with django_assert_num_queries(2) as asked:
        done = queries.recent_deeds()
    assert [each.what for each in done.items[:3]] == ["edited row 14", "changed x14", "edited row 13"]
    assert len(done.items) == 20
    assert "headers" not in asked.captured_queries[0]["sql"]


def test_all_deeds_read_the_same_there_and_back(destination):
    for number in range(45):
        note_deed(destination_id=destination.id, what="changed", detail=f"x{number}")
    there = [queries.recent_deeds()]
    while there[-1].next:
        there.append(queries.recent_deeds(there[-1].next))
    assert [len(page.items) for page in there] == [20, 20, 5]
    back = queries.recent_deeds(there[-1].previous)
    assert back.items == there[1].items
    assert queries.recent_deeds(back.next).items == there[2].items
    assert queries.recent_deeds(back.previous).items == there[0].items


def test_a_row_of_a_cancelled_feed_is_not_sent_again_in_the_admin_and_the_reason_is_told(browser, delivering):
    Delivery.objects.update(status="failed")
    type(delivering).objects.update(status=FeedStatus.CANCELLED)
    chosen = {"action": "retry", "_selected_action": [str(each.id) for each in Delivery.objects.all()]}
    page = browser.post(reverse("admin:deliveries_delivery_changelist"), chosen, follow=True)
    assert "The feed is cancelled, and cannot be retried." in page.text
    assert set(Delivery.objects.values_list("status", flat=True)) == {"failed"}
    assert not Deed.objects.exists()


def test_what_is_done_with_a_feed_by_a_button_is_recorded(as_, owner, delivering):
    for action in ("pause", "cancel"):
        as_(owner).post(reverse("feeds:act", args=[delivering.id, action]))
    assert told(feed=delivering) == [("olga", "paused", ""), ("olga", "cancelled", "")]
