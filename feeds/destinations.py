"""What people do with destinations: the commands of deliveries, and beside each the deed that records it."""

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import transaction

from deliveries import commands, trial
from deliveries.changes import changed_settings
from deliveries.forms import DestinationForm
from deliveries.models import Destination
from deliveries.trial import Trial
from feeds.commands import note_deed

Person = AbstractBaseUser | AnonymousUser


@transaction.atomic
def store_destination(form: DestinationForm, *, user_id: int | None) -> Destination:
    """Stores what was entered, and which settings it changed, by name. Raises DeliveryError."""
    same = Destination.objects.select_for_update(no_key=True).filter(id=form.instance.pk)
    before = same.first()
    stored = form.store()
    if before is None:
        note_deed(destination_id=stored.id, user_id=user_id, what="added")
    elif names := changed_settings(before, stored):
        note_deed(destination_id=stored.id, user_id=user_id, what="changed", detail=", ".join(names))
    return stored


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


def try_destination(destination: Destination, *, user: Person, **request: str) -> Trial:
    """Sends one request outside of any delivery. That it was sent is recorded, and nothing of it."""
    sent = trial.send(destination, **request)
    answered = f"answered {sent.answer.status}" if sent.answer.status else "not answered"
    note_deed(
        destination_id=destination.id, user_id=user.pk, what="sent", detail=f"a test, which was {answered}"
    )
    return sent
