"""Mappings as they are chosen from."""

from django.db.models import Exists, OuterRef, QuerySet

from feeds.models import Alias, Mapping
from outbox.paging import Order, Page, read

MAPPINGS_A_PAGE = 50
VERSIONS_A_PAGE = 20
ALIASES_A_PAGE = 50


def newest_mappings() -> QuerySet[Mapping]:
    """Each mapping in its newest version, by name; the documents are not read."""
    newer = Mapping.objects.filter(name=OuterRef("name"), version__gt=OuterRef("version"))
    return Mapping.objects.filter(~Exists(newer)).defer("document").order_by("name")


def mappings_page(place: str = "") -> Page[Mapping]:
    """The same, a page at a time."""
    return read(newest_mappings(), Order(("name",)), place, size=MAPPINGS_A_PAGE)


def mapping_version(name: str, version: str = "") -> Mapping | None:
    """That version; the newest where it is not a number, or none was ever stored under this one."""
    if "\x00" in name:  # which not every database takes even to look for
        return None
    versions = Mapping.objects.filter(name=name).order_by("-version")
    number = int(version) if version.isdecimal() and len(version) < 9 else 0
    return versions.filter(version=number).first() or versions.first()


def versions_page(name: str, place: str = "") -> Page[Mapping]:
    """The newest first, without their documents."""
    versions = Mapping.objects.filter(name=name).defer("document")
    return read(versions, Order(("version",), descending=True), place, size=VERSIONS_A_PAGE)


def aliases_page(mapping_name: str, place: str = "") -> Page[Alias]:
    """What people confirmed for a mapping, by its columns."""
    aliases = Alias.objects.filter(mapping_name=mapping_name).select_related("user", "feed")
    return read(aliases, Order(("column", "found")), place, size=ALIASES_A_PAGE)
