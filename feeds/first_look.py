"""The first look at a file, before there is a feed of it, for whoever would not see the check's outcome."""

from copy import copy

from feeds.aliases import confirmed_aliases
from feeds.checking import fitted
from feeds.errors import Unsendable
from feeds.mapping import MappingError
from feeds.models import Feed
from feeds.reading import Unreadable, detect_dialect, no_rows, read_beginning, read_chunk, read_header
from feeds.source import sent_columns


def refuse_unsendable(feed: Feed) -> None:
    """Raises Unsendable with what the check would reject the stored file with.

    It reads some MB at most. So it lets files pass that the check rejects, but refuses none that it takes.
    """
    try:
        _look(feed)
    except (Unreadable, MappingError) as exc:
        raise Unsendable(str(exc)) from exc


def _look(feed: Feed) -> None:
    target = feed.folder / "beginning.csv"
    try:
        beginning = read_beginning(feed.source_path, target)
        if beginning is None:
            return
        dialect = detect_dialect(beginning.path)
        names = read_header(beginning.path, dialect)
        fitted(copy(feed), sent_columns(names)[0], confirmed_aliases(feed.mapping_base))
        if beginning.whole and not read_chunk(beginning.path, dialect, len(names), None, 1)[0]:
            raise no_rows(dialect)
    finally:
        target.unlink(missing_ok=True)
