"""Checking a feed: its file is read once, whole, before anything is sent."""

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from feeds.judging import Inspection
from feeds.mapping import BoundMapping, Mapping, MappingError
from feeds.models import Feed
from feeds.reading import Dialect, Unreadable, detect_dialect, normalise, read_header, survey
from feeds.repeats import RepeatFinder
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
        feed.converted = plain.converted
        dialect = detect_dialect(plain.path, **said)
        names = read_header(plain.path, dialect)
        columns, kept = sent_columns(names)
        fields |= {
            "dialect": {**dialect.to_json(), "encoding": plain.encoding},
            "columns": columns,
            "width": len(names),
            "kept": kept,
        }
        bound = Mapping.parse(feed.mapping).bind(columns, default_method=feed.destination.method)
        return Checked(fields | _counted(feed, dialect, bound, kept, len(names)))
    except (Unreadable, MappingError) as exc:
        return Checked(fields, rejection=str(exc))


def _counted(
    feed: Feed, dialect: Dialect, bound: BoundMapping, kept: list[int], width: int
) -> dict[str, Any]:
    """The sums of the file: how many rows, and how many of them cannot be sent, by reason."""
    with ExitStack() as stack:
        finder = None
        if bound.unique:
            finder = stack.enter_context(RepeatFinder(feed.folder, [index for _, index in bound.unique]))
        inspection = Inspection(bound, kept, width, finder)
        found = survey(feed.plain_path, dialect, look=inspection.look, progress=progress)
        if finder and (repeated := finder.write(feed.repeats_path, progress=progress)):
            inspection.reasons["not_unique"] = repeated
    invalid = inspection.reasons.total()
    return {
        "invalid_by_code": dict(inspection.reasons),
        "total": found.total,
        "invalid": invalid,
        "failed": invalid,
        "pending": found.total - invalid,
    }
