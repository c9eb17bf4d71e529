"""Destinations can be edited; deliveries are read only, and changed by commands."""

import uuid
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from deliveries import commands
from deliveries.errors import DeliveryError
from deliveries.forms import DestinationForm
from deliveries.models import Attempt, Delivery, Destination, Payload
from outbox.admin import ReadOnly
from outbox.models import Lane

SHOWN = 100  # attempts on a delivery's page
AT_ONCE = 500  # deliveries that an action takes in one transaction
AT_MOST = 10_000  # deliveries that an action takes; a feed's own page takes all


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
        stored = form.store()
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
            with transaction.atomic():
                commands.pause_destination(id_, reason=f"{request.user} paused it.", by_person=True)

    @admin.action(description="Resume", permissions=["change"])
    def resume(self, request: HttpRequest, queryset: QuerySet[Destination]) -> None:
        for id_ in queryset.values_list("id", flat=True):
            with transaction.atomic():
                commands.resume_destination(id_)


@admin.register(Delivery)
class DeliveryAdmin(ReadOnly):
    list_display = ("id", "group_id", "number", "destination", "status", "attempt", "fail_count")
    list_select_related = ("destination",)
    search_fields = ("id",)
    search_help_text = "The id of a delivery (the Idempotency-Key of its requests)."
    actions = ("retry", "cancel")
    readonly_fields = ("payload", "attempts")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        if not search_term.strip():
            return queryset, False
        try:
            return queryset.filter(id=uuid.UUID(search_term.strip()[:36])), False
        except ValueError:
            return queryset.none(), False

    def has_act_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("deliveries.change_delivery")

    @admin.action(description="Send failed ones again", permissions=["act"])
    def retry(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        ids = list(queryset.order_by().values_list("id", flat=True)[:AT_MOST])
        count = 0
        for start in range(0, len(ids), AT_ONCE):
            with transaction.atomic():
                count += commands.reopen_deliveries(ids[start : start + AT_ONCE])
        self.message_user(request, f"{count} failed deliveries are sent again.")

    @admin.action(description="Cancel open ones", permissions=["act"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        chosen = list(queryset.order_by().values_list("group_id", "number")[:AT_MOST])
        count = 0
        for start in range(0, len(chosen), AT_ONCE):
            with transaction.atomic():
                for group_id, number in sorted(chosen[start : start + AT_ONCE]):
                    count += commands.cancel_deliveries(group_id=group_id, first=number, last=number)
        self.message_user(request, f"{count} open deliveries are cancelled.", messages.SUCCESS)

    @admin.display(description="payload")
    def payload(self, delivery: Delivery) -> SafeString | str:
        found = Payload.objects.filter(delivery_id=delivery.id, revision=delivery.revision).first()
        if found is None:
            return "cleared away after its time"
        return format_html("{} {}<pre>{}</pre>", found.method, found.path or "/", found.body)

    @admin.display(description="attempts")
    def attempts(self, delivery: Delivery) -> SafeString | str:
        """In the page, for a model with a key of two columns cannot be registered."""
        found = Attempt.objects.filter(delivery_id=delivery.id).order_by("number")[:SHOWN]
        rows = format_html_join(
            "",
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            (
                (a.number, a.finished_at or a.due_at or "", a.outcome or "due", a.http_status or "", a.code,
                 a.message)
                for a in found
            ),
        )  # fmt: skip
        head = (
            "<tr><th>no.</th><th>time</th><th>outcome</th><th>status</th><th>code</th><th>message</th></tr>"
        )
        return format_html("<table>{}{}</table>", SafeString(head), rows) if rows else "none yet"
