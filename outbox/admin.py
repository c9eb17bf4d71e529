"""The ledger in the admin: read only. What its actions change, commands change.

Tables may hold millions of rows: nothing here counts them, and lists are read by key (outbox.admin_lists).
"""

import uuid
from collections.abc import Sequence
from typing import Any, cast

from django.contrib import admin
from django.contrib.admin.models import CHANGE, LogEntry
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from outbox import parking
from outbox.admin_lists import PagedByKey
from outbox.models import Error, Handling, Heartbeat, Lane, Lease, OutboxEvent, State, Subscription
from outbox.registry import HANDLERS


class ReadOnly(PagedByKey):
    """A list and a page of fields, and nothing that writes."""

    ordering = ("-pk",)
    actions: Sequence[str] = ()

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


def log(request: HttpRequest, chosen: QuerySet[Any], told: str) -> None:
    """Writes an action into the admin's own log, which is each record's history there."""
    user_id = cast(int, request.user.pk)  # who works here has signed in
    LogEntry.objects.log_actions(user_id, chosen, CHANGE, told)


def _list_link(model: str, text: str, **filters: object) -> SafeString:
    query = "&".join(f"{name}={value}" for name, value in filters.items())
    return format_html('<a href="{}?{}">{}</a>', reverse(f"admin:outbox_{model}_changelist"), query, text)


def _page_link(model: str, pk: int, text: object) -> SafeString:
    return format_html('<a href="{}">{}</a>', reverse(f"admin:outbox_{model}_change", args=[pk]), text)


def as_uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text.strip())
    except ValueError:
        return None


@admin.register(OutboxEvent)
class OutboxEventAdmin(ReadOnly):
    list_display = ("id", "type", "correlation_id", "occurrence", "occurred_at", "handlings")
    search_fields = ("id",)
    search_help_text = "The id of the event, or of what it speaks of, or of the conversation."

    def is_found_by_index(self, lookups: set[str], searched: str) -> bool:
        by_story = "conversation_id" in lookups and "correlation_id" in lookups
        return by_story or (not lookups and not as_uuid(searched))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        if (found := as_uuid(search_term)) is not None:
            return queryset.filter(Q(correlation_id=found) | Q(conversation_id=found)), False
        return _by_id(queryset, search_term)

    @admin.display(description="handlings")
    def handlings(self, event: OutboxEvent) -> SafeString:
        return _list_link("handling", "handlings", event__id__exact=event.id)


def _by_id(queryset: QuerySet[Any], search_term: str) -> tuple[QuerySet[Any], bool]:
    text = search_term.strip()
    if not text:
        return queryset, False
    is_id = text.isdecimal() and len(text) < 20
    return queryset.filter(pk=int(text)) if is_id else queryset.none(), False


@admin.register(Subscription)
class SubscriptionAdmin(ReadOnly):
    list_display = ("id", "handler", "event_type", "kind", "queue", "active", "since_event")
    list_filter = ("active",)
    search_fields = ("handler", "event_type")
    actions = ("switch_on", "switch_off")

    def has_switch_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("outbox.change_subscription")

    @admin.action(description="Switch on: receive new events", permissions=["switch"])
    def switch_on(self, request: HttpRequest, queryset: QuerySet[Subscription]) -> None:
        log(request, queryset, "Switched on.")
        self.message_user(request, f"{queryset.update(active=True)} subscriptions are on.")

    @admin.action(description="Switch off: receive no new events", permissions=["switch"])
    def switch_off(self, request: HttpRequest, queryset: QuerySet[Subscription]) -> None:
        log(request, queryset, "Switched off.")
        self.message_user(request, f"{queryset.update(active=False)} subscriptions are off.")


@admin.register(Handling)
class HandlingAdmin(ReadOnly):
    list_display = ("id", "of_event", "handler", "word", "tries", "due_at", "error", "finished_at")
    list_select_related = ("event", "subscription", "error")
    list_filter = ("state",)
    search_fields = ("id",)
    search_help_text = "The id of the handling, or the id of what its event speaks of."
    actions = ("retry_parked",)

    def is_found_by_index(self, lookups: set[str], searched: str) -> bool:
        """By its event; or among what is parked, which has an index of its own."""
        if lookups & {"event__id__exact", "error__id__exact"}:
            return True
        return not lookups and not as_uuid(searched)

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("outbox.change_handling")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        if (found := as_uuid(search_term)) is not None:
            events = OutboxEvent.objects.filter(correlation_id=found).values("id")
            return queryset.filter(event_id__in=events), False
        return _by_id(queryset, search_term)

    @admin.action(description="Run parked handlings again", permissions=["retry"])
    def retry_parked(self, request: HttpRequest, queryset: QuerySet[Handling]) -> None:
        chosen = Handling.objects.filter(id__in=queryset.order_by().values("id"))
        log(request, chosen.parked(), "Run again.")
        self.message_user(request, f"{parking.retry_chosen(chosen)} parked handlings run again.")

    @admin.display(description="event", ordering="event_id")
    def of_event(self, handling: Handling) -> SafeString:
        return _page_link("outboxevent", handling.event_id, handling.event)

    @admin.display(description="handler")
    def handler(self, handling: Handling) -> str:
        return handling.subscription.handler

    @admin.display(description="state")
    def word(self, handling: Handling) -> str:
        """What it means stands beside the filter."""
        return handling.state


class HandlerFilter(admin.SimpleListFilter):
    """The handlers that this code knows: to look through the lanes for theirs would read them all."""

    title = "handler"
    parameter_name = "handler"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in sorted(HANDLERS)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(handler=self.value()) if self.value() else queryset


@admin.register(Lane)
class LaneAdmin(ReadOnly):
    list_display = ("id", "handler", "key", "parent", "ready", "paused", "held_until", "held_for", "probing")
    list_select_related = ("parent",)
    list_filter = ("paused", "probing", HandlerFilter)
    search_fields = ("key", "=handler")


@admin.register(Lease)
class LeaseAdmin(ReadOnly):
    list_display = ("id", "handler", "lane", "state", "owner", "slots", "until", "hard_until")
    list_select_related = ("lane",)
    list_filter = ("state",)


@admin.register(Error)
class ErrorAdmin(ReadOnly):
    list_display = ("id", "handler", "exception", "place", "last_at", "parked")
    search_fields = ("handler", "exception", "place")

    @admin.display(description="parked")
    def parked(self, error: Error) -> SafeString:
        return _list_link("handling", "parked", error__id__exact=error.id, state__exact=State.PARKED.value)


@admin.register(Heartbeat)
class HeartbeatAdmin(ReadOnly):
    list_display = ("name", "kind", "concurrency", "processes", "started_at", "seen_at")
    ordering = ("name",)  # by seen_at they would change places while somebody reads
