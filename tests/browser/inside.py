"""What is done in a process of the stack's own: people, and feeds as their uploaders leave them."""

from pathlib import Path
from typing import Any

from django.contrib.auth.models import Group, User
from django.utils import timezone

from deliveries.commands import add_destination as add
from deliveries.commands import get_destination
from feeds import commands
from feeds.deeds import note_deed
from feeds.models import Feed
from outbox.models import Error, Handling, State


def add_person(name: str, password: str, *, admin: bool = False, group: str = "") -> None:
    user = User.objects.create_user(name, f"{name}@example.com", password, is_staff=admin, is_superuser=admin)
    if group:
        user.groups.add(Group.objects.get_or_create(name=group)[0])


def add_destination(name: str, url: str, *, group: str = "", **fields: Any) -> None:
    add(name=name, url=url, group=Group.objects.get_or_create(name=group)[0] if group else None, **fields)


def add_mapping(name: str, document: dict[str, object]) -> None:
    commands.add_mapping(name=name, document=document)


def upload(path: str, *, to: str, by: str, name: str = "", mapping: str = "", send: bool = True) -> str:
    """Returns the feed's id."""
    with Path(path).open("rb") as file:
        feed = commands.create_feed(
            content=file,
            name=name or Path(path).name,
            destination=get_destination(to),
            mapping=commands.get_mapping(mapping) if mapping else None,
            owner_id=User.objects.get(username=by).pk,
            send_at_once=send,
        )
    return str(feed.id)


def delete_feed(name: str) -> None:
    Feed.objects.get(name=name).delete()


def press(button: str, feed_id: Any, *, by: str) -> None:
    """ "pause", "cancel" or "try_first", as the button does."""
    getattr(commands, button)(feed_id)
    done = {"pause": "paused", "cancel": "cancelled", "try_first": "tried"}[button]
    detail = "the first rows" if button == "try_first" else ""
    note_deed(feed_id, user_id=User.objects.get(username=by).pk, what=done, detail=detail)


def park_mails() -> None:
    """As if the mail server had refused the last ones."""
    error = Error.objects.create(
        handler="feeds.notify_owner",
        exception="smtplib.SMTPSenderRefused",
        place="django/core/mail/backends/smtp.py:136",
        sample="(530, b'5.7.0 Authentication required', 'rowpost@localhost')",
    )
    mails = Handling.objects.filter(subscription__handler="feeds.notify_owner", state=State.DONE)
    ids = list(mails.order_by("-id").values_list("id", flat=True)[:3])
    Handling.objects.filter(id__in=ids).update(
        state=State.PARKED, error=error, message=error.sample, tries=8, finished_at=timezone.now()
    )
