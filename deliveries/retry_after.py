"""The header Retry-After (RFC 9110, 10.2.3), in both of its forms."""

import re
import time
from email.utils import parsedate_to_datetime

LONGEST_WAIT = 24 * 3600.0


def retry_after_seconds(value: str, *, date: str = "") -> float | None:
    """Seconds to wait, from 0 to 24 hours; None if the value says nothing.

    An HTTP date is taken relative to the answer's own Date header, so that a clock that is wrong on either
    side does no harm; without one relative to our clock.
    """
    value = value.strip()
    if re.fullmatch(r"[0-9]+(\.[0-9]*)?", value):
        return min(float(value), LONGEST_WAIT)
    until = _timestamp(value)
    if until is None:
        return None
    now = _timestamp(date)
    return min(max(until - (time.time() if now is None else now), 0.0), LONGEST_WAIT)


def _timestamp(value: str) -> float | None:
    if not value:
        return None
    try:
        return parsedate_to_datetime(value).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
