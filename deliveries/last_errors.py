"""The last errors of a destination, for people: the newest of each kind, kept beside its health.

They are written with the health, in the flush that found them: no row, no lock and no statement more.
"""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

KEPT = 3  # kinds
LONGEST = 300


@dataclass(frozen=True, slots=True)
class LastError:
    """One answer that was no success, or a request without one."""

    code: str
    message: str  # a sentence
    at: datetime
    group_id: uuid.UUID | None
    number: int

    @classmethod
    def restore(cls, stored: dict[str, Any]) -> Self:
        return cls(
            code=stored["code"],
            message=stored["message"],
            at=datetime.fromisoformat(stored["at"]),
            group_id=uuid.UUID(stored["group"]) if stored["group"] else None,
            number=stored["number"],
        )

    def stored(self) -> dict[str, Any]:
        return {
            "code": self.code,
            "message": self.message[:LONGEST],
            "at": self.at.isoformat(),
            "group": str(self.group_id) if self.group_id else "",
            "number": self.number,
        }


def remembered(known: Sequence[dict[str, Any]], new: Iterable[LastError]) -> list[dict[str, Any]]:
    """The newest of each code, as they are stored; those that happened last stand first."""
    errors = {error["code"]: error for error in reversed(known)}
    for error in new:
        errors.pop(error.code, None)
        errors[error.code] = error.stored()
    return list(reversed(errors.values()))[:KEPT]


def restored(known: Sequence[dict[str, Any]]) -> list[LastError]:
    return [LastError.restore(error) for error in known]
