"""How destinations are: state, rate and errors, for any number of them in a handful of reads."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q, Sum

from deliveries import tallies
from deliveries.last_errors import LastError, restored
from deliveries.models import Destination
from deliveries.tallies import Minute
from feeds.models import Feed
from outbox import sql
from outbox.models import Lane, Lease

# Pages show many of them, and each secret that is read is decrypted.
SECRETS = ("headers", "credentials", "signing_secret")


@dataclass(frozen=True, slots=True)
class SeenError:
    """An error that the destination's requests met, with the feed whose row it was."""

    error: LastError
    feed: Feed | None  # None: it is gone, or its rows are


@dataclass(frozen=True, slots=True)
class Health:
    """How a destination is, in one word and one sentence, and what it does just now."""

    destination: Destination
    state: str  # healthy, held, failing, paused
    why: str = ""
    until: datetime | None = None
    waiting: int = 0  # requests that could be sent now
    under_way: int = 0  # requests, at most: as many as running batches may have open
    succeeded: float = 0.0  # requests a second over the last minute
    failed: float = 0.0
    errors: Sequence[SeenError] = ()  # the newest of each kind, newest first

    @property
    def error(self) -> SeenError | None:
        return self.errors[0] if self.errors else None


def troubled_first(count: int) -> list[Destination]:
    """So many destinations without their secrets: those first that are paused, held or failing."""
    destinations = Destination.objects.defer(*SECRETS)
    closed = Q(paused=True) | Q(held_until__gt=sql.database_now())
    lanes = Lane.objects.filter(closed, parent__isnull=True).values("id")
    found = destinations.filter(Q(lane_id__in=lanes) | Q(breaker_opened__gt=0))
    troubled = list(found.order_by("name")[:count])
    others = destinations.exclude(id__in=[each.id for each in troubled]).order_by("name")
    return [*troubled, *others[: count - len(troubled)]]


def health(destinations: Sequence[Destination]) -> list[Health]:
    now = sql.database_now()
    lanes = Lane.objects.in_bulk([destination.lane_id for destination in destinations])
    waiting = dict(
        Lane.objects.filter(ready__gt=0, parent__in=list(lanes))
        .values_list("parent")
        .annotate(Sum("ready"))
        .order_by()
    )
    under_way = _under_way()
    minutes = tallies.last_two(now)
    errors = _errors(destinations)
    found = []
    for each in destinations:
        lane = lanes.get(each.lane_id)
        state, why, until = _state(each, lane, now)
        good, bad = _rates(minutes.get(each.id, ()), now)
        found.append(
            Health(
                destination=each,
                state=state,
                why=why,
                until=until,
                waiting=waiting.get(each.lane_id, 0),
                under_way=under_way[each.lane_id],
                succeeded=good,
                failed=bad,
                errors=errors[each.id],
            )
        )
    return found


def _state(destination: Destination, lane: Lane | None, now: datetime) -> tuple[str, str, datetime | None]:
    if lane is not None and lane.paused:
        return "paused", lane.held_for, None
    held = lane is not None and lane.held_until is not None and lane.held_until > now
    why, until = (lane.held_for, lane.held_until) if lane is not None and held else ("", None)
    if destination.breaker_opened:
        return "failing", why, until
    return ("held" if held else "healthy"), why, until


def _under_way() -> Counter[int]:
    """By lane of a destination: how many requests its running batches may have open."""
    slots: Counter[int] = Counter()
    running = Lease.objects.filter(state=Lease.State.RUNNING, parent_id__isnull=False)
    for parent_id, count in running.values_list("parent_id", "slots"):
        slots[parent_id or 0] += count
    return slots


def _rates(minutes: Sequence[Minute], now: datetime) -> tuple[float, float]:
    if not minutes:
        return 0.0, 0.0
    return (
        tallies.per_second([minute.succeeded for minute in minutes], now),
        tallies.per_second([minute.failed for minute in minutes], now),
    )


def _errors(destinations: Iterable[Destination]) -> dict[int, list[SeenError]]:
    known = {each.id: restored(each.last_errors) for each in destinations}
    ids = {error.group_id for errors in known.values() for error in errors if error.group_id}
    feeds = Feed.objects.filter(id__in=ids, rows_deleted=False).only("id", "name").in_bulk()
    return {
        destination_id: [
            SeenError(error, feeds.get(error.group_id) if error.group_id else None) for error in errors
        ]
        for destination_id, errors in known.items()
    }
