"""OAuth2 client credentials: one access token, shared by all that send to a destination.

It is stored encrypted, and fetched by whoever claims it: a compare-and-set on the row, and no transaction
across the network. Others wait for that one, or go on with the old token while it is good. Whatever is
written names the version that was read, so a change of the credentials meanwhile wins.
"""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import F, Q

from deliveries import token_requests
from deliveries.models import AccessToken
from deliveries.token_requests import Granted, TokenUnavailable
from outbox import sql

__all__ = ["Token", "TokenUnavailable", "forget", "obtain"]

POLL = 0.1  # seconds between two looks at a fetch of somebody else
FRESH = 10.0  # seconds in which a token that is refused is no old one, so that a new one would not help
REST = 10.0  # seconds after a failed early renewal in which the old token is simply used
MARGIN = 60.0  # seconds before its end that a token is renewed, at most
CLAIM = token_requests.LIMIT + 5.0  # seconds after which whoever claimed the fetch is taken for dead


@dataclass(frozen=True, slots=True)
class Token:
    """A token as this process uses it; times on its own monotonic clock."""

    value: str
    version: int
    fetched: float
    renew: float

    @property
    def is_fresh(self) -> bool:
        return time.monotonic() - self.fetched < FRESH

    @property
    def is_old(self) -> bool:
        return time.monotonic() >= self.renew


def obtain(destination_id: int, *, refused: int = -1) -> Token:
    """A token to send with, newer than the version that was refused. Never within a transaction.

    Raises TokenUnavailable with a sentence, after at most `token_requests.LIMIT` seconds and a bit.
    """
    if connection.in_atomic_block:
        raise RuntimeError("No transaction is held across the network.")
    AccessToken.objects.get_or_create(destination_id=destination_id)
    began = sql.database_now()
    patience = time.monotonic() + token_requests.LIMIT
    while True:
        row, now = _row(destination_id), sql.database_now()
        is_good = bool(row.value) and row.version > refused and _is_before(now, row.expires_at)
        resting = _is_before(now - timedelta(seconds=REST), row.failed_at)
        if is_good and (_is_before(now, row.renew_at) or resting):
            return _token(row, now)
        if _is_before(began, row.failed_at):
            raise TokenUnavailable(row.failure)
        if _claim(row, now):
            return _fetched(row, now, is_good=is_good)
        if is_good:
            return _token(row, now)
        if time.monotonic() > patience:
            raise TokenUnavailable("Another worker has been fetching an access token for too long.")
        time.sleep(POLL)


def forget(destination_id: int) -> None:
    """The credentials have changed: no token of before is used, and none that is under way is stored."""
    AccessToken.objects.filter(destination_id=destination_id).update(
        version=F("version") + 1, value=None, claimed_until=None, failure="", failed_at=None
    )


def _is_before(moment: datetime, end: datetime | None) -> bool:
    return end is not None and moment < end


def _row(destination_id: int) -> AccessToken:
    """The token with the credentials of the same moment."""
    return AccessToken.objects.select_related("destination").get(destination_id=destination_id)


def _token(row: AccessToken, now: datetime) -> Token:
    fetched_at, renew_at = row.fetched_at or now, row.renew_at or now  # stored with the value, all three
    here = time.monotonic()
    return Token(
        value=row.value,
        version=row.version,
        fetched=here - (now - fetched_at).total_seconds(),
        renew=here + max(POLL, (renew_at - now).total_seconds()),
    )


def _claim(row: AccessToken, now: datetime) -> bool:
    free = Q(claimed_until__isnull=True) | Q(claimed_until__lt=now)
    until = now + timedelta(seconds=CLAIM)
    same = AccessToken.objects.filter(free, destination_id=row.destination_id, version=row.version)
    return bool(same.update(claimed_until=until))


def _fetched(row: AccessToken, now: datetime, *, is_good: bool) -> Token:
    try:
        granted = token_requests.fetch(row.destination)
    except TokenUnavailable as exc:
        _store(row, claimed_until=None, failure=str(exc)[:500], failed_at=sql.database_now())
        if is_good:
            return _token(row, now)
        raise
    return _kept(row, granted)


def _kept(row: AccessToken, granted: Granted) -> Token:
    """Stores the new token. If it may not be stored any more, it is still good for who has fetched it."""
    now = sql.database_now()
    row.value, row.fetched_at = granted.value, now
    row.expires_at = now + timedelta(seconds=granted.seconds)
    row.renew_at = row.expires_at - timedelta(seconds=min(MARGIN, granted.seconds / 5))
    _store(
        row,
        version=row.version + 1,
        value=row.value,
        fetched_at=now,
        renew_at=row.renew_at,
        expires_at=row.expires_at,
        claimed_until=None,
        failure="",
        failed_at=None,
    )
    row.version += 1
    return _token(row, now)


def _store(row: AccessToken, **fields: Any) -> None:
    """Nothing, if the credentials or the token have changed since the row was read."""
    AccessToken.objects.filter(destination_id=row.destination_id, version=row.version).update(**fields)
