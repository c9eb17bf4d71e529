"""Deliveries, read only; what the actions change, commands change, feed by feed."""

import uuid
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Any

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from deliveries.models import Attempt, Delivery, Payload
from deliveries.shown_urls import shown_path
from feeds import errands
from feeds.deeds import note_deed
from feeds.errors import WrongState
from outbox.admin import ReadOnly

SHOWN = 100  # attempts on a delivery's page; the row's own page has them all, by key
AT_ONCE = 500  # deliveries that an action takes in one transaction
AT_MOST = 10_000  # deliveries that an action takes; a feed's own page takes all


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

    def is_found_by_index(self, lookups: set[str], searched: str) -> bool:
        return not lookups

    def has_act_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("deliveries.change_delivery")

    @admin.action(description="Send failed ones again", permissions=["act"])
    def retry(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        count = self._each(request, queryset, errands.retry_rows, "retried")
        self.message_user(request, f"{count} failed deliveries are sent again.")

    @admin.action(description="Cancel open ones", permissions=["act"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        count = self._each(request, queryset, errands.cancel_rows, "cancelled")
        self.message_user(request, f"{count} open deliveries are cancelled.", messages.SUCCESS)

    def _each(
        self,
        request: HttpRequest,
        queryset: QuerySet[Delivery],
        command: Callable[[uuid.UUID, Sequence[int]], int],
        done: str,
    ) -> int:
        """Feed by feed, some rows in a transaction; what a feed's state forbids is told."""
        count = 0
        for feed_id, numbers in _chosen(queryset):
            try:
                with transaction.atomic():
                    moved = command(feed_id, numbers)
                    if moved:
                        rows = f"row {numbers[0]}" if len(numbers) == 1 else f"{moved} rows"
                        detail = f"{rows}, in the admin"
                        note_deed(feed_id, user_id=request.user.pk, what=done, detail=detail)
            except WrongState as exc:
                self.message_user(request, str(exc), messages.WARNING)
            else:
                count += moved
        return count

    @admin.display(description="payload")
    def payload(self, delivery: Delivery) -> SafeString | str:
        found = Payload.objects.filter(delivery_id=delivery.id, revision=delivery.revision).first()
        if found is None:
            return "cleared away after its time"
        return format_html("{} {}<pre>{}</pre>", found.method, shown_path(found.path) or "/", found.body)

    @admin.display(description="attempts")
    def attempts(self, delivery: Delivery) -> SafeString | str:
        """In the page, for a model with a key of two columns cannot be registered."""
        found = Attempt.objects.filter(delivery_id=delivery.id).order_by("-number")[:SHOWN]
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
        if not rows:
            return "none yet"
        row = reverse("feeds:row", args=[delivery.group_id, delivery.number])
        table = format_html("<table>{}{}</table>", SafeString(head), rows)
        return format_html('{}<p><a href="{}">All attempts, with requests and answers</a></p>', table, row)


def _chosen(queryset: QuerySet[Delivery]) -> Iterator[tuple[uuid.UUID, list[int]]]:
    """Feeds with numbers of their rows, so many at a time."""
    chosen = sorted(queryset.order_by().values_list("group_id", "number")[:AT_MOST])
    for feed_id, pairs in groupby(chosen, key=lambda pair: pair[0]):
        numbers = [number for _, number in pairs]
        for start in range(0, len(numbers), AT_ONCE):
            yield feed_id, numbers[start : start + AT_ONCE]
