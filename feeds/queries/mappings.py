"""Mappings as they are chosen from."""

from django.db.models import Exists, OuterRef, QuerySet

from feeds.models import Mapping
from feeds.queries.pages import Page, cut

SHOWN = 2000
MAPPINGS_A_PAGE = 50
VERSIONS_SHOWN = 20


def newest_mappings() -> list[Mapping]:
    """Each mapping in its newest version, by name; the documents are not read."""
    return list(_newest()[:SHOWN])


def mappings_page(*, after: str = "") -> Page[Mapping]:
    """The same, a page at a time."""
    return cut(_newest().filter(name__gt=after)[: MAPPINGS_A_PAGE + 1], MAPPINGS_A_PAGE, "name")


def _newest() -> QuerySet[Mapping]:
    newer = Mapping.objects.filter(name=OuterRef("name"), version__gt=OuterRef("version"))
    return Mapping.objects.filter(~Exists(newer)).defer("document").order_by("name")


def mapping_versions(name: str) -> QuerySet[Mapping]:
    """The newest first."""
    return Mapping.objects.filter(name=name).order_by("-version")[:VERSIONS_SHOWN]
