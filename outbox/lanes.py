"""Lanes: pause, hold, rate and slots of what is taken in turn. Each call writes one row a lane."""

from collections.abc import Iterable
from datetime import datetime
from typing import TypedDict

from django.db import transaction
from django.db.models import Q, QuerySet

from outbox.models import Lane


class Limits(TypedDict):
    """What bounds the acts of a lane, and of all lanes under it."""

    max_slots: int | None  # acts at once
    interval: float | None  # seconds between two starts
    act_limit: float  # seconds that one act may take


def ensure(
    handler: str,
    key: str,
    *,
    parent_id: int | None = None,
    max_slots: int | None = None,
    interval: float | None = None,
    act_limit: float = 10.0,
) -> int:
    """The id of the handler's lane with that key, made if there is none."""
    lane, _ = Lane.objects.get_or_create(
        handler=handler,
        key=key,
        defaults={
            "parent_id": parent_id,
            "max_slots": max_slots,
            "interval": interval,
            "act_limit": act_limit,
        },
    )
    return lane.id


def pause(lane_ids: Iterable[int], *, why: str) -> int:
    """Nothing of these lanes is handed over, and no running batch starts more, until `resume`."""
    with transaction.atomic():
        return _locked(lane_ids).filter(paused=False).update(paused=True, held_for=why)


def resume(lane_ids: Iterable[int]) -> int:
    """Ends a pause, and any hold with it; returns how many lanes were closed."""
    with transaction.atomic():
        closed = _locked(lane_ids).filter(Q(paused=True) | Q(held_until__isnull=False))
        return closed.update(paused=False, held_until=None, held_for="", probing=False)


def _locked(lane_ids: Iterable[int]) -> QuerySet[Lane]:
    """These lanes, locked in the order in which the relay writes them too: neither waits for the other."""
    lanes = Lane.objects.filter(id__in=list(lane_ids))
    list(lanes.select_for_update(no_key=True).order_by("id").values_list("id", flat=True))
    return lanes


def drain(lane_id: int) -> None:
    """What is left in the lane is not wanted any more: it is completed without acts, at no one's cost."""
    Lane.objects.filter(id=lane_id).update(draining=True, paused=False, held_until=None, held_for="")


def hold(lane_id: int, *, until: datetime, why: str) -> None:
    """Closes the lane until then; a longer hold that stands already is kept."""
    shorter = Q(held_until__isnull=True) | Q(held_until__lt=until)
    Lane.objects.filter(shorter, id=lane_id).update(held_until=until, held_for=why)


def probe(lane_id: int, *, until: datetime, why: str) -> None:
    """Holds the lane until then; afterwards one handling at a time is let through, until `end_probe`."""
    Lane.objects.filter(id=lane_id).update(held_until=until, held_for=why, probing=True)


def end_probe(lane_id: int) -> None:
    """The lane works again."""
    Lane.objects.filter(id=lane_id, probing=True).update(held_until=None, held_for="", probing=False)


def limit(lane_id: int, *, max_slots: int | None, interval: float | None, act_limit: float) -> None:
    """Changes the limits; starts already granted keep their times (2 s of them at most)."""
    Lane.objects.filter(id=lane_id).update(max_slots=max_slots, interval=interval, act_limit=act_limit)
