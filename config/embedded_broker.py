"""A broker without a server: a kombu transport whose queues live in one SQLite file.

`embedded:///absolute/path/broker.sqlite3` serves all processes of one machine. A message may come twice,
and may be lost with the power or with the file: the database is the queue of record, the broker only
wakes workers up. What it may not do is be slow or die, so every fault of the file is an error after which
Celery connects again, and a missing or unreadable file is made anew (broker_file.py).
"""

import sqlite3
from contextlib import suppress
from datetime import UTC, datetime
from queue import Empty
from time import monotonic, time
from typing import Any

from kombu.transport import TRANSPORT_ALIASES, virtual
from kombu.utils.json import dumps, loads

from config.broker_file import broker_file

# An idle consumer looks this often whether another process wrote; one look costs some 50 µs.
POLL_SECONDS = 0.02
WORKER_WAIT_SECONDS = 0.2


class QoS(virtual.QoS):
    """Counts what a channel has under way; an acknowledgement also goes to the file, at once."""

    channel: "Channel"

    def ack(self, delivery_tag: str) -> None:
        super().ack(delivery_tag)
        self.channel.file.delete(int(delivery_tag))

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        super().ack(delivery_tag)
        if requeue:
            self.channel.file.give_back(int(delivery_tag))
        else:
            self.channel.file.delete(int(delivery_tag))


class Channel(virtual.Channel):
    """Queues, bindings and claims in the broker's file."""

    QoS = QoS
    supports_fanout = True

    def __init__(self, connection: "Transport", **kwargs: Any) -> None:
        super().__init__(connection, **kwargs)
        self.file = connection.file
        self._nothing_since: tuple[int, int] | None = None

    def basic_consume(self, queue: str, no_ack: bool, callback: Any, *args: Any, **kwargs: Any) -> Any:
        def acknowledge_first(message: Any) -> Any:
            self.basic_ack(message.delivery_tag)
            return callback(message)

        self._nothing_since = None
        return super().basic_consume(queue, False, acknowledge_first if no_ack else callback, *args, **kwargs)

    def basic_get(self, queue: str, no_ack: bool = False, **kwargs: Any) -> Any:
        message = super().basic_get(queue, **kwargs)
        if message is not None and no_ack:
            self.basic_ack(str(message.delivery_tag))
        return message

    def get_table(self, exchange: str) -> list[tuple[str, str, str]]:
        return self.file.table(exchange)

    def _get_many(self, queues: list[str], timeout: float | None = None) -> None:
        version = self.file.version()
        if version == self._nothing_since:
            raise Empty
        try:
            queue, message = self._claim(queues)
        except Empty:
            self._nothing_since = version
            raise
        # Each queue in turn: a long one must not keep the others waiting.
        queues.remove(queue)
        queues.append(queue)
        self.connection._deliver(message, queue)

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        return self._claim([queue])[1]

    def _claim(self, queues: list[str]) -> tuple[str, Any]:
        row = self.file.claim(queues)
        if row is None:
            raise Empty
        message_id, queue, redelivered, payload = row
        message = loads(payload)
        message["properties"]["delivery_tag"] = str(message_id)
        if redelivered:
            message["properties"]["delivery_info"]["redelivered"] = True
        return queue, message

    def _put(self, queue: str, message: dict[str, Any], **kwargs: Any) -> None:
        self.file.put(queue, dumps(message), _expires_at(message))

    def _put_fanout(self, exchange: str, message: dict[str, Any], routing_key: str, **kwargs: Any) -> None:
        for queue in {queue for _, _, queue in self.get_table(exchange)}:
            self._put(queue, message)

    def _restore(self, message: Any) -> None:
        self.file.give_back(int(message.delivery_tag))

    def _queue_bind(self, exchange: str, routing_key: str, pattern: str, queue: str) -> None:
        self.file.bind((exchange, routing_key or "", pattern or "", queue))

    def _delete(self, queue: str, *args: Any, **kwargs: Any) -> None:
        self.file.forget(queue)

    def _purge(self, queue: str) -> int:
        return self.file.purge(queue)

    def _size(self, queue: str) -> int:
        return self.file.size(queue)


def _expires_at(message: dict[str, Any]) -> float | None:
    """AMQP's per-message TTL, or Celery's header: a date for a task, seconds for remote control."""
    if expiration := message["properties"].get("expiration"):
        return time() + float(expiration) / 1000
    expires = message["headers"].get("expires")
    if isinstance(expires, str):
        with suppress(ValueError):
            moment = datetime.fromisoformat(expires)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return expires if expires and isinstance(expires, int | float) else None


class Transport(virtual.Transport):
    """`embedded:///absolute/path`; takes its errors from sqlite3, so that Celery connects again."""

    Channel = Channel
    channels: list[Any]
    cycle: Any
    can_parse_url = True
    driver_type = driver_name = "sqlite"
    connection_errors = (*virtual.Transport.connection_errors, sqlite3.Error, OSError)
    implements = virtual.Transport.implements.extend(exchange_type=frozenset(["direct", "topic", "fanout"]))

    def __init__(self, client: Any, **kwargs: Any) -> None:
        super().__init__(client, **kwargs)
        path = client.hostname.partition("://")[2].lstrip("/")
        if not path:
            raise ValueError(f"{client.hostname} names no file; write embedded:///absolute/path.sqlite3.")
        self.file = broker_file(f"/{path}")

    def driver_version(self) -> str:
        return sqlite3.sqlite_version

    def establish_connection(self) -> Any:
        self.file.check()
        return super().establish_connection()

    def close_connection(self, connection: Any) -> None:
        super().close_connection(connection)
        self.file.close()

    def drain_events(self, connection: Any, timeout: float | None = None, **kwargs: Any) -> None:
        if timeout is not None and any(channel.qos.prefetch_count for channel in self.channels):
            # A worker comes back at once, and only in between does it see that it should stop.
            timeout = min(timeout, WORKER_WAIT_SECONDS)
        deadline = None if timeout is None else monotonic() + timeout
        while True:
            generation = self.file.generation
            try:
                self.cycle.get(self._deliver)
            except Empty:
                left = POLL_SECONDS if deadline is None else min(POLL_SECONDS, deadline - monotonic())
                if left <= 0:
                    raise TimeoutError from None
                self.file.wait(generation, left)
            else:
                return


def register() -> None:
    """Make kombu know `embedded://`."""
    TRANSPORT_ALIASES["embedded"] = f"{__name__}:Transport"
