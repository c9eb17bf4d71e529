"""What people do with destinations: the commands of deliveries, and beside each the deed that records it."""

import time
import uuid
from dataclasses import asdict
from datetime import timedelta

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import IntegrityError, transaction
from django.utils import timezone

from deliveries import commands, trial
from deliveries.changes import changed_settings
from deliveries.errors import BadDestination
from deliveries.forms import DestinationForm
from deliveries.models import Destination
from feeds.deeds import note_deed
from feeds.judging import bound_mapping
from feeds.mapping import MappingError
from feeds.models import Feed, FeedStatus, SentTest

Person = AbstractBaseUser | AnonymousUser
TESTS_KEPT = timedelta(days=30)
POLL = 0.1  # seconds


@transaction.atomic
def store_destination(form: DestinationForm, *, user_id: int | None) -> Destination:
    """Stores what was entered, and which settings it changed, by name. Raises DeliveryError."""
    same = Destination.objects.select_for_update(no_key=True).filter(id=form.instance.pk)
    before = same.first()
    stored = form.store()
    if before is not None and before.method != stored.method:
        _must_fit_feeds(stored)
    if before is None:
        note_deed(destination_id=stored.id, user_id=user_id, what="added")
    elif names := changed_settings(before, stored):
        note_deed(destination_id=stored.id, user_id=user_id, what="changed", detail=", ".join(names))
    return stored


def _must_fit_feeds(destination: Destination) -> None:
    """Rows that are still to become requests must do so by the new method too: their import would stop."""
    on_their_way = Feed.objects.filter(
        destination=destination, status__in=(FeedStatus.DELIVERING, FeedStatus.PAUSED), import_done=False
    )
    for feed in on_their_way.order_by("id").select_related("destination"):
        try:
            bound_mapping(feed)
        except MappingError as exc:
            raise BadDestination(
                f"{feed.name} is on its way there, and its rows cannot go by {destination.method}. {exc} "
                f"Change the method once it is done, or cancel it first."
            ) from exc


@transaction.atomic
def pause_destination(destination_id: int, *, user: Person) -> bool:
    """Says whether this call paused it."""
    reason = f"{user.get_username()} paused it."
    done = commands.pause_destination(destination_id, reason=reason, by_person=True)
    if done:
        note_deed(destination_id=destination_id, user_id=user.pk, what="paused")
    return done


@transaction.atomic
def resume_destination(destination_id: int, *, user: Person) -> bool:
    """Says whether it was paused or held."""
    done = commands.resume_destination(destination_id)
    if done:
        note_deed(destination_id=destination_id, user_id=user.pk, what="resumed")
    return done


def try_destination(
    destination: Destination, *, user: Person, ticket: uuid.UUID, **request: str
) -> tuple[SentTest, bool]:
    """Sends one request outside of any delivery, and keeps the exchange; says whether this call sent it.

    With a ticket that was used for the same request nothing is sent: it is that exchange that is returned,
    once it is there. One whose process died never is; then it is returned without.
    """
    key = uuid.uuid5(ticket, repr((destination.id, sorted(request.items()))))
    try:
        with transaction.atomic():
            test = SentTest.objects.create(
                ticket=key, destination=destination, user_id=user.pk, asked=request
            )
    except IntegrityError:
        return _sent_before(key), False
    sent = trial.send(destination, **request)
    answered = f"answered {sent.status}" if sent.status else "not answered"
    detail = f"a test, which was {answered}"
    with transaction.atomic():
        test.exchange = asdict(sent)
        test.save(update_fields=["exchange"])
        note_deed(destination_id=destination.id, user_id=user.pk, what="sent", detail=detail)
    return test, True


def forget_old_tests() -> None:
    """What was tried a while ago may hold what nobody needs any more."""
    SentTest.objects.filter(began_at__lt=timezone.now() - TESTS_KEPT).delete()


def _sent_before(ticket: uuid.UUID) -> SentTest:
    """What the first press sent: waited for, as whoever pressed first waits for it."""
    ends = time.monotonic() + trial.LONGEST + 5
    test = SentTest.objects.get(ticket=ticket)
    while test.exchange is None and time.monotonic() < ends:
        time.sleep(POLL)
        test.refresh_from_db()
    return test
