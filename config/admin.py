"""The admin of this installation."""

from typing import Any

from django.contrib.admin import AdminSite, ModelAdmin

from outbox.admin_lists import PagedByKey


class Site(AdminSite):
    """Reads every list by key, those of the libraries too: who tries passwords makes theirs long."""

    def register(self, model_or_iterable: Any, admin_class: Any = None, **options: Any) -> None:
        admin_class = admin_class or ModelAdmin
        if not issubclass(admin_class, PagedByKey):
            # A hierarchy of dates is drawn from the first and the last one, for which all would be read.
            admin_class = type(admin_class.__name__, (PagedByKey, admin_class), {"date_hierarchy": None})
        super().register(model_or_iterable, admin_class, **options)
