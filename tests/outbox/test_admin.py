import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from outbox import lanes
from outbox.errors import Permanent
from outbox.models import Handling, OutboxEvent, Subscription
from outbox.publishing import publish
from tests.outbox.conftest import note, states

pytestmark = pytest.mark.django_db(transaction=True)
MODELS = ["outboxevent", "subscription", "handling", "lane", "lease", "error", "heartbeat"]


@pytest.fixture
def parked(broker, add_handler):
    @add_handler("t.bad")
    def bad(event):
        raise Permanent("never")

    events = [note("a"), note("b")]
    with transaction.atomic():
        publish(*events)
    broker.settle()
    lanes.ensure("t.bad", "a lane")
    return events


@pytest.fixture
def browser(db):
    client = Client()
    client.force_login(User.objects.create_superuser("root", password="not used"))
    return client


@pytest.mark.parametrize("model", MODELS)
def test_every_list_opens_without_counting_its_table(browser, parked, model):
    with CaptureQueriesContext(connection) as queries:
        response = browser.get(reverse(f"admin:outbox_{model}_changelist"))
    assert response.status_code == 200
    assert not [q["sql"] for q in queries if "COUNT(" in q["sql"].upper()]


@pytest.mark.parametrize("model", MODELS)
def test_nothing_is_added_changed_or_deleted(browser, parked, model):
    assert browser.get(reverse(f"admin:outbox_{model}_add")).status_code == 403
    first = next(iter(OutboxEvent.objects.all())).pk if model == "outboxevent" else 1
    assert browser.post(reverse(f"admin:outbox_{model}_delete", args=[first])).status_code in (302, 403)
    assert OutboxEvent.objects.count() == 4  # the two notes, and that each of them was parked


def test_the_number_of_queries_does_not_grow_with_the_list(browser, parked, broker):
    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            browser.get(reverse("admin:outbox_handling_changelist"))
        return len(queries)

    before = count()
    with transaction.atomic():
        publish(*[note(str(i)) for i in range(20)])
    broker.settle()
    assert count() == before


def test_an_event_leads_to_its_handlings_and_back(browser, parked):
    # Given
    event = OutboxEvent.objects.get(correlation_id=parked[0].correlation_id, type="Noted")

    # When
    page = browser.get(reverse("admin:outbox_outboxevent_changelist")).content.decode()
    link = f"{reverse('admin:outbox_handling_changelist')}?event__id__exact={event.id}"
    assert link in page
    handlings = browser.get(link)

    # Then
    assert [row.event_id for row in handlings.context["cl"].result_list] == [event.id]
    assert reverse("admin:outbox_outboxevent_change", args=[event.id]) in handlings.content.decode()


@pytest.mark.parametrize("model", ["outboxevent", "handling"])
def test_a_list_is_searched_by_id_and_by_what_the_event_speaks_of(browser, parked, model):
    url = reverse(f"admin:outbox_{model}_changelist")

    def found(query: str) -> set[int]:
        return {row.pk for row in browser.get(url, {"q": query}).context["cl"].result_list}

    manager = OutboxEvent.objects if model == "outboxevent" else Handling.objects
    field = "correlation_id" if model == "outboxevent" else "event__correlation_id"
    wanted = manager.filter(**{field: parked[0].correlation_id})
    assert found(str(parked[0].correlation_id)) == {row.pk for row in wanted}
    assert found(str(wanted[0].pk)) == {wanted[0].pk}
    assert found("no id") == set()


def act(browser, model, action, ids):
    return browser.post(
        reverse(f"admin:outbox_{model}_changelist"), {"action": action, "_selected_action": ids}, follow=True
    )


def test_parked_handlings_are_run_again_by_an_action_once(browser, parked):
    ids = list(Handling.objects.filter(state="parked").values_list("id", flat=True))
    assert "2 parked handlings run again" in act(browser, "handling", "retry_parked", ids).content.decode()
    assert states() == {"waiting": 2}
    assert "0 parked handlings run again" in act(browser, "handling", "retry_parked", ids).content.decode()


def test_a_subscription_is_switched_by_an_action(browser, parked):
    ids = list(Subscription.objects.filter(handler="t.bad").values_list("id", flat=True))
    act(browser, "subscription", "switch_off", ids)
    assert not Subscription.objects.get(id=ids[0]).active
    act(browser, "subscription", "switch_on", ids)
    assert Subscription.objects.get(id=ids[0]).active


def test_who_may_only_look_is_offered_no_action(parked):
    # Given
    looker = User.objects.create_user("looker", is_staff=True)
    looker.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    client = Client()
    client.force_login(looker)

    # When
    act(client, "handling", "retry_parked", list(Handling.objects.values_list("id", flat=True)))

    # Then
    assert states() == {"parked": 2}
