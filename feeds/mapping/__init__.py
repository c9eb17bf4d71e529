"""How a row's columns become method, path and body (docs/how-to/mapping.md)."""

from feeds.mapping.columns import fold
from feeds.mapping.errors import MappingError, RowError
from feeds.mapping.rendering import DEFAULT, BoundMapping, Mapping, Rendered

__all__ = ["DEFAULT", "BoundMapping", "Mapping", "MappingError", "Rendered", "RowError", "fold"]
