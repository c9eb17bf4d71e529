"""Checking a feed: its file is read once, whole, before anything is sent."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from feeds import durable
from feeds.judging import Inspection, bound_mapping
from feeds.mapping import BoundMapping, Columns, Mapping, MappingError, MissingColumns
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


def check(feed: Feed, *, confirmed: Sequence[tuple[str, str]] = ()) -> Checked:
    """Reads the whole file; no database, no transaction. Renews the lease as it gets on.

    `confirmed` are the aliases that people confirmed for the mapping: its column, the file's; the newest
    first. A column that is missing for all that leaves the feed with what was read, to be asked about; one
    that was to be sent at once is rejected.
    """
    fields: dict[str, Any] = {"missing": [], "aliases": {}, "invalid_by_code": None}
    try:
        said = dict(feed.said)
        plain = normalise(
            feed.source_path,
            feed.folder / "plain.csv",
            encoding=said.pop("encoding", None),
            progress=progress,
        )
        fields |= {"converted": plain.converted, "encoding_note": plain.note[:300]}
        feed.converted = plain.converted
        if plain.converted:
            durable.keep(plain.path)
        dialect = detect_dialect(plain.path, **said)
        names = read_header(plain.path, dialect)
        columns, kept = sent_columns(names)
        fields |= {
            "dialect": {**dialect.to_json(), "encoding": plain.encoding},
            "columns": columns,
            "width": len(names),
            "kept": kept,
        }
        bound = fitted(feed, columns, confirmed)
        fields["aliases"] = feed.aliases
        return Checked(fields | _counted(feed, dialect, bound, kept, len(names)))
    except MissingColumns as exc:
        fields |= {"missing": list(exc.columns), "aliases": feed.aliases}
        return _unsent(feed, fields, exc)
    except (Unreadable, MappingError) as exc:
        return Checked(fields, rejection=str(exc))


def fitted(feed: Feed, columns: list[str], confirmed: Sequence[tuple[str, str]]) -> BoundMapping:
    """The feed's mapping for the columns of its file, which the feed is given, with what they are aliases of.

    Raises MappingError when they do not fit.
    """
    feed.columns, feed.aliases = columns, _aliases(feed, columns, confirmed)
    return bound_mapping(feed)


def _aliases(feed: Feed, columns: Sequence[str], confirmed: Sequence[tuple[str, str]]) -> dict[str, str]:
    """For each column that the file lacks, which one a person said it is."""
    header = Columns(columns)
    missing = header.missing(Mapping.parse(feed.mapping).columns)
    return {
        column: found
        for column, found in reversed(confirmed)
        if column in missing and not header.missing([found])
    }


def _unsent(feed: Feed, fields: dict[str, Any], missing: MissingColumns) -> Checked:
    """What can be said of a file that lacks columns: how many rows it has, and nothing of their requests."""
    try:
        found = survey(feed.plain_path, Dialect.from_json(fields["dialect"]), progress=progress)
    except Unreadable as exc:
        return Checked(fields, rejection=str(exc))
    sums = {
        "total": found.total,
        "invalid": found.invalid,
        "failed": found.invalid,
        "pending": found.total - found.invalid,
    }
    return Checked(fields | sums, rejection=str(missing) if feed.send_at_once else "")


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
            durable.keep(feed.repeats_path)
            inspection.reasons["not_unique"] = repeated
    invalid = inspection.reasons.total()
    return {
        "invalid_by_code": dict(inspection.reasons),
        "total": found.total,
        "invalid": invalid,
        "failed": invalid,
        "pending": found.total - invalid,
    }
