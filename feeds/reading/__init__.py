"""Reading CSV files: any upload becomes plain UTF-8, its dialect is found out, its rows come one by one.

A library of its own: it knows no database, no Django and no feed.
"""

from feeds.reading.beginning import Beginning, read_beginning
from feeds.reading.dialect import Dialect
from feeds.reading.errors import Unreadable
from feeds.reading.header import read_header
from feeds.reading.normalising import Normalised, normalise
from feeds.reading.parsing import FIELD_LIMIT, MAX_COLUMNS, Record
from feeds.reading.records import Position, read_chunk, read_records
from feeds.reading.sniffing import detect_dialect
from feeds.reading.surveying import Survey, no_rows, survey

__all__ = [
    "FIELD_LIMIT",
    "MAX_COLUMNS",
    "Beginning",
    "Dialect",
    "Normalised",
    "Position",
    "Record",
    "Survey",
    "Unreadable",
    "detect_dialect",
    "no_rows",
    "normalise",
    "read_beginning",
    "read_chunk",
    "read_header",
    "read_records",
    "survey",
]
