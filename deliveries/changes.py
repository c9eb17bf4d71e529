"""Which settings of a destination a person changed: their names, and of secrets nothing else either."""

from collections.abc import Iterator, Mapping

from deliveries.authentication import FIELDS
from deliveries.models import Destination

SETTINGS = (
    "name", "url", "method", "auth", "signing_secret", "rate", "concurrency", "timeout", "max_attempts",
    "retry_first", "retry_factor", "retry_cap", "success_path", "success_value", "statuses", "group_id",
)  # fmt: skip
_LABELS = {field.name: field.label for fields in FIELDS.values() for field in fields}
_WORDS = {"auth": "authentication", "group_id": "group", "url": "URL"}


def changed_settings(before: Destination, after: Destination) -> list[str]:
    """The names of what differs, headers and credentials each by its own."""
    plain = [name for name in SETTINGS if getattr(before, name) != getattr(after, name)]
    return [
        *(_WORDS.get(name, name.replace("_", " ")) for name in plain),
        *(f"header {name}" for name in _different(before.headers, after.headers)),
        *(_LABELS.get(name, name) for name in _different(before.credentials or {}, after.credentials or {})),
    ]


def _different(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    for name in {**before, **after}:
        if before.get(name) != after.get(name):
            yield name
