"""What admins look at: what stands still, what waits, who works."""

from datetime import UTC, datetime

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from deliveries.models import Destination
from feeds import queries
from feeds.views.access import SignedIn, for_admins, place_of, text_of
from outbox import heartbeats, parking
from outbox import queries as outbox
from outbox.models import uuid7
from outbox.notices import OutboxChanged
from outbox.queries import HandlerStatus

DESTINATIONS_SHOWN = 25  # those in trouble first; the list of destinations, to which the page leads, has all


@for_admins
def overview(request: SignedIn) -> HttpResponse:
    status = outbox.status()
    destinations = queries.health(queries.troubled_first(DESTINATIONS_SHOWN))
    context = {
        "status": status,
        "throughput": queries.throughput(status.now),
        "busy": [handler for handler in status.handlers if _is_busy(handler)],
        "idle": [handler for handler in status.handlers if not _is_busy(handler)],
        "stalled": [handler for handler in status.handlers if handler.stalled_since],
        # The first sentence tells that there is no worker.
        "missing": [each for each in heartbeats.missing() if each.part != heartbeats.WORKER],
        "parked": status.parked,
        "troubled": sum(each.state != "healthy" for each in destinations),
        "destinations": destinations,
        "more_destinations": Destination.objects.count() - len(destinations),
        "deeds": queries.recent_deeds(place_of(request, "deeds")),
        "workers": sum(process.kind == "worker" for process in status.processes),
        "backlog": sum(handler.ready for handler in status.handlers),
        "oldest": min((h.oldest_ready for h in status.handlers if h.oldest_ready), default=None),
    }
    template = "feeds/overview/_parts.html" if request.htmx else "feeds/overview/show.html"
    return render(request, template, context)


def _is_busy(handler: HandlerStatus) -> bool:
    return bool(handler.ready or handler.leased or handler.waiting or handler.parked)


@require_POST
@for_admins
def retry_parked(request: SignedIn) -> HttpResponse:
    """Runs a group of parked work again, as it was when the page was shown."""
    try:
        until = datetime.fromisoformat(request.POST.get("until", "")).astimezone(UTC)
        error_id = int(request.POST.get("error_id", ""))
    except (ValueError, OverflowError):
        messages.warning(request, "Reload the page and press the button once more.")
        return redirect("feeds:overview")
    handler = text_of(request.POST, "handler")
    told = OutboxChanged(
        correlation_id=uuid7(),
        what="retried",
        detail=f"what {handler} had parked",
        user_id=request.user.pk,
    )
    count = parking.retry_all(handler=handler, error_id=error_id, until=until, telling=told)
    done = f"{count:,} run again." if count else "Somebody was faster: nothing is parked there any more."
    messages.success(request, done)
    return redirect("feeds:overview")
