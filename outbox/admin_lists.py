"""The admin's lists, read by key: no page counts a table or skips rows, however far inside it is.

A column is sorted by only where an index leads with it: to put a million rows in another order takes seconds.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from django.contrib import admin
from django.contrib.admin.views.main import ORDER_VAR, PAGE_VAR, SEARCH_VAR, ChangeList
from django.core.exceptions import FieldDoesNotExist
from django.db.models import Field, Model, QuerySet, UniqueConstraint
from django.db.models.expressions import Combinable
from django.http import HttpRequest

from outbox.paging import Order, Page, read

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Any]
else:  # not subscriptable when it runs
    _ModelAdmin = admin.ModelAdmin

HISTORY = 100  # entries of a record's history on one page


def leads_an_index(model: type[Model], name: str) -> bool:
    """Whether a list can be read in the order of this field without looking at all of it."""
    try:
        field = model._meta.pk if name == "pk" else model._meta.get_field(name)
    except FieldDoesNotExist:
        return False
    if not isinstance(field, Field) or field.is_relation or field.null:
        return False
    if field.unique or getattr(field, "db_index", False):
        return True
    indexes = [index.fields for index in model._meta.indexes if index.condition is None]
    indexes += [
        each.fields
        for each in model._meta.constraints
        if isinstance(each, UniqueConstraint) and each.condition is None
    ]
    return field.name in {fields[0].removeprefix("-") for fields in indexes if fields}


class KeyedChangeList(ChangeList):
    """A list of the admin whose `p` is the place of a page instead of its number."""

    page: Page[Any]
    model_admin: "PagedByKey"

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[str | Combinable]:
        """By one column, and by the primary key where it is not unique."""
        return [*self._order().by()]

    def get_ordering_field_columns(self) -> dict[int, Literal["desc", "asc"]]:
        order = self._order()
        shown = [self.get_ordering_field(name) for name in self.list_display]
        named = self.opts.pk.name if order.fields[0] == "pk" else order.fields[0]
        return {shown.index(named): "desc" if order.descending else "asc"} if named in shown else {}

    def _order(self) -> Order:
        usual = self.model_admin.ordering or self.opts.ordering
        wanted = [*self._asked_for(), *map(str, usual or ()), "-pk"]
        by = next(each for each in wanted if leads_an_index(self.model, each.removeprefix("-")))
        name = by.removeprefix("-")
        unique = name == "pk" or getattr(self.opts.get_field(name), "unique", False)
        return Order((name,) if unique else (name, "pk"), descending=by.startswith("-"))

    def _asked_for(self) -> list[str]:
        """What the address says, column by column: 2, or -2 for the other direction."""
        found = []
        for part in self.params.get(ORDER_VAR, "").split("."):
            sign, _, index = part.rpartition("-")
            if index.isdecimal() and len(index) < 4 and int(index) < len(self.list_display):
                name = self.get_ordering_field(self.list_display[int(index)])
                found += [f"{'-' if sign or part.startswith('-') else ''}{name}"] if name else []
        return found

    def get_results(self, request: HttpRequest) -> None:
        lookups = set(self.get_filters_params())
        by_index = self.model_admin.is_found_by_index(lookups, self.query.strip())
        self.page = read(
            self.queryset,
            self._order(),
            request.GET.get(PAGE_VAR, ""),
            size=self.list_per_page,
            among=None if by_index else self.root_queryset,
        )
        self.result_list = self.page.items
        self.result_count = self.full_result_count = len(self.page.items)  # of this page: no other is known
        self.show_full_result_count = False
        self.show_admin_actions = bool(self.page.items)
        self.can_show_all = self.multi_page = False
        self.paginator = None

    def place(self, page: str) -> str:
        return self.get_query_string({PAGE_VAR: page})

    @property
    def first_url(self) -> str:
        return self.get_query_string(remove=[PAGE_VAR])

    @property
    def previous_url(self) -> str:
        return self.place(self.page.previous) if self.page.previous else ""

    @property
    def next_url(self) -> str:
        return self.place(self.page.next) if self.page.next else ""

    @property
    def is_narrowed(self) -> bool:
        return bool(self.query or self.get_filters_params())

    @property
    def all_url(self) -> str:
        return self.get_query_string(remove=[SEARCH_VAR, *self.get_filters_params()])


class History(list[Any]):
    """Entries of a record's history, with what the admin's view asks of a paginator's page."""

    number = 1

    def __init__(self, page: Page[Any]) -> None:
        super().__init__(page.items)
        self.page = page


class HistoryPaginator:
    """Reads a record's history by key, the newest entry first. Lists have KeyedChangeList instead."""

    count = 0  # the view compares it, to decide on numbered links: there are none

    def __init__(self, entries: QuerySet[Any], *_: Any, **__: Any) -> None:
        self._entries = entries

    def get_page(self, place: str | int) -> History:
        return History(read(self._entries, Order(("pk",), descending=True), str(place), size=HISTORY))

    def get_elided_page_range(self, number: object) -> Sequence[int]:
        return ()


class PagedByKey(_ModelAdmin):
    """A list that is read by key, and a history that is."""

    paginator = HistoryPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # each would be counted
    list_per_page = 25  # Django takes 0.3 ms for a row of ten columns

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return KeyedChangeList

    def get_sortable_by(self, request: HttpRequest) -> list[Any]:
        named = [(each, self._sorted_by(each)) for each in super().get_sortable_by(request)]
        return [each for each, name in named if leads_an_index(self.model, name)]

    def _sorted_by(self, shown: Any) -> str:
        """The field behind what is shown in a column."""
        display = shown if callable(shown) else getattr(self, shown, None)
        return str(getattr(display, "admin_order_field", None) or shown).removeprefix("-")

    def is_found_by_index(self, lookups: set[str], searched: str) -> bool:
        """Whether an index leads to what is wanted; else it is searched for, stretch by stretch."""
        return not lookups and not searched
