"""What the web stores: feeds and their rows, mappings, deeds."""

from feeds.models.deeds import Deed, Doer, Errand, ErrandKind, Mail, SentTest
from feeds.models.feeds import TRIAL_ROWS, Feed, FeedStatus
from feeds.models.mappings import Alias, Mapping
from feeds.models.rows import OTHERS, FailureGroup, Row, RowOutcome

__all__ = [
    "OTHERS",
    "TRIAL_ROWS",
    "Alias",
    "Deed",
    "Doer",
    "Errand",
    "ErrandKind",
    "FailureGroup",
    "Feed",
    "FeedStatus",
    "Mail",
    "Mapping",
    "Row",
    "RowOutcome",
    "SentTest",
]
