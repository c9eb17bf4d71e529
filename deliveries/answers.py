"""What an answer means: one pure function from an answer and a destination's rule to a verdict.

Nothing here counts, waits or stores. Who asks decides what needs more than one answer to know: whether an
earlier send of a CONFLICT may have arrived, and whether others of a REFUSED one's destination go through.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import orjson

from deliveries.client import Answer
from deliveries.said import said

HOLD_WITHOUT_HEADER = 60.0
# Such an attempt does not count, so "Retry-After: 0" would have us send without end, as fast as we can.
SHORTEST_HOLD = 1.0

# Errors that come from what was asked for and not from the network: sending the same again cannot help.
LASTING_ERRORS = frozenset({"bad_request", "refused_address"})


class Kind(StrEnum):
    SUCCEEDED = "succeeded"
    ACCEPTED = "accepted"  # 202 where replies are awaited: the outcome comes later
    AGAIN = "again"  # to be sent again by the schedule; counts
    THROTTLED = "throttled"  # the destination is held; to be sent again, does not count
    REFUSED = "refused"  # 401, 403, 410: waits for what the destination answers to others
    CONFLICT = "conflict"  # 409: final only if no earlier send of this key may have arrived
    FAILED = "failed"  # for good


# What a destination may say that a status means, by the name that it is written with.
STATUS_MEANINGS = frozenset({"succeeded", "again", "throttled", "failed"})


@dataclass(frozen=True, slots=True)
class Rule:
    """What a destination says about its answers."""

    success_path: str = ""  # place in a 2xx's JSON, as "result.ok" or "items.0.state"; "": the status will do
    success_value: Any = True  # what stands there in a success; text also matches a value written like it
    statuses: Mapping[int, str] = field(default_factory=dict)  # {404: "succeeded"}: goes before the table
    replies: bool = False  # 202 is only an acceptance


@dataclass(frozen=True, slots=True)
class Verdict:
    kind: Kind
    code: str  # stable: "http_404", "timeout_read", "not_confirmed"
    message: str  # a sentence for people
    hold: float = 0.0  # seconds for which the destination is held; only THROTTLED
    retry_after: float | None = None  # seconds that the third party asked for, before the next attempt


def judge(answer: Answer, rule: Rule) -> Verdict:
    if answer.status is None:
        kind = Kind.FAILED if answer.error_code in LASTING_ERRORS else Kind.AGAIN
        return Verdict(kind, answer.error_code, answer.error)
    if meaning := rule.statuses.get(answer.status):
        return _verdict(answer, Kind(meaning))
    if 200 <= answer.status < 300:
        return _judge_success(answer, rule)
    return _verdict(answer, _kind_of(answer))


def _kind_of(answer: Answer) -> Kind:
    match answer.status:
        case 429:
            return Kind.THROTTLED
        case 503 if answer.retry_after is not None:
            return Kind.THROTTLED
        case 401 | 403 | 410:
            return Kind.REFUSED
        case 409:
            return Kind.CONFLICT
        case 408 | 425:
            return Kind.AGAIN
        case int(status) if 500 <= status < 600:
            return Kind.AGAIN
    return Kind.FAILED


def _verdict(answer: Answer, kind: Kind) -> Verdict:
    hold = 0.0
    if kind is Kind.THROTTLED:
        hold = HOLD_WITHOUT_HEADER if answer.retry_after is None else max(answer.retry_after, SHORTEST_HOLD)
    message = _sentence(answer)
    if kind not in (Kind.SUCCEEDED, Kind.ACCEPTED) and (words := said(answer.body)):
        message = f"{message[:-1]}: {words}."
    return Verdict(kind, f"http_{answer.status}", message, hold=hold, retry_after=answer.retry_after)


def _sentence(answer: Answer) -> str:
    status = f"The third party answered {answer.status} {answer.reason}".rstrip()
    if answer.status is not None and 300 <= answer.status < 400 and (place := answer.headers.get("location")):
        return f"{status}: a redirect to {place}, which is not followed."
    return f"{status}."


def _judge_success(answer: Answer, rule: Rule) -> Verdict:
    if answer.status == 202 and rule.replies:
        return _verdict(answer, Kind.ACCEPTED)
    if not rule.success_path or _confirms(answer.content, rule):
        return _verdict(answer, Kind.SUCCEEDED)
    if answer.broken:
        message = "The answer broke off before it said whether the third party had succeeded."
        return Verdict(Kind.AGAIN, "answer_cut", message)
    message = f"{_sentence(answer)[:-1]}, but its {rule.success_path} is not {_written(rule.success_value)}."
    return Verdict(Kind.FAILED, "not_confirmed", message)


def _confirms(content: bytes, rule: Rule) -> bool:
    try:
        found = _at(orjson.loads(content), rule.success_path)
    except (ValueError, LookupError):
        return False
    expected = rule.success_value
    return _written(found) == _written(expected) or (
        isinstance(expected, str) and _written(found) == expected
    )


def _at(document: Any, path: str) -> Any:
    """What stands at the path; LookupError or ValueError if nothing does."""
    for step in path.removeprefix("$.").split("."):
        if isinstance(document, list):
            document = document[int(step)]
        elif isinstance(document, dict):
            document = document[step]
        else:
            raise LookupError(step)
    return document


def _written(value: Any) -> str:
    # As JSON, because for Python True is 1.
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
