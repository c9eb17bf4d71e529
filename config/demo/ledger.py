"""The third party's own record of what reached it, to be held against what Rowpost says."""

import hashlib
import time
from collections import Counter, deque
from pathlib import Path
from typing import BinaryIO

import orjson

from config.demo.script import Seen

KEPT_HEADERS = frozenset(
    {"callback-url", "content-type", "cookie", "host", "webhook-id", "webhook-timestamp", "webhook-signature"}
)
KEPT_OF_BODY = 2048

Entry = dict[str, object]


class Ledger:
    """Every request that arrived: all are counted, the last `keep` remembered, all go to the file, if any."""

    def __init__(self, *, path: Path | None = None, keep: int = 20_000, bodies: bool = False) -> None:
        self._file: BinaryIO | None = path.open("ab") if path else None
        self._bodies = bodies
        self._entries: deque[Entry] = deque(maxlen=keep)
        self._clear_counts()

    def _clear_counts(self) -> None:
        self._count = 0
        self._connections = 0
        self._keys: set[str] = set()
        self._per_second: Counter[int] = Counter()
        self._per_path: Counter[str] = Counter()
        self._per_status: Counter[str] = Counter()
        self._in_flight: Counter[str] = Counter()
        self._most_in_flight: Counter[str] = Counter()
        self._all_in_flight = 0
        self._most_of_all_in_flight = 0

    def connected(self) -> None:
        self._connections += 1

    def arrived(self, seen: Seen, status: int | None) -> None:
        """Records a request with the status that it is going to be answered with."""
        self._count += 1
        now = time.time()
        if key := seen.key:
            self._keys.add(key)
        place = "/" + seen.name
        self._per_second[int(now)] += 1
        self._per_path[place] += 1
        self._per_status[str(status)] += 1
        self._all_in_flight += 1
        if self._all_in_flight > self._most_of_all_in_flight:
            self._most_of_all_in_flight = self._all_in_flight
        self._in_flight[place] = flying = self._in_flight[place] + 1
        if flying > self._most_in_flight[place]:
            self._most_in_flight[place] = flying
        entry = self._entry(seen, now, status)
        self._entries.append(entry)
        if self._file is not None:
            self._file.write(orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE))

    def _entry(self, seen: Seen, now: float, status: int | None) -> Entry:
        headers = seen.headers
        entry: Entry = {
            "number": self._count,
            "at": now,
            "method": seen.method,
            "path": f"{seen.path}?{seen.query}" if seen.query else seen.path,
            "key": seen.key,
            "feed": headers.get("rowpost-feed", ""),
            "row": seen.row,
            "attempt": headers.get("rowpost-attempt", ""),
            "size": len(seen.body),
            "sha256": hashlib.sha256(seen.body).hexdigest(),
            "status": status,
        }
        if self._bodies:
            entry["headers"] = {name: headers[name] for name in KEPT_HEADERS if name in headers}
            entry["body"] = seen.body[:KEPT_OF_BODY].decode("utf-8", "replace")
        return entry

    def left(self, seen: Seen) -> None:
        """The request has been answered, or its connection is gone."""
        self._all_in_flight -= 1
        self._in_flight["/" + seen.name] -= 1

    def lines(self) -> bytes:
        return b"".join(orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE) for entry in self._entries)

    def stats(self) -> dict[str, object]:
        return {
            "count": self._count,
            "connections": self._connections,
            "distinct_keys": len(self._keys),
            "in_flight": self._all_in_flight,
            "max_in_flight": self._most_of_all_in_flight,
            "max_in_flight_per_path": self._most_in_flight,
            "per_second": {str(second): count for second, count in self._per_second.items()},
            "per_path": self._per_path,
            "per_status": self._per_status,
        }

    def clear(self) -> None:
        """Forgets all but what is under way; the file is kept as it is."""
        flying, all_flying = self._in_flight, self._all_in_flight
        self._entries.clear()
        self._clear_counts()
        self._in_flight, self._all_in_flight = flying, all_flying

    def flush(self) -> None:
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
