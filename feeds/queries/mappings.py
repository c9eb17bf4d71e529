"""Mappings as they are chosen from."""

from django.db.models import Exists, OuterRef, QuerySet

from feeds.models import Mapping

SHOWN = 2000
VERSIONS_SHOWN = 20


def newest_mappings() -> list[Mapping]:
    """Each mapping in its newest version, by name; the documents are not read."""
    newer = Mapping.objects.filter(name=OuterRef("name"), version__gt=OuterRef("version"))
    return list(Mapping.objects.filter(~Exists(newer)).defer("document").order_by("name")[:SHOWN])


def mapping_versions(name: str) -> QuerySet[Mapping]:
    """The newest first."""
    return Mapping.objects.filter(name=name).order_by("-version")[:VERSIONS_SHOWN]
