"""What an event is: an immutable fact, past tense, stored with the change that caused it."""

import uuid
from collections.abc import Callable
from dataclasses import MISSING, Field, dataclass, field, fields
from datetime import datetime
from typing import Any, ClassVar, NamedTuple, Self, get_args, get_type_hints

import orjson

from outbox.errors import OutboxError

EVENT_TYPES: dict[str, type["Event"]] = {}


class UnreadableEvent(OutboxError):
    """a stored event has a type that this process does not know, or a version above its own."""


@dataclass(frozen=True, kw_only=True)
class Event:
    """The envelope that all events share; the fields that a subclass adds are its payload.

    Payload fields are str, int, float, bool, UUID, datetime, dict or list of plain values, or None.
    Events change by addition: a new field has a default; `version` rises one release after the
    new version can be read.
    """

    version: ClassVar[int] = 1

    correlation_id: uuid.UUID  # the aggregate that the event speaks of
    occurrence: int = 0  # which time: the attempt, the round
    conversation_id: uuid.UUID | None = None  # what the whole story belongs to; pruned together
    causation_id: int | None = None  # the event whose handling published this one
    lane_id: int | None = None
    due_at: datetime | None = None
    id: int = field(default=0, compare=False)  # set when stored
    occurred_at: datetime | None = field(default=None, compare=False)

    def __init_subclass__(cls) -> None:
        EVENT_TYPES[cls.__name__] = cls

    @property
    def payload(self) -> dict[str, Any]:
        return {item.name: getattr(self, item.name) for item in payload_fields(type(self))}

    def payload_json(self) -> str:
        return orjson.dumps(self.payload).decode()

    @classmethod
    def restore(cls, payload: dict[str, Any], **envelope: Any) -> Self:
        """The event as it was; raises TypeError for a payload that lacks a field without default.

        Filled directly: the constructor of a frozen dataclass makes a call for each of its fields, and this
        runs five times a row. Defaults stand in the class.
        """
        event = cls.__new__(cls)
        values = event.__dict__
        values.update(envelope)
        for name, convert, missing in payload_fields(cls):
            if name in payload:
                value = payload[name]
                values[name] = convert(value) if convert and value is not None else value
            elif missing is not None:
                values[name] = missing()
        return event


class PayloadField(NamedTuple):
    """A field of an event's payload."""

    name: str
    convert: Callable[[Any], Any] | None  # turns its JSON form back into its type
    missing: Callable[[], Any] | None  # what it is if the payload lacks it; None: as the class says


_ENVELOPE = {item.name for item in fields(Event)}
_PAYLOADS: dict[type[Event], tuple[PayloadField, ...]] = {}
_CONVERTERS: dict[type, Callable[[Any], Any]] = {uuid.UUID: uuid.UUID, datetime: datetime.fromisoformat}


def payload_fields(cls: type[Event]) -> tuple[PayloadField, ...]:
    """The fields of the event's payload, in order."""
    if cls not in _PAYLOADS:
        hints = get_type_hints(cls)
        _PAYLOADS[cls] = tuple(
            PayloadField(item.name, _converter(hints[item.name]), _missing(cls, item))
            for item in fields(cls)
            if item.name not in _ENVELOPE
        )
    return _PAYLOADS[cls]


def _missing(cls: type[Event], item: Field[Any]) -> Callable[[], Any] | None:
    if item.default_factory is not MISSING:
        return item.default_factory

    def refuse() -> None:
        raise TypeError(f"A stored {cls.__name__} has no {item.name}.")

    return refuse if item.default is MISSING else None


def _converter(hint: Any) -> Callable[[Any], Any] | None:
    for kind in (hint, *get_args(hint)):
        if kind in _CONVERTERS:
            return _CONVERTERS[kind]
    return None


def restore(type_name: str, version: int, payload: str | dict[str, Any], **envelope: Any) -> Event:
    """A stored event as its dataclass; raises UnreadableEvent if this release cannot read it."""
    cls = EVENT_TYPES.get(type_name)
    if cls is None or version > cls.version:
        raise UnreadableEvent(f"{type_name} version {version} is newer than this process; update it.")
    values: dict[str, Any] = orjson.loads(payload) if isinstance(payload, str) else payload
    return cls.restore(values, **envelope)
