"""Mappings as they are chosen from, and the feeds that they are tried on."""

from django.db.models import Exists, OuterRef, QuerySet

from feeds.models import Feed, Mapping
from feeds.queries.feeds import Viewer, visible_feeds

SHOWN = 2000
VERSIONS_SHOWN = 20
SAMPLES = 20


def newest_mappings() -> list[Mapping]:
    """Each mapping in its newest version, by name."""
    newer = Mapping.objects.filter(name=OuterRef("name"), version__gt=OuterRef("version"))
    return list(Mapping.objects.filter(~Exists(newer)).order_by("name")[:SHOWN])


def mapping_versions(name: str) -> QuerySet[Mapping]:
    """The newest first."""
    return Mapping.objects.filter(name=name).order_by("-version")[:VERSIONS_SHOWN]


def sample_feeds(user: Viewer) -> list[Feed]:
    """The newest feeds with rows, to show on them what a mapping does."""
    return list(visible_feeds(user).filter(total__gt=0).order_by("-id")[:SAMPLES])
