"""What can go wrong with deliveries. Each docstring ends the sentence "Raised when…"."""


class DeliveryError(Exception):
    """a delivery cannot be made or changed as asked."""


class UnknownDestination(DeliveryError):
    """a destination is named that does not exist."""


class BadDestination(DeliveryError):
    """a destination cannot be stored as given; the text says what to change."""


class DestinationChanged(DeliveryError):
    """a destination is changed from a page that shows how it was before somebody else's change."""


class UndecryptableSecret(DeliveryError):
    """a stored secret cannot be read with the keys at hand; it must not be sent as it is."""
