"""What the pages read. Nothing here walks a whole feed: pages are read by key, samples tell of the rest,
and counts come from the feed's own ledger."""

from feeds.queries.columns import missing_columns, whole_line
from feeds.queries.deeds import deeds_of_destination, deeds_of_feed, deeds_of_mapping, recent_deeds, upload_of
from feeds.queries.destinations import (
    destinations_page,
    get_destination,
    groups_to_choose,
    keeps,
    kept_destinations,
    may_add,
    may_send,
    sent_test,
    visible_destinations,
)
from feeds.queries.feeds import Viewer, feeds_page, get_feed, visible_feeds
from feeds.queries.groups import failed_groups
from feeds.queries.health import SECRETS, health, troubled_first
from feeds.queries.holds import closed_destinations
from feeds.queries.live import Live
from feeds.queries.mails import feed_mails
from feeds.queries.mappings import (
    aliases_page,
    mapping_version,
    mappings_page,
    newest_mappings,
    versions_page,
)
from feeds.queries.pace import chart
from feeds.queries.preview import preview
from feeds.queries.results import RESULT_FILES, result_count, result_rows, result_text
from feeds.queries.row_cells import as_entered, editing, get_row
from feeds.queries.rows import UNSEARCHED, Show, rows_page, why_no_row
from feeds.queries.samples import Choice, sample_request
from feeds.queries.story import row_story
from feeds.queries.throughput import throughput

__all__ = [
    "RESULT_FILES",
    "SECRETS",
    "UNSEARCHED",
    "Choice",
    "Live",
    "Show",
    "Viewer",
    "aliases_page",
    "as_entered",
    "chart",
    "closed_destinations",
    "deeds_of_destination",
    "deeds_of_feed",
    "deeds_of_mapping",
    "destinations_page",
    "editing",
    "failed_groups",
    "feed_mails",
    "feeds_page",
    "get_destination",
    "get_feed",
    "get_row",
    "groups_to_choose",
    "health",
    "keeps",
    "kept_destinations",
    "mapping_version",
    "mappings_page",
    "may_add",
    "may_send",
    "missing_columns",
    "newest_mappings",
    "preview",
    "recent_deeds",
    "result_count",
    "result_rows",
    "result_text",
    "row_story",
    "rows_page",
    "sample_request",
    "sent_test",
    "throughput",
    "troubled_first",
    "upload_of",
    "versions_page",
    "visible_destinations",
    "visible_feeds",
    "whole_line",
    "why_no_row",
]
