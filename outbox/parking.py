"""Retry of parked work by a person. A delivery that failed is retried elsewhere: by a new attempt."""

from datetime import datetime

from django.db import transaction
from django.db.models import F

from outbox import sql
from outbox.events import Event
from outbox.models import Handling, HandlingQuerySet, State, Subscription
from outbox.publishing import publish
from outbox.wakeup import wake_relay

BATCH = 500  # handlings in one transaction


def retry_one(handling_id: int, *, generation: int, telling: Event | None = None) -> bool:
    """Runs a parked handling again, unless somebody did since that generation was seen."""
    return bool(_retry(Handling.objects.filter(id=handling_id, generation=generation), telling))


def retry_all(
    *,
    handler: str | None = None,
    error_id: int | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    telling: Event | None = None,
) -> int:
    """Runs all parked handlings again: of a handler, of a group, parked in a time window (by the
    database's clock), or all three together. Returns how many.

    `until` is now unless given; a page gives the time at which it was shown, so that a second click
    does not touch what was retried by the first and has been parked again since.
    """
    chosen = Handling.objects.all()
    if since is not None:
        chosen = chosen.filter(finished_at__gte=since)
    if error_id is not None:
        chosen = chosen.filter(error_id=error_id)
    if handler is not None:
        # Ids rather than a join: the index over parked work begins with the subscription.
        own = Subscription.objects.filter(handler=handler).values_list("id", flat=True)
        chosen = chosen.filter(subscription_id__in=list(own))
    return retry_chosen(chosen, until=until, telling=telling)


def retry_chosen(
    chosen: HandlingQuerySet, *, until: datetime | None = None, telling: Event | None = None
) -> int:
    """Runs those of them again that were parked before `until` (now unless given); returns how many.

    `telling` is published with the first of them: whatever ends this call, nothing was retried untold.
    """
    before = chosen.filter(finished_at__lte=until or sql.database_now())
    retried = 0
    while count := _retry(before, None if retried else telling):
        retried += count
    return retried


def _retry(chosen: HandlingQuerySet, telling: Event | None) -> int:
    """One batch of them waits, due now; the relay makes it ready. Returns its size."""
    now = sql.database_now()
    with transaction.atomic():
        parked = chosen.parked().select_for_update(no_key=True, skip_locked=True)
        ids = list(parked.values_list("id", flat=True)[:BATCH])
        if ids:
            Handling.objects.filter(id__in=ids).update(  # locked: they are parked still
                state=State.WAITING,
                due_at=now,
                generation=F("generation") + 1,
                tries=0,
                deaths=0,
                deaths_alone=0,
                error=None,
                finished_at=None,
            )
            publish(*filter(None, [telling]))
            transaction.on_commit(wake_relay)
    return len(ids)
