"""Feeds and mappings, read only; what the actions change, commands change."""

import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from feeds import commands, errands
from feeds.deeds import note_deed
from feeds.errors import WrongState
from feeds.models import Feed, Mapping
from outbox.admin import ReadOnly, as_uuid


@admin.register(Feed)
class FeedAdmin(ReadOnly):
    list_display = (
        "name", "page", "owner", "destination", "state", "total", "pending", "succeeded", "failed",
        "cancelled", "uploaded",
    )  # fmt: skip
    list_select_related = ("owner", "destination")
    list_filter = ("status",)
    search_fields = ("name",)
    search_help_text = "A part of the file's name, or the feed's id. Those of one destination: from its list."
    actions = ("pause", "resume", "cancel", "retry_failed")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        if (found := as_uuid(search_term)) is not None:
            return queryset.filter(id=found), False
        return super().get_search_results(request, queryset, search_term)

    def is_found_by_index(self, lookups: set[str], searched: str) -> bool:
        return not lookups and (not searched or as_uuid(searched) is not None)

    def has_act_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("feeds.change_feed")

    @admin.display(description="status")
    def state(self, feed: Feed) -> str:
        """The word; what it means stands beside the filter."""
        return feed.status

    @admin.display(description="uploaded", ordering="id")
    def uploaded(self, feed: Feed) -> datetime:
        """An id tells the time of its making."""
        return feed.created_at

    @admin.display(description="page")
    def page(self, feed: Feed) -> SafeString:
        return format_html('<a href="/feeds/{}/">open</a>', feed.id)

    @admin.action(description="Pause", permissions=["act"])
    def pause(self, request: HttpRequest, queryset: QuerySet[Feed]) -> None:
        self._each(request, queryset, commands.pause, "paused")

    @admin.action(description="Resume", permissions=["act"])
    def resume(self, request: HttpRequest, queryset: QuerySet[Feed]) -> None:
        self._each(request, queryset, commands.resume, "resumed")

    @admin.action(description="Cancel", permissions=["act"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[Feed]) -> None:
        self._each(request, queryset, commands.cancel, "cancelled")

    @admin.action(description="Send failed rows again", permissions=["act"])
    def retry_failed(self, request: HttpRequest, queryset: QuerySet[Feed]) -> None:
        self._each(request, queryset, errands.retry_failed, "retried")

    def _each(
        self,
        request: HttpRequest,
        queryset: QuerySet[Feed],
        command: Callable[[uuid.UUID], None],
        done: str,
    ) -> None:
        for feed in queryset:
            try:
                with transaction.atomic():
                    command(feed.id)
                    note_deed(feed.id, user_id=request.user.pk, what=done, detail="it, in the admin")
            except WrongState as exc:
                self.message_user(request, f"{feed.name}: {exc}", messages.WARNING)
            else:
                self.message_user(request, f"{feed.name} is {done}.", messages.SUCCESS)


@admin.register(Mapping)
class MappingAdmin(ReadOnly):
    list_display = ("name", "version", "created_at")
    search_fields = ("name",)
