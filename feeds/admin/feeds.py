"""Feeds and mappings, read only; what the actions change, commands change."""

import uuid
from collections.abc import Callable

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from feeds import commands, errands
from feeds.errors import WrongState
from feeds.models import Feed, Mapping
from outbox.admin import ReadOnly


@admin.register(Feed)
class FeedAdmin(ReadOnly):
    list_display = (
        "name", "page", "owner", "destination", "state", "total", "pending", "succeeded", "failed",
        "cancelled", "created_at",
    )  # fmt: skip
    list_select_related = ("owner", "destination")
    list_filter = ("status", "destination")
    search_fields = ("name", "=id")
    actions = ("pause", "resume", "cancel", "retry_failed")

    def has_act_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("feeds.change_feed")

    @admin.display(description="status")
    def state(self, feed: Feed) -> str:
        """The word; what it means stands beside the filter."""
        return feed.status

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
                    commands.note_deed(feed.id, user_id=request.user.pk, what=done, detail="in the admin")
            except WrongState as exc:
                self.message_user(request, f"{feed.name}: {exc}", messages.WARNING)
            else:
                self.message_user(request, f"{feed.name} is {done}.", messages.SUCCESS)


@admin.register(Mapping)
class MappingAdmin(ReadOnly):
    list_display = ("name", "version", "created_at")
    search_fields = ("name",)
