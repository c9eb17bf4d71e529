"""Mails about feeds: each is sent to whom it concerns, and a record says so, or why not."""

import itertools
import smtplib
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from deliveries.commands import add_destination
from deliveries.events import DestinationPaused, DestinationResumed
from feeds import handlers
from feeds.deeds import note_deed
from feeds.events import FeedCompleted, FeedRejected, FeedTried
from feeds.models import Errand, ErrandKind, Feed, FeedStatus, Mail
from outbox import registry
from outbox.models import Error, Handling, State, Subscription, uuid7
from outbox.notices import HandlingParked
from outbox.outcomes import Defer, NextStep
from outbox.publishing import publish
from outbox.retries import Park

pytestmark = pytest.mark.django_db(transaction=True)

COUNTS = {"total": 12_000, "succeeded": 11_000, "failed": 900, "invalid": 7, "pending": 100}


class Refusing(EmailBackend):
    """A mail server that answers with what a test says, by address."""

    answers: dict[str, Exception] = {}

    def send_messages(self, messages):
        for message in messages:
            if error := self.answers.get(message.to[0]):
                raise error
        return super().send_messages(messages)


@pytest.fixture(autouse=True)
def mail_server(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    settings.EMAIL_BACKEND = f"{__name__}.Refusing"
    Refusing.answers = {}
    return Refusing.answers


@pytest.fixture
def olga():
    return User.objects.create_user("olga", "olga@example.com")


@pytest.fixture
def destination():
    return add_destination(name="shop", url="https://shop.example")


@pytest.fixture
def make(olga, destination):
    def make(owner=olga, *, name="products.csv", **fields) -> Feed:
        values = {"status": FeedStatus.DELIVERING, "lane_id": destination.lane_id} | COUNTS | fields
        return Feed.objects.create(name=name, owner=owner, destination=destination, **values)

    return make


def about(kind, feed: Feed, **told):
    told = {"correlation_id": feed.id, "conversation_id": feed.id, "id": 1} | told
    return kind(**told)


def handle(event) -> list[object]:
    """Runs the handler to its end, each step settled; returns what the steps said."""
    outcomes: list[object] = []
    while True:
        then = handlers.notify_owner(event)
        with transaction.atomic():
            outcomes.append(then() if callable(then) else then)
        if not isinstance(outcomes[-1], NextStep):
            return outcomes


def completed(feed: Feed, **told):
    return about(FeedCompleted, feed, succeeded=1, failed=0, cancelled=0, **told)


def test_a_mail_is_recorded_when_it_is_sent_and_not_sent_again(make, olga):
    feed = make()
    handle(completed(feed))
    handle(completed(feed))
    [sent] = mail.outbox
    assert sent.subject == "[Rowpost] products.csv is completed"
    assert "11,000 of 12,000 rows arrived, 900 failed (7 of them invalid)" in sent.body
    record = feed.mails.get()
    assert (record.user, record.address, record.problem) == (olga, "olga@example.com", "")
    assert record.subject == "products.csv is completed"
    handle(completed(feed, id=2))
    assert len(mail.outbox) == 2, "the next round is another mail"


def test_nothing_is_recorded_before_the_handling_settles(make):
    feed = make()
    assert callable(handlers.notify_owner(completed(feed)))
    assert len(mail.outbox) == 1
    assert not feed.mails.exists(), "a worker that dies here sends it once more"


def test_a_mail_whose_settling_is_repeated_is_recorded_once(make):
    feed = make()
    settle = handlers.notify_owner(completed(feed))
    assert callable(settle)
    for _ in range(2):
        with transaction.atomic():
            settle()
    assert feed.mails.count() == 1


def wait_until(feed: Feed, *due) -> None:
    subscription = Subscription.objects.create(event_type="DeliveryScheduled", handler="deliveries.test")
    for number, at in enumerate(due):
        Handling.objects.create(
            event_id=10**6 + number,
            subscription=subscription,
            lane_id=feed.lane_id,
            state=State.WAITING,
            due_at=at,
        )


def test_the_mail_after_every_first_try_says_what_is_tried_again_and_until_when(make):
    feed = make()
    soon, late = timezone.now() + timedelta(minutes=1), timezone.now() + timedelta(hours=5)
    wait_until(feed, late, soon)
    handle(about(FeedTried, feed))
    body = mail.outbox[0].body
    assert "11,000 of 12,000 rows arrived, 900 failed (7 of them invalid)." in body
    assert f"100 rows are tried again, the last of them on {late:%Y-%m-%d at %H:%M} UTC, and later" in body


def test_it_waits_a_moment_for_the_plan_of_the_last_row(make):
    feed, now = make(pending=1, failed=999), timezone.now()
    assert handle(about(FeedTried, feed, occurred_at=now)) == [Defer(2.0)]
    assert not mail.outbox
    handle(about(FeedTried, feed, occurred_at=now - timedelta(minutes=1)))
    assert "1 row is tried again." in mail.outbox[0].body


def test_it_waits_no_longer_once_the_last_row_is_planned(make):
    feed, now = make(pending=1, failed=999), timezone.now()
    wait_until(feed, now + timedelta(hours=1))
    handle(about(FeedTried, feed, occurred_at=now))
    assert "1 row is tried again on" in mail.outbox[0].body


def test_it_waits_for_no_plan_of_a_feed_that_has_ended_meanwhile(make):
    feed = make(pending=0, failed=1000)
    assert handle(about(FeedTried, feed, occurred_at=timezone.now())) == [None]


def test_a_feed_that_is_done_with_its_first_tries_gets_only_the_mail_about_its_end(make):
    feed = make(pending=0, failed=1000)
    handle(about(FeedTried, feed))
    assert not mail.outbox
    assert not feed.mails.exists()


def test_an_owner_without_an_address_is_told_on_the_page(make):
    feed = make(User.objects.create_user("otto"))
    handle(completed(feed))
    assert feed.mails.get().problem == "otto has no e-mail address. An admin can enter one."
    assert not mail.outbox


def test_a_refused_address_is_recorded_and_does_not_keep_others_from_their_mail(make, mail_server, olga):
    otto = User.objects.create_user("otto", "otto@example.com")
    mail_server["olga@example.com"] = smtplib.SMTPRecipientsRefused(
        {"olga@example.com": (550, b"No such user here")}
    )
    hers, also_hers, his = make(), make(name="b.csv"), make(otto)
    paused = DestinationPaused(
        correlation_id=uuid7(), destination_id=hers.destination_id, name="shop", reason="Refused.", id=5
    )
    assert handle(paused) == [NextStep(), NextStep(), None]
    assert [sent.to for sent in mail.outbox] == [["otto@example.com"]]
    assert "No such user here" in hers.mails.get().problem
    assert hers.mails.get().problem == also_hers.mails.get().problem
    assert his.mails.get().problem == ""


def test_one_person_gets_one_mail_about_several_feeds(make, destination):
    feeds = [make(), make(name="b.csv"), make(name="c.csv", status=FeedStatus.COMPLETED)]
    handle(
        DestinationPaused(correlation_id=uuid7(), destination_id=destination.id, name="shop", reason="", id=5)
    )
    assert len(mail.outbox) == 1
    assert [feed.mails.count() for feed in feeds] == [1, 1, 0]


@pytest.mark.parametrize(
    "error",
    [
        ConnectionRefusedError("refused"),
        smtplib.SMTPRecipientsRefused({"olga@example.com": (451, b"Greylisted")}),
    ],
)
def test_what_may_go_better_later_is_a_failure_of_the_handling_without_a_record(make, mail_server, error):
    mail_server["olga@example.com"] = error
    feed = make()
    with pytest.raises(type(error)):
        handle(completed(feed))
    assert not feed.mails.exists()


def test_a_server_that_is_none_is_told(make, settings, capsys):
    settings.EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"
    feed = make()
    handle(completed(feed))
    assert "No mail server is set up" in feed.mails.get().problem
    assert "products.csv is completed" in capsys.readouterr().out


def test_a_line_break_in_a_name_breaks_no_mail(make):
    feed = make(name="a\nb.csv")
    handle(about(FeedRejected, feed, reason="Empty."))
    assert mail.outbox[0].subject == "[Rowpost] a b.csv was rejected"


def test_the_address_is_shown_to_its_owner_and_to_admins_alone(make, olga, destination, client):
    from django.contrib.auth.models import Group

    feed = make(status=FeedStatus.COMPLETED, pending=0, failed=1000)
    handle(completed(feed))
    destination.group = Group.objects.create(name="team")
    destination.save()
    colleague = User.objects.create_user("carl")
    colleague.groups.add(destination.group)
    admin = User.objects.create_user("anna", is_staff=True)
    for viewer, sees in ((olga, True), (admin, True), (colleague, False)):
        client.force_login(viewer)
        page = client.get(reverse("feeds:feed", args=[feed.id])).text
        assert "products.csv is completed" in page
        assert ("olga@example.com" in page) is sees


@pytest.mark.parametrize(
    ("state", "told"), [(State.WAITING, "It is tried again"), (State.PARKED, "It is kept")]
)
def test_a_mail_that_waits_for_its_server_is_told_too(make, olga, client, state, told):
    feed = make(status=FeedStatus.COMPLETED, pending=0, failed=1000)
    later = timezone.now() + timedelta(minutes=1)
    with transaction.atomic():
        [event_id] = publish(completed(feed))
    subscription, _ = Subscription.objects.get_or_create(
        event_type="FeedCompleted", handler="feeds.notify_owner"
    )
    Handling.objects.create(
        event_id=event_id, subscription=subscription, lane_id=feed.lane_id, state=state,
        message="(530, b'Authentication required')",
        due_at=later if state == State.WAITING else None,
    )  # fmt: skip
    client.force_login(olga)
    page = client.get(reverse("feeds:feed", args=[feed.id])).text
    assert "the feed is completed" in page
    assert told in page
    assert "Authentication required" not in page, "that is for admins"
    assert not Mail.objects.exists()


def pause_of(destination):
    return DestinationPaused(
        correlation_id=uuid7(), destination_id=destination.id, name="shop", reason="401.", id=5
    )


def test_who_was_told_of_a_pause_is_told_of_its_end_also_when_that_was_quickly_their_feeds_end_too(
    make, destination
):
    resumed = timezone.now()
    make(name="before.csv", status=FeedStatus.COMPLETED, ended_at=resumed - timedelta(minutes=1))
    last = make(status=FeedStatus.COMPLETED, ended_at=resumed + timedelta(seconds=0.1))
    told = {"destination_id": destination.id, "name": "shop", "id": 6, "occurred_at": resumed}
    handle(DestinationResumed(correlation_id=uuid7(), **told))
    assert [sent.subject for sent in mail.outbox] == ["[Rowpost] shop is resumed"]
    assert [record.feed for record in Mail.objects.all()] == [last]


def test_an_admin_with_feeds_on_their_way_is_told_once_that_their_destination_is_paused(
    make, olga, destination
):
    User.objects.filter(id=olga.id).update(is_staff=True)
    User.objects.create_user("anna", "anna@example.com", is_staff=True)
    make()
    handle(pause_of(destination))
    handlers.notify_admins(pause_of(destination))
    assert sorted(sent.to for sent in mail.outbox) == [["anna@example.com"], ["olga@example.com"]]


@pytest.fixture
def park(make):
    subscription, _ = Subscription.objects.get_or_create(
        event_type="DeliverySucceeded", handler="feeds.track_progress"
    )

    def park(feed, place, exception="KeyError"):
        error, _ = Error.objects.get_or_create(handler=subscription.handler, exception=exception, place=place)
        with transaction.atomic():
            [event_id] = publish(completed(feed))
        handling = Handling.objects.create(
            event_id=event_id,
            subscription=subscription,
            state=State.PARKED,
            error=error,
            lane_id=feed.lane_id,
        )
        told = {"exception": exception, "place": place, "message": f"{exception}: 'x'"}
        return about(HandlingParked, feed, handling_id=handling.id, handler=subscription.handler, **told)

    return park


def test_admins_get_one_mail_about_all_that_is_parked_alike(make, park):
    User.objects.create_user("anna", "anna@example.com", is_staff=True)
    User.objects.create_user("gone", "gone@example.com", is_staff=True, is_active=False)
    feed = make()
    alike = [park(feed, "tracking.py:12") for _ in range(40)]
    others = [park(feed, "tracking.py:99"), park(feed, "tracking.py:12", "ValueError")]
    for event in [*alike, *others]:
        handlers.notify_admins(event)
    assert [sent.to for sent in mail.outbox] == [["anna@example.com"]] * 3
    assert "/overview/" in mail.outbox[0].body

    Handling.objects.filter(error__place="tracking.py:12").delete()  # somebody had them run again
    handlers.notify_admins(park(feed, "tracking.py:12"))
    assert len(mail.outbox) == 4


def complete_round(feed, round_):
    event = completed(feed, occurrence=round_, id=None)
    with transaction.atomic():
        [event_id] = publish(event)
    handle(completed(feed, occurrence=round_, id=event_id))
    return len(mail.outbox)


def test_nobody_gets_a_mail_for_each_row_that_they_mend(make, olga):
    feed = make(status=FeedStatus.COMPLETED, pending=0, failed=1000)
    assert complete_round(feed, 1) == 1
    for round_ in (2, 3):
        note_deed(feed.id, user_id=olga.id, what="edited", detail="row 7")
        assert complete_round(feed, round_) == 1
    # A retry of what failed is another thing, also beside a row that is edited
    note_deed(feed.id, user_id=olga.id, what="edited", detail="row 8")
    Errand.objects.create(feed=feed, kind=ErrandKind.RETRY, ended_at=timezone.now())
    assert complete_round(feed, 4) == 2


@pytest.mark.parametrize("handler", ["feeds.notify_owner", "feeds.notify_admins"])
def test_a_mail_server_may_be_away_for_a_night(handler):
    registry.load()
    now = began = timezone.now()
    for tries in itertools.count(1):
        decision = registry.get(handler).retry(tries, ConnectionRefusedError(), now)
        if isinstance(decision, Park):
            break
        assert decision.at - now < timedelta(minutes=75)
        now = decision.at
    assert timedelta(hours=14) < now - began < timedelta(days=1)
