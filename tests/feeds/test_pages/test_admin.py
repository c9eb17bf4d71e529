"""The admin: destinations are edited with their lanes, the ledger is read and acted on."""

from datetime import timedelta

import pytest
from django.apps import apps
from django.contrib.admin import site
from django.contrib.auth.models import Permission, User
from django.test import RequestFactory
from django.urls import reverse
from django.utils import timezone

from deliveries.commands import add_destination
from deliveries.ids import delivery_id
from deliveries.models import Destination
from outbox import lanes
from outbox.models import Lane

pytestmark = pytest.mark.django_db


def form_of(destination, **changes):
    return {
        "name": destination.name, "url": destination.url, "method": "POST", "headers": "X-Key: ••••••••",
        "signing_secret": "", "rate": "", "concurrency": "", "timeout": "10", "max_attempts": "10",
        "retry_first": "60", "retry_factor": "3", "retry_cap": "86400", "success_path": "",
        "success_value": "", "statuses": "{}",
    } | changes  # fmt: skip


@pytest.fixture
def page(destination):
    return reverse("admin:deliveries_destination_change", args=[destination.id])


def test_a_secret_is_never_shown_and_kept_where_its_dots_are_left(as_, admin, destination, page):
    browser = as_(admin)
    assert "very-secret" not in browser.get(page).text

    answer = browser.post(page, form_of(destination, rate="5"))
    assert answer.status_code == 302, answer.text
    destination.refresh_from_db()
    assert destination.headers == {"X-Key": "very-secret"}


def test_limits_reach_the_lane(as_, admin, destination, page):
    as_(admin).post(page, form_of(destination, rate="5", concurrency="2", timeout="7"))
    lane = Lane.objects.get(id=destination.lane_id)
    assert (lane.interval, lane.max_slots, lane.act_limit) == (0.2, 2, 7.0)


def test_a_destination_made_in_the_admin_has_a_lane(as_, admin, destination):
    answer = as_(admin).post(
        reverse("admin:deliveries_destination_add"),
        form_of(destination, name="second", headers="Authorization: Bearer x"),
    )
    assert answer.status_code == 302, answer.text
    made = Destination.objects.get(name="second")
    assert Lane.objects.filter(id=made.lane_id).exists()
    assert made.headers == {"Authorization": "Bearer x"}


@pytest.mark.parametrize(
    "changes",
    [
        {"url": "ftp://x"},
        {"rate": "0"},
        {"rate": "1e-12"},
        {"retry_cap": "1e300"},
        {"headers": "no colon"},
        {"headers": "X-New: ••••••••"},
        {"statuses": '{"404": "maybe"}'},
        {"signing_secret": "short"},
        {"timeout": "0"},
    ],
)
def test_a_destination_that_cannot_work_is_refused_in_the_form(as_, admin, destination, page, changes):
    answer = as_(admin).post(page, form_of(destination, **changes))
    assert answer.status_code == 200
    assert "errorlist" in answer.text


@pytest.mark.parametrize("model", ["feeds_feed", "feeds_mapping", "deliveries_delivery", "auth_user"])
def test_lists_open_and_nothing_is_counted_in_full(
    as_, admin, delivering, model, django_assert_max_num_queries
):
    browser = as_(admin)
    with django_assert_max_num_queries(12) as asked:
        answer = browser.get(reverse(f"admin:{model}_changelist"))
    assert answer.status_code == 200
    assert not [q["sql"] for q in asked.captured_queries if "COUNT(" in q["sql"]]


@pytest.mark.parametrize(("minutes", "told"), [(1, "held: It asked for it."), (-1, "open")])
def test_a_destination_is_held_until_its_hold_is_over(as_, admin, destination, minutes, told):
    until = timezone.now() + timedelta(minutes=minutes)
    lanes.hold(destination.lane_id, until=until, why="It asked for it.")
    assert f">{told}<" in as_(admin).get(reverse("admin:deliveries_destination_changelist")).text


def test_many_destinations_are_listed_in_as_many_queries_as_few(
    as_, admin, destination, django_assert_max_num_queries
):
    for number in range(20):
        add_destination(name=f"d{number}", url="https://shop.example")
    browser = as_(admin)
    with django_assert_max_num_queries(8):
        answer = browser.get(reverse("admin:deliveries_destination_changelist"))
    assert answer.text.count(">open<") == 21


def test_a_delivery_is_found_by_its_id_alone(as_, admin, delivering):
    def found(text):
        answer = as_(admin).get(reverse("admin:deliveries_delivery_changelist"), {"q": text})
        return [delivery.number for delivery in answer.context["cl"].result_list]

    id_ = delivery_id(delivering.id, 2)
    assert found(f" {id_}-r2 ") == [2], "the key of a request that a person changed, too"
    assert found("no id") == []
    assert sorted(found(" ")) == [1, 2]


def test_a_deliverys_page_shows_payload_and_attempts(as_, admin, delivering):
    from deliveries.models import Attempt, Delivery

    delivery = Delivery.objects.order_by("id")[0]
    Attempt.objects.create(
        delivery_id=delivery.id, number=1, outcome="failed", code="http_500", message="No."
    )
    page = as_(admin).get(reverse("admin:deliveries_delivery_change", args=[delivery.id])).text
    assert "http_500" in page
    assert "sku" in page


@pytest.mark.parametrize(
    "model",
    ["feeds.feed", "deliveries.delivery", "deliveries.destination", "outbox.subscription", "outbox.handling"],
)
def test_who_may_only_look_is_offered_nothing_to_do(as_, admin, model):
    looker = User.objects.create_user("stan", is_staff=True)
    app, name = model.split(".")
    looker.user_permissions.add(Permission.objects.get(codename=f"view_{name}", content_type__app_label=app))
    url = reverse(f"admin:{app}_{name}_changelist")

    def offered(user):
        request = RequestFactory().get(url)
        request.user = user
        return set(site.get_model_admin(apps.get_model(model)).get_actions(request))

    assert as_(looker).get(url).status_code == 200
    assert offered(admin) - {"delete_selected"}
    assert offered(looker) == set()


def test_actions_call_commands(as_, admin, delivering):
    url = reverse("admin:feeds_feed_changelist")
    browser = as_(admin)
    for action, status in (("pause", "paused"), ("resume", "completed"), ("cancel", "completed")):
        answer = browser.post(url, {"action": action, "_selected_action": [str(delivering.id)]}, follow=True)
        assert answer.status_code == 200
        delivering.refresh_from_db()
        assert delivering.status == status
