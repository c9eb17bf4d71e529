"""How a row's columns become method, path and body (docs/how-to/mapping.md)."""

from feeds.mapping.columns import Columns, fold
from feeds.mapping.errors import MappingError, MissingColumns, RowError
from feeds.mapping.rendering import DEFAULT, BoundMapping, Mapping, Rendered

__all__ = [
    "DEFAULT",
    "BoundMapping",
    "Columns",
    "Mapping",
    "MappingError",
    "MissingColumns",
    "Rendered",
    "RowError",
    "fold",
]
