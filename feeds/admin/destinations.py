"""Destinations, edited with their lanes; each change is recorded as a deed."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from deliveries.errors import DeliveryError
from deliveries.forms import DestinationForm
from deliveries.models import Destination
from feeds.destinations import pause_destination, resume_destination, store_destination
from outbox.models import Lane

if TYPE_CHECKING:
    _DestinationAdmin = admin.ModelAdmin[Destination]
else:
    _DestinationAdmin = admin.ModelAdmin  # not subscriptable when it runs


@admin.register(Destination)
class DestinationAdmin(_DestinationAdmin):
    form = DestinationForm
    list_display = ("name", "url", "method", "rate", "concurrency", "health")
    search_fields = ("name", "url")
    actions = ("pause", "resume")
    readonly_fields = ("health",)

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

    @admin.display(description="health")
    def health(self, destination: Destination) -> str:
        lane = Lane.objects.filter(id=destination.lane_id).first()
        if lane is None:
            return "new"
        if lane.paused:
            return f"paused: {lane.held_for}"
        if destination.breaker_opened:
            return f"failing: {lane.held_for}"
        return "held: " + lane.held_for if lane.held_until else "open"

    @admin.action(description="Pause: send nothing there", permissions=["change"])
    def pause(self, request: HttpRequest, queryset: QuerySet[Destination]) -> None:
        for id_ in queryset.values_list("id", flat=True):
            pause_destination(id_, user=request.user)

    @admin.action(description="Resume", permissions=["change"])
    def resume(self, request: HttpRequest, queryset: QuerySet[Destination]) -> None:
        for id_ in queryset.values_list("id", flat=True):
            resume_destination(id_, user=request.user)
