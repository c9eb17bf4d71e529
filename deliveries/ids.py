"""Ids of deliveries are computed from what they deliver."""

import hashlib
import uuid
from functools import lru_cache

_NUMBER_BITS = 32


def delivery_id(group_id: uuid.UUID, number: int) -> uuid.UUID:
    """A UUID (RFC 9562, version 8) that sorts by group and number, the same whenever it is asked for.

    So an import that is done twice makes nothing twice, and a restored database gives the same row
    the same key again. 48 bits are the group's time, 42 a hash of the group, 32 the number.

    Raises ValueError unless 0 ≤ number < 2³².
    """
    if not 0 <= number < 1 << _NUMBER_BITS:
        raise ValueError(f"A delivery's number must fit 32 bits, and {number} does not.")
    return uuid.UUID(int=_prefix(group_id) | number)


def request_key(id_: uuid.UUID, revision: int) -> str:
    """The idempotency key: the same for every attempt, another once a person has changed what is sent."""
    return str(id_) if revision == 1 else f"{id_}-r{revision}"


def number_range(group_id: uuid.UUID, first: int, last: int) -> tuple[uuid.UUID, uuid.UUID]:
    """The ids of the group's deliveries from `first` to `last`, as a range."""
    return delivery_id(group_id, first), delivery_id(group_id, last)


def number_of(id_: uuid.UUID) -> int:
    return id_.int & ((1 << _NUMBER_BITS) - 1)


@lru_cache(maxsize=256)
def _prefix(group_id: uuid.UUID) -> int:
    digest = int.from_bytes(hashlib.sha256(group_id.bytes).digest()[:8], "big")
    high, low = digest >> 52, digest & ((1 << 30) - 1)
    time = group_id.int >> 80
    return time << 80 | 0x8 << 76 | high << 64 | 0b10 << 62 | low << _NUMBER_BITS
