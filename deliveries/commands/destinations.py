"""Destinations: added, changed, paused, resumed; each with its lane."""

import uuid
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from deliveries import token_requests, tokens
from deliveries.addresses import problem_with_url
from deliveries.authentication import Auth, problem_with
from deliveries.errors import BadDestination, DestinationChanged, UnknownDestination
from deliveries.events import BreakerClosed, BreakerOpened, DestinationPaused, DestinationResumed
from deliveries.models import Destination
from deliveries.wire import problem_with_header
from outbox import lanes, sql
from outbox.models import uuid7
from outbox.publishing import publish

EXECUTE = "deliveries.execute_delivery"  # the handler whose lanes carry pause, rate, breaker, fairness
# Written by what is sent, and empty while all is well.
HEALTH = {"failing", "refusals", "last_success_at", "last_errors"}


def add_destination(
    *,
    name: str,
    url: str,
    method: str = "POST",
    headers: dict[str, str] | None = None,
    rate: float | None = None,
    concurrency: int | None = None,
    **settings_: Any,
) -> Destination:
    """Stores a destination with its lane. Raises BadDestination with a sentence that says what to change."""
    with transaction.atomic():
        destination = Destination(
            name=name,
            url=url,
            method=method,
            headers=headers or {},
            rate=rate,
            concurrency=concurrency,
            **settings_,
        )
        destination.lane_id = lanes.ensure(EXECUTE, f"destination:{uuid7()}", **_limits(destination))
        _check(destination)
        _save(destination)
    return destination


def _limits(destination: Destination) -> lanes.Limits:
    return {
        "max_slots": destination.concurrency,
        "interval": 1 / destination.rate if destination.rate else None,
        "act_limit": _act_limit(destination),
    }


def _act_limit(destination: Destination) -> float:
    """Seconds that one act may take: with OAuth2 a request, a new token, and the request once more."""
    if destination.auth == Auth.OAUTH2:
        return 2 * destination.timeout + token_requests.LIMIT
    return destination.timeout


# Beyond these a time is too far away to be a date, or is none.
_YEAR = 365 * 86_400.0  # seconds
BOUNDS = {
    "rate": (1 / 86_400, 1e6, "The rate is a number of requests a second, from one a day to a million."),
    "retry_first": (0.0, _YEAR, "The first wait is a number of seconds, from 0 to a year."),
    "retry_factor": (0.0, 1000.0, "The factor of each further wait is a number from 0 to 1000."),
    "retry_cap": (0.0, _YEAR, "The longest wait is a number of seconds, from 0 to a year."),
}


def problem_with_bounds(name: str, value: float | None) -> str:
    """Why a number cannot be one of BOUNDS; "" if nothing keeps it from that."""
    least, most, sentence = BOUNDS[name]
    return "" if value is None or least <= value <= most else sentence


def _check(destination: Destination) -> None:
    if problem := problem_with_url(destination.url):
        raise BadDestination(problem)
    for header, value in destination.headers.items():
        if problem := problem_with_header(header, value):
            raise BadDestination(problem)
    try:
        destination.full_clean(exclude=HEALTH)
    except ValidationError as exc:
        field, messages = next(iter(exc.message_dict.items()))
        place = "" if field == "__all__" else f"{field}: "
        raise BadDestination(f"{place}{messages[0]}") from exc
    for name in BOUNDS:
        if problem := problem_with_bounds(name, getattr(destination, name)):
            raise BadDestination(problem)
    _, problem = problem_with(destination.auth, destination.credentials or {}, destination.headers)
    if problem:
        raise BadDestination(problem)


def _save(destination: Destination, **options: Any) -> None:
    """Of two who take the same name at once, the check before saw neither."""
    try:
        with transaction.atomic():
            destination.save(**options)
    except IntegrityError as exc:
        if not Destination.objects.filter(name=destination.name).exclude(id=destination.pk).exists():
            raise
        raise BadDestination(
            f"Another destination was named {destination.name} a moment ago. Use that one, or choose another "
            f"name."
        ) from exc


def change_destination(destination_id: int, *, edition: int | None = None, **fields: Any) -> Destination:
    """Changes a destination, and its lane's limits with it. `edition` is that of what the person saw.

    Raises BadDestination as `add_destination`, DestinationChanged if another edition is stored, with
    other values than these, and UnknownDestination.
    """
    with transaction.atomic():
        destination = _locked(destination_id)
        changed = {name for name, value in fields.items() if getattr(destination, name) != value}
        if not changed:
            return destination
        if edition not in (None, destination.edition):
            raise DestinationChanged(
                "Somebody else changed this destination while this page was open, so nothing is stored. "
                "Open it again to see how it is now, and make your change there."
            )
        for name in changed:
            setattr(destination, name, fields[name])
        destination.edition += 1
        _check(destination)
        _save(destination, update_fields=[*changed, "edition"])
        if changed & {"auth", "credentials"}:
            tokens.forget(destination.id)
        lanes.limit(destination.lane_id, **_limits(destination))
    return destination


def get_destination(name: str) -> Destination:
    """The destination of that name; raises UnknownDestination naming those there are."""
    destination = Destination.objects.filter(name=name).first()
    if destination is None:
        known = ", ".join(Destination.objects.order_by("name").values_list("name", flat=True)[:20])
        raise UnknownDestination(
            f"There is no destination {name}. "
            + (f"Known are: {known}." if known else "Add one with: manage.py add_destination NAME URL")
        )
    return destination


def pause_destination(destination_id: int, *, reason: str, by_person: bool) -> bool:
    """Nothing more is sent there until it is resumed; says whether this call paused it."""
    destination = _locked(destination_id)
    if not lanes.pause([destination.lane_id], why=reason):
        return False
    Destination.objects.filter(id=destination_id).update(
        paused_for=reason[:300], paused_at=sql.database_now()
    )
    publish(
        DestinationPaused(
            correlation_id=_story(destination),
            destination_id=destination.id,
            name=destination.name,
            reason=reason,
            by_person=by_person,
        )
    )
    return True


def resume_destination(destination_id: int) -> bool:
    """Ends a pause or a hold, and forgets what led to it; says whether there was one."""
    destination = _locked(destination_id)
    if not lanes.resume([destination.lane_id]):
        return False
    Destination.objects.filter(id=destination_id).update(
        paused_for="", paused_at=None, failures=0, failing=[], breaker_opened=0, refusals=[]
    )
    publish(
        DestinationResumed(
            correlation_id=_story(destination), destination_id=destination.id, name=destination.name
        )
    )
    return True


def tell_breaker(destination: Destination, *, was_open: bool, reason: str) -> None:
    """Publishes that the breaker has opened or closed, if it has; a probe that fails is no news."""
    if was_open == (destination.breaker_opened > 0):
        return
    story, id_, name = _story(destination), destination.id, destination.name
    if was_open:
        publish(BreakerClosed(correlation_id=story, destination_id=id_, name=name))
    else:
        publish(BreakerOpened(correlation_id=story, destination_id=id_, name=name, reason=reason))


def _locked(destination_id: int) -> Destination:
    destination = Destination.objects.select_for_update(no_key=True).filter(id=destination_id).first()
    if destination is None:
        raise UnknownDestination("This destination was deleted meanwhile.")
    return destination


def _story(destination: Destination) -> uuid.UUID:
    return uuid.uuid5(uuid.NAMESPACE_URL, f"rowpost:destination:{destination.id}")
