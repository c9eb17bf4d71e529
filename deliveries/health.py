"""A destination's health, folded from answers: breaker, refusals and throttling. Pure.

Five failures in a row over at least three deliveries open the breaker: the destination is held, and
from then on one delivery at a time probes it, spending no attempt, until one goes through. Three
different deliveries refused in a row (401, 403, 410) pause it until somebody mends the access.
"""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from deliveries.answers import Kind, Verdict
from outbox.retries import backoff

BREAKER_FAILURES = 5
BREAKER_DELIVERIES = 3
REFUSALS = 3
PROBE_FIRST = 10.0  # seconds until the first probe
PROBE_CAP = 300.0
MOST_OPENED = 32_767  # times in a row that are counted: what the column holds, and months of probes


@dataclass(frozen=True, slots=True)
class Health:
    """What is remembered of a destination's last answers."""

    failures: int = 0
    failing: tuple[str, ...] = ()
    breaker_opened: int = 0
    refusals: tuple[str, ...] = ()

    @property
    def is_troubled(self) -> bool:
        return bool(self.failures or self.breaker_opened or self.refusals)


@dataclass(slots=True)
class Findings:
    """What one flush of answers, in the order in which they came, says of the destination."""

    health: Health
    uncounted: set[uuid.UUID] = field(default_factory=set)  # failures that spend no attempt
    hold: float = 0.0  # seconds
    hold_reason: str = ""
    opened: bool = False  # the breaker opens, or a probe failed
    closed: bool = False  # a probe went through
    pause_reason: str = ""
    succeeded: bool = False


def fold(health: Health, answers: Iterable[tuple[uuid.UUID, Verdict]]) -> Findings:
    """Takes in the answers (delivery id, verdict), oldest first."""
    findings = Findings(health)
    for delivery_id, verdict in answers:
        match verdict.kind:
            case Kind.AGAIN:
                _failure(findings, delivery_id, verdict)
            case Kind.THROTTLED:
                findings.uncounted.add(delivery_id)
                if verdict.hold > findings.hold:
                    findings.hold, findings.hold_reason = verdict.hold, verdict.message
            case Kind.REFUSED:
                _refusal(findings, delivery_id, verdict)
            case _:
                _answered(findings, succeeded=verdict.kind in (Kind.SUCCEEDED, Kind.ACCEPTED))
    return findings


def _failure(findings: Findings, delivery_id: uuid.UUID, verdict: Verdict) -> None:
    health = findings.health
    failing = health.failing
    if str(delivery_id) not in failing and len(failing) < BREAKER_DELIVERIES:
        failing = (*failing, str(delivery_id))
    findings.health = health = replace(health, failures=health.failures + 1, failing=failing)
    if health.breaker_opened:
        findings.uncounted.add(delivery_id)
        if findings.opened:
            return
    if health.failures >= BREAKER_FAILURES and len(failing) >= BREAKER_DELIVERIES:
        opened = min(health.breaker_opened + 1, MOST_OPENED)
        findings.health = replace(health, breaker_opened=opened)
        findings.opened = True
        findings.hold = max(findings.hold, backoff(opened, first=PROBE_FIRST, factor=2.0, cap=PROBE_CAP))
        findings.hold_reason = f"It failed {health.failures} times in a row: {verdict.message}"


def _refusal(findings: Findings, delivery_id: uuid.UUID, verdict: Verdict) -> None:
    findings.uncounted.add(delivery_id)
    refusals = findings.health.refusals
    if str(delivery_id) not in refusals:
        refusals = (*refusals, str(delivery_id))[-REFUSALS:]
    findings.health = replace(findings.health, refusals=refusals)
    if len(refusals) >= REFUSALS:
        findings.pause_reason = f"It refused {REFUSALS} deliveries in a row: {verdict.message}"


def _answered(findings: Findings, *, succeeded: bool) -> None:
    """Any other answer shows that the third party works and lets us in."""
    if findings.health.breaker_opened:
        findings.closed = True
        findings.opened = False
        findings.hold = 0.0
    findings.health = Health(refusals=() if succeeded else findings.health.refusals)
    if succeeded:
        findings.succeeded = True
        findings.pause_reason = ""
