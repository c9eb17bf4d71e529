"""Pages for load balancers and monitors. `/healthz`: this process answers; `/readyz`: rows can arrive."""

from django.contrib.auth.decorators import login_not_required
from django.db import Error
from django.http import HttpRequest, JsonResponse

from outbox.heartbeats import worker_lives


@login_not_required
def alive(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"status": "ok"})


@login_not_required
def ready(request: HttpRequest) -> JsonResponse:
    """503 with a sentence when the database is away or no worker lives."""
    try:
        lives = worker_lives()
    except Error:
        return _not_ready("The database cannot be reached.")
    return JsonResponse({"status": "ok"}) if lives else _not_ready("No worker is alive; rows wait.")


def _not_ready(reason: str) -> JsonResponse:
    return JsonResponse({"status": "unavailable", "reason": reason}, status=503)
