"""Destinations, edited with their lanes; each change is recorded as a deed."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import Model, OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from deliveries.errors import DeliveryError
from deliveries.forms import DestinationForm
from deliveries.models import Destination
from feeds.destinations import pause_destination, resume_destination, store_destination
from outbox.admin_lists import PagedByKey
from outbox.models import Lane


@admin.register(Destination)
class DestinationAdmin(PagedByKey):
    form = DestinationForm
    list_display = ("name", "shown_url", "method", "rate", "concurrency", "health", "feeds")
    ordering = ("name",)
    search_fields = ("name", "url")
    actions = ("pause", "resume")
    readonly_fields = ("health",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """With their lanes: one query for a list of them."""
        lane = Lane.objects.filter(id=OuterRef("lane_id"))
        told = {f"lane_{name}": Subquery(lane.values(name)) for name in ("paused", "held_for", "held_until")}
        found: QuerySet[Any] = super().get_queryset(request).annotate(**told)
        return found

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False  # feeds tell for ever where they were sent

    def save_model(self, request: HttpRequest, obj: Destination, form: Any, change: bool) -> None:
        stored = store_destination(form, user_id=request.user.pk)
        obj.pk, obj.lane_id = stored.pk, stored.lane_id

    def changeform_view(self, request: HttpRequest, *args: Any, **options: Any) -> HttpResponse:
        try:
            return super().changeform_view(request, *args, **options)
        except DeliveryError as exc:
            self.message_user(request, str(exc), messages.ERROR)
            return redirect(request.path)

    @admin.display(description="URL", ordering="url")
    def shown_url(self, destination: Destination) -> str:
        return destination.shown_url

    @admin.display(description="health")
    def health(self, destination: Destination) -> str:
        found: Any = destination  # with what get_queryset adds, but for one that is being entered
        if not hasattr(found, "lane_paused"):
            return "new"
        if found.lane_paused:
            return f"paused: {found.lane_held_for}"
        if found.breaker_opened:
            return f"failing: {found.lane_held_for}"
        is_held = found.lane_held_until is not None and found.lane_held_until > timezone.now()
        return f"held: {found.lane_held_for}" if is_held else "open"

    @admin.display(description="feeds")
    def feeds(self, destination: Destination) -> SafeString:
        """In place of a filter of the feeds, which would have to name every destination."""
        url = reverse("admin:feeds_feed_changelist")
        return format_html('<a href="{}?destination__id__exact={}">feeds</a>', url, destination.id)

    @admin.action(description="Pause: send nothing there", permissions=["change"])
    def pause(self, request: HttpRequest, queryset: QuerySet[Destination]) -> None:
        for id_ in queryset.values_list("id", flat=True):
            pause_destination(id_, user=request.user)

    @admin.action(description="Resume", permissions=["change"])
    def resume(self, request: HttpRequest, queryset: QuerySet[Destination]) -> None:
        for id_ in queryset.values_list("id", flat=True):
            resume_destination(id_, user=request.user)
