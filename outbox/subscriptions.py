"""Subscriptions: what the loaded handlers declare, stored, so that any relay fans out by it."""

from collections.abc import Sequence

from django.db import transaction

from outbox import sql
from outbox.events import Event
from outbox.models import OutboxEvent, Subscription
from outbox.registry import HANDLERS, Handler
from outbox.relay import LOCK

DECLARED = ("kind", "queue", "in_lane", "when_due")  # what a subscription keeps of its handler


def subscribe_all() -> int:
    """Stores the subscriptions that the loaded handlers declare; returns how many were new.

    One that exists takes over what its handler declares, but stays on or off, and since when.
    """
    stored = {(s.event_type, s.handler): s for s in Subscription.objects.all()}
    declared = [_declared(item, event_type) for item in HANDLERS.values() for event_type in item.on]
    missing = [new for new in declared if (new.event_type, new.handler) not in stored]
    if missing:
        _add(missing)
    for new in declared:
        old = stored.get((new.event_type, new.handler))
        if old is not None and any(getattr(old, name) != getattr(new, name) for name in DECLARED):
            Subscription.objects.filter(id=old.id).update(**{name: getattr(new, name) for name in DECLARED})
    return len(missing)


def _declared(item: Handler, event_type: type[Event]) -> Subscription:
    return Subscription(
        event_type=event_type.__name__,
        handler=item.name,
        **{name: getattr(item, name) for name in DECLARED},
    )


def _add(missing: Sequence[Subscription]) -> None:
    """Each receives what comes after the newest event. No relay passes meanwhile: it would fan out what
    comes after that one, and know nothing of them yet."""
    with transaction.atomic():
        sql.lock_for_transaction(LOCK)
        newest = OutboxEvent.objects.order_by("-id").values_list("id", flat=True).first() or 0
        for new in missing:
            new.since_event = newest
        Subscription.objects.bulk_create(missing, ignore_conflicts=True)
