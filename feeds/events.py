"""The facts of feeds. `correlation_id` and `conversation_id` are the feed's id."""

from dataclasses import dataclass

from outbox.events import Event


@dataclass(frozen=True, kw_only=True)
class FeedCreated(Event):
    """A file was uploaded and is to be read."""


@dataclass(frozen=True, kw_only=True)
class FeedCorrected(Event):
    """A person said how the file is written; it is to be read again."""


@dataclass(frozen=True, kw_only=True)
class FeedChecked(Event):
    """The file was read once; it may be sent."""

    total: int
    invalid: int


@dataclass(frozen=True, kw_only=True)
class FeedRejected(Event):
    """The file cannot be read."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class FeedReleased(Event):
    """Its rows are to be sent; with `trial` only the first ones, and a second release sends the rest."""

    trial: bool = False


@dataclass(frozen=True, kw_only=True)
class FeedImported(Event):
    """Each row has its delivery, or is invalid."""


@dataclass(frozen=True, kw_only=True)
class FeedTried(Event):
    """Each row was tried once."""


@dataclass(frozen=True, kw_only=True)
class FeedCompleted(Event):
    """Each row has ended; `occurrence` is the round."""

    succeeded: int
    failed: int
    cancelled: int


@dataclass(frozen=True, kw_only=True)
class RetryRequested(Event):
    """A person wants failed rows sent again: the errand says which."""

    errand_id: int


@dataclass(frozen=True, kw_only=True)
class GiveUpRequested(Event):
    """A person wants what still retries to end as failed."""

    errand_id: int
    by: str


@dataclass(frozen=True, kw_only=True)
class FeedCancelled(Event):
    """A person stopped the feed."""
