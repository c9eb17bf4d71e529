"""Running a lease: claim, run by kind, settle. Every handler's Celery task is one call of `run_lease`."""

import logging
import time
from collections.abc import Sequence

from django.db import close_old_connections, connection, transaction

from outbox import leases, process, settling
from outbox.effects import EffectBatch, run_effect_batch
from outbox.errors import LeaseLost
from outbox.leases import Claim, Entry
from outbox.models import Kind
from outbox.outcomes import Defer, NextStep, Outcome
from outbox.publishing import caused_by, publishing_forbidden
from outbox.registry import Handler
from outbox.retries import is_infrastructure
from outbox.settling import Failure

logger = logging.getLogger(__name__)

STEPS_BUDGET = 5.0  # seconds of steps in one lease; then others of the lane have their turn
INFRASTRUCTURE_DELAY = 2.0
NEWER_DELAY = 5.0


def run_lease(handler: Handler, lease_id: int, message_token: str) -> None:
    """Runs one batch to its end. Never raises: what it cannot settle, the lease's expiry gives back."""
    try:
        claim = leases.claim(handler, lease_id, message_token)
    except Exception as exc:
        logger.warning(
            "lease.unclaimed lease=%s Could not claim a lease (%s); it will expire.", lease_id, exc
        )
        _drop_broken_connection()
        return
    if claim is None:
        return
    token = process.current_claim.set(claim)
    try:
        _run(claim)
    except LeaseLost as exc:
        logger.info("lease.lost handler=%s lease=%s %s", handler.name, lease_id, exc)
    except Exception as exc:
        logger.warning(
            "lease.interrupted handler=%s lease=%s The batch is given back (%s).", handler.name, lease_id, exc
        )
        _drop_broken_connection()
        _give_back_after_trouble(claim)
    finally:
        process.current_claim.reset(token)


def _run(claim: Claim) -> None:
    if claim.newer:
        # A newer release published these; a worker of that release will take them.
        _give_back(claim, claim.newer, Defer(NEWER_DELAY), end=False)
    for entry, error in claim.unreadable:
        _settle_failure(claim, Failure(entry, error))
    handler = claim.handler
    if claim.closed or process.stopping.is_set():
        _give_back(claim, [entry.id for entry in claim.entries], Defer(), end=True)
    elif isinstance(handler.call, type) and issubclass(handler.call, EffectBatch):
        run_effect_batch(claim, handler.call)
    elif handler.kind is Kind.EFFECT:
        _run_effects(claim)
    else:
        _run_transactional(claim, claim.entries, end=True)


def _run_transactional(claim: Claim, entries: Sequence[Entry], *, end: bool) -> None:
    """One transaction for all; if it fails for data, each half has its own, down to the bad one.

    Halves are transactions rather than savepoints, because a deferred constraint speaks at commit.
    """
    try:
        settling.again_on_conflict(lambda: _transaction(claim, entries, end=end))
    except LeaseLost:
        raise
    except Exception as exc:
        if is_infrastructure(exc):
            raise
        leases.renew(claim)
        if len(entries) <= 1:
            for entry in entries:
                _settle_failure(claim, Failure(entry, exc), end=end)
            return
        middle = len(entries) // 2
        _run_transactional(claim, entries[:middle], end=False)
        _run_transactional(claim, entries[middle:], end=end)
    else:
        if not end:
            leases.renew(claim)


def _transaction(claim: Claim, entries: Sequence[Entry], *, end: bool) -> None:
    with transaction.atomic():
        leases.fence(claim)
        held = leases.still_held(claim, [entry.id for entry in entries])
        ours = [entry for entry in entries if entry.id in held]
        if ours:
            settling.settle(claim, ours, _call(claim.handler, ours))
        if end:
            settling.release(claim)


def _call(handler: Handler, entries: Sequence[Entry]) -> Sequence[Outcome]:
    if handler.kind is Kind.PROJECTION:
        with publishing_forbidden():
            return _outcomes(handler, entries)
    return _outcomes(handler, entries)


def _outcomes(handler: Handler, entries: Sequence[Entry]) -> Sequence[Outcome]:
    if handler.takes_list:
        answer: Sequence[Outcome] | None = handler.call([entry.event for entry in entries])
        return answer if answer is not None else [None] * len(entries)
    outcomes: list[Outcome] = []
    for entry in entries:
        with caused_by(entry.event.id):
            outcomes.append(handler.call(entry.event))
    return outcomes


def _run_effects(claim: Claim) -> None:
    for entry in claim.entries:
        _run_effect(claim, entry)
    with transaction.atomic():
        leases.fence(claim)
        settling.release(claim)


def _run_effect(claim: Claim, entry: Entry) -> None:
    """Step by step to its end; if that takes long, others of the lane have their turn in between."""
    started = time.monotonic()
    while isinstance(_effect_step(claim, entry), NextStep):
        if time.monotonic() - started > STEPS_BUDGET or process.stopping.is_set():
            _give_back(claim, [entry.id], Defer(), end=False)
            return
        leases.renew(claim)


def _effect_step(claim: Claim, entry: Entry) -> Outcome:
    """Acts outside any transaction, then commits what the act returned together with its completion."""

    def commit() -> Outcome:
        with transaction.atomic():
            leases.fence(claim)
            outcome: Outcome = then() if callable(then) else then
            if not isinstance(outcome, NextStep):
                settling.settle(claim, [entry], [outcome])
        return outcome

    try:
        with caused_by(entry.event.id):
            then = claim.handler.call(entry.event)
            return settling.again_on_conflict(commit)
    except LeaseLost:
        raise
    except Exception as exc:
        if is_infrastructure(exc):
            raise
        _settle_failure(claim, Failure(entry, exc))
        return None


def _settle_failure(claim: Claim, failure: Failure, *, end: bool = False) -> None:
    logger.warning(
        "handling.failed handler=%s handling=%s event=%s %s",
        claim.handler.name,
        failure.entry.id,
        failure.entry.event.id,
        settling.describe(failure.error),
        exc_info=failure.error,
    )

    def commit() -> None:
        with transaction.atomic():
            leases.fence(claim)
            settling.fail(claim, failure)
            if end:
                settling.release(claim)

    settling.again_on_conflict(commit)


def _give_back(claim: Claim, ids: Sequence[int], outcome: Defer, *, end: bool) -> None:
    with transaction.atomic():
        leases.fence(claim)
        settling.defer(claim, sorted(leases.still_held(claim, ids)), outcome)
        if end:
            settling.release(claim)


def _give_back_after_trouble(claim: Claim) -> None:
    try:
        _give_back(claim, claim.ids, Defer(INFRASTRUCTURE_DELAY), end=True)
    except Exception as exc:
        logger.info("lease.left lease=%s Not given back (%s); it will expire.", claim.lease_id, exc)


def _drop_broken_connection() -> None:
    if not connection.in_atomic_block:
        close_old_connections()
        connection.close()
