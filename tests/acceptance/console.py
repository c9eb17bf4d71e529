"""A Python of the stack's own, kept open: what an admin types in `manage.py shell`, without its start.

    python -m tests.acceptance.console

reads requests as lines of JSON from stdin and answers each with a line: `{"call": "feeds.commands.pause",
"args": […], "named": {…}}` calls a function, `{"manage": ["send", …]}` a management command. Texts that are
UUIDs are passed as such.
"""

import io
import json
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import django
from django.core.management import call_command
from django.db import transaction
from django.utils.module_loading import import_string


def _typed(value: Any) -> Any:
    if isinstance(value, str) and len(value) == 36:
        try:
            return uuid.UUID(value)
        except ValueError:
            return value
    return value


def _call(request: dict[str, Any]) -> dict[str, Any]:
    try:
        args = [_typed(value) for value in request["args"]]
        named = {name: _typed(value) for name, value in request["named"].items()}
        return {"result": import_string(request["call"])(*args, **named)}
    except Exception as exc:
        return {"error": f"{type(exc).__name__}: {exc}"}


def _manage(arguments: list[str]) -> dict[str, Any]:
    out, err = io.StringIO(), io.StringIO()
    code: Any = 0
    try:
        call_command(*arguments, stdout=out, stderr=err, no_color=True)
    except SystemExit as stop:
        code = stop.code
    return {"code": code, "out": out.getvalue(), "err": err.getvalue()}


def repeat_message(handler: str, lease_id: int, token: uuid.UUID) -> None:
    """Sends the message of a lease once more, as the relay sent it."""
    from outbox.registry import HANDLERS

    task = HANDLERS[handler].task
    task.apply_async(
        args=(lease_id, str(token)), queue=HANDLERS[handler].queue, expires=60, ignore_result=True
    )


def publish() -> dict[str, Any]:
    """Sends the relay's message, as beat does: whether the broker has it, and after how many seconds."""
    from outbox.tasks import RELAY_QUEUE, relay

    began = time.monotonic()
    try:
        relay.apply_async(queue=RELAY_QUEUE, expires=2, retry=False, ignore_result=True)
        sent = True
    except Exception:
        sent = False
    return {"sent": sent, "seconds": time.monotonic() - began}


def add_person(name: str, password: str, *, admin: bool = False) -> None:
    from django.contrib.auth.models import User

    User.objects.create_user(name, f"{name}@example.com", password, is_staff=admin, is_superuser=admin)


def upload(path: str, *, to: str) -> uuid.UUID:
    """As the upload page does: nothing is sent before a person says so. Returns the feed's id."""
    from deliveries.models import Destination
    from feeds.commands import create_feed

    with Path(path).open("rb") as file:
        feed = create_feed(content=file, name="feed.csv", destination=Destination.objects.get(name=to))
    return feed.id


def pause_destination(destination_id: int) -> bool:
    """As the button does."""
    from deliveries.commands import pause_destination

    with transaction.atomic():
        return pause_destination(destination_id, reason="A test wants it so.", by_person=True)


def resume_destination(destination_id: int) -> bool:
    """As the button does."""
    from deliveries.commands import resume_destination

    with transaction.atomic():
        return resume_destination(destination_id)


def _requests() -> Iterator[dict[str, Any]]:
    for line in sys.stdin:
        yield json.loads(line)


def main() -> None:
    django.setup()
    for request in _requests():
        answer = _manage(request["manage"]) if "manage" in request else _call(request)
        sys.stdout.write(json.dumps(answer, default=str) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
