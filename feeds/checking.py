"""Checking a feed: its file is read once, whole, before anything is sent."""

from dataclasses import dataclass
from typing import Any

from feeds.mapping import Mapping, MappingError
from feeds.models import Feed
from feeds.reading import Unreadable, detect_dialect, normalise, survey
from feeds.source import sent_columns
from outbox.process import progress


@dataclass(frozen=True, slots=True)
class Checked:
    """What the check found, as fields of the feed; or why the file is rejected."""

    fields: dict[str, Any]
    rejection: str = ""


def check(feed: Feed) -> Checked:
    """Reads the whole file; no database, no transaction. Renews the lease as it gets on."""
    fields: dict[str, Any] = {}
    try:
        said = dict(feed.said)
        plain = normalise(
            feed.source_path,
            feed.folder / "plain.csv",
            encoding=said.pop("encoding", None),
            progress=progress,
        )
        fields = {"converted": plain.converted, "encoding_note": plain.note[:300]}
        dialect = detect_dialect(plain.path, **said)
        found = survey(plain.path, dialect, progress=progress)
        columns, kept = sent_columns(found.columns)
        Mapping.parse(feed.mapping).bind(columns, default_method=feed.destination.method)
    except (Unreadable, MappingError) as exc:
        return Checked(fields, rejection=str(exc))
    fields |= {
        "dialect": {**dialect.to_json(), "encoding": plain.encoding},
        "columns": columns,
        "width": len(found.columns),
        "kept": kept,
        "total": found.total,
        "invalid": found.invalid,
        "failed": found.invalid,
        "pending": found.total - found.invalid,
    }
    return Checked(fields)
