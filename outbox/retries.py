"""Retry policies: pure functions from (tries, error, now) to a decision."""

import errno
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import InterfaceError, OperationalError

from outbox.errors import Permanent


@dataclass(frozen=True, slots=True)
class Again:
    """Try once more, not before `at`."""

    at: datetime


@dataclass(frozen=True, slots=True)
class Park:
    """Give up, and keep the handling for a person."""


Decision = Again | Park
RetryPolicy = Callable[[int, BaseException, datetime], Decision]

_GROUND = (OperationalError, InterfaceError, MemoryError)
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.ENOMEM}
_LIMITS = "54"  # program limit exceeded: a row too large for an index is the event's fault
_CONFLICTS = ("40001", "40P01")  # serialisation failure, deadlock


def backoff(tries: int, *, first: float, factor: float, cap: float) -> float:
    """Seconds to wait after the `tries`-th failure (from 1): exponential, with a jitter of ± 20 %."""
    try:
        grown = first * factor ** max(0, tries - 1)
    except OverflowError:  # after some hundreds of them
        grown = cap
    return min(cap, grown) * random.uniform(0.8, 1.2)


def exponential(
    *, limit: int = 10, first: float = 2.0, factor: float = 2.0, cap: float = 3600.0
) -> RetryPolicy:
    """Parks a permanent error at once and any other after `limit` failures."""

    def decide(tries: int, error: BaseException, now: datetime) -> Decision:
        if isinstance(error, Permanent) or tries >= limit:
            return Park()
        return Again(now + timedelta(seconds=backoff(tries, first=first, factor=factor, cap=cap)))

    return decide


def is_infrastructure(error: BaseException) -> bool:
    """What is wrong with the ground we stand on, not with the event: it counts as no failure."""
    if isinstance(error, OSError):
        return error.errno in _FULL
    return isinstance(error, _GROUND) and not _sqlstate(error).startswith(_LIMITS)


def is_conflict(error: BaseException) -> bool:
    """Two transactions stood in each other's way: run the batch again at once."""
    return _sqlstate(error) in _CONFLICTS or "database is locked" in str(error)


def _sqlstate(error: BaseException) -> str:
    """PostgreSQL's five-letter code of an error, or nothing."""
    return getattr(error.__cause__ or error, "sqlstate", None) or ""
