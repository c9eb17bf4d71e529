"""What can go wrong in the outbox. Each docstring ends the sentence "Raised when…"."""


class OutboxError(Exception):
    """the outbox cannot do what it was asked to do."""


class NoTransaction(OutboxError):
    """an event is published outside a transaction, apart from the change that it tells of."""


class UnknownHandler(OutboxError):
    """a handler is named that this process does not have."""


class LeaseLost(OutboxError):
    """a worker wants to write under a lease that has expired or is another's; it must write nothing."""


class Permanent(OutboxError):
    """a handler knows that trying again cannot help; its handling is parked at once."""


class PublishedInProjection(OutboxError):
    """a projection publishes an event; a replay would then publish it again."""
