"""What a handler may answer instead of None, which says that the event is handled."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Defer:
    """Not yet: run this handling again after so many seconds. It is no failure."""

    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class NextStep:
    """Commit what was done and call the handler again: long work in short transactions."""


Outcome = None | Defer | NextStep
