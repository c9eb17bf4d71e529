"""When a failed attempt is made again. Pure."""

from dataclasses import dataclass

from outbox.retries import backoff


@dataclass(frozen=True, slots=True)
class Schedule:
    """A destination's schedule; the default is ten attempts over about three days."""

    max_attempts: int = 10
    first: float = 60.0
    factor: float = 3.0
    cap: float = 86400.0

    def wait(self, fail_count: int, asked: float | None) -> float | None:
        """Seconds until the next attempt after `fail_count` counted failures; None: it fails for good.

        `asked` is what the third party asked for with Retry-After; it is honoured in full.
        """
        if fail_count >= self.max_attempts:
            return None
        return max(asked or 0.0, backoff(fail_count, first=self.first, factor=self.factor, cap=self.cap))
