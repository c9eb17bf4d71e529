"""`manage.py outbox`: look at the outbox, switch subscriptions, retry parked work, prune."""

import json
from argparse import ArgumentParser
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from outbox import parking, pruning, queries
from outbox.models import Handling, State, Subscription, uuid7
from outbox.notices import OutboxChanged
from outbox.publishing import publish

UNUSABLE = 2  # exit code for arguments that cannot be followed


class Command(BaseCommand):
    help = "Shows and mends the outbox."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        status = actions.add_parser("status", help="what each handler has before it, and who works")
        status.add_argument("--json", action="store_true")
        subscriptions = actions.add_parser("subscriptions", help="which handler receives which events")
        subscriptions.add_argument("--off", metavar="HANDLER", help="it receives no new events")
        subscriptions.add_argument("--on", metavar="HANDLER", help="it receives new events again")
        subscriptions.add_argument("--json", action="store_true")
        retry = actions.add_parser("retry", help="run parked handlings again; alone: list them")
        retry.add_argument("--handler", metavar="NAME", help="all that this handler parked")
        retry.add_argument("--error", metavar="ID", type=int, help="one group of them")
        retry.add_argument("--handling", metavar="ID", type=int, help="a single one")
        retry.add_argument("--all", action="store_true", help="everything that is parked")
        retry.add_argument("--json", action="store_true")
        prune = actions.add_parser("prune", help="delete what is closed and old enough")
        prune.add_argument("--older-than", metavar="DAYS", type=float, default=pruning.OLDER_THAN.days)
        prune.add_argument("--json", action="store_true")

    def handle(self, *args: Any, action: str, **options: Any) -> None:
        getattr(self, f"_{action}")(**options)

    def _status(self, *, json: bool, **_: Any) -> None:
        status = queries.status()
        if json:
            self._json(asdict(status))
            return
        self._table(
            ("handler", "ready", "leased", "waiting", "parked", "oldest ready"),
            [
                (h.handler, h.ready, h.leased, h.waiting, h.parked, _age(h.oldest_ready, status.now))
                for h in status.handlers
            ],
        )
        for lane in status.closed:
            until = f"until {lane.held_until:%Y-%m-%d %H:%M:%S} UTC" if lane.held_until else "until resumed"
            self.stdout.write(f"Closed {until}: lane {lane.id} {lane.lane}, {lane.ready} ready. {lane.why}")
        for process in status.processes:
            self.stdout.write(f"{process.kind} {process.name} lives, {process.concurrency} at once.")
        if not any(process.kind == "worker" for process in status.processes):
            self.stdout.write("No worker lives: nothing is handed over.")

    def _subscriptions(self, *, off: str | None, on: str | None, json: bool, **_: Any) -> None:
        for name, active in ((off, False), (on, True)):
            if name is not None:
                self._switch(name, active)
        listed = Subscription.objects.order_by("handler", "event_type")
        columns = ("handler", "event_type", "kind", "queue", "active", "since_event")
        rows = list(listed.values_list(*columns))
        if json:
            self._json([dict(zip(columns, row, strict=True)) for row in rows])
            return
        self._table(
            ("handler", "event", "kind", "state"),
            [(row[0], row[1], row[2], "on" if row[4] else "off") for row in rows],
        )

    def _switch(self, name: str, active: bool) -> None:
        with transaction.atomic():
            if not Subscription.objects.filter(handler=name).update(active=active):
                raise CommandError(f"No subscription has a handler {name}.", returncode=UNUSABLE)
            publish(_changed(f"switched {'on' if active else 'off'}", f"the handler {name}"))

    def _retry(
        self, *, handler: str | None, error: int | None, handling: int | None, all: bool, json: bool, **_: Any
    ) -> None:
        if handling is None and handler is None and error is None and not all:
            self._parked(json=json)
            return
        if handling is not None:
            count = self._retry_one(handling)
        else:
            if handler is not None and not Subscription.objects.filter(handler=handler).exists():
                raise CommandError(f"No subscription has a handler {handler}.", returncode=UNUSABLE)
            told = _changed("retried", _chosen(handler, error))
            count = parking.retry_all(handler=handler, error_id=error, telling=told)
        if json:
            self._json({"retried": count})
        else:
            self.stdout.write(f"{count} parked handlings run again.")

    def _retry_one(self, handling_id: int) -> int:
        seen = Handling.objects.filter(id=handling_id, state=State.PARKED)
        generation = seen.values_list("generation", flat=True).first()
        if generation is None:
            raise CommandError(f"Handling {handling_id} is not parked.", returncode=UNUSABLE)
        told = _changed("retried", f"the parked handling {handling_id}")
        return int(parking.retry_one(handling_id, generation=generation, telling=told))

    def _parked(self, *, json: bool) -> None:
        groups = queries.parked_groups()
        if json:
            self._json([asdict(group) for group in groups])
            return
        self._table(
            ("error", "handler", "parked", "exception", "place", "sample"),
            [(g.error_id, g.handler, g.count, g.exception, g.place, g.sample[:80]) for g in groups],
        )

    def _prune(self, *, older_than: float, json: bool, **_: Any) -> None:
        if older_than < 0:
            raise CommandError("--older-than must not be negative.", returncode=UNUSABLE)
        pruned = pruning.prune(timedelta(days=older_than))
        if json:
            self._json(asdict(pruned))
        else:
            self.stdout.write(f"{pruned.events} events and {pruned.handlings} handlings deleted.")

    def _json(self, value: object) -> None:
        self.stdout.write(json.dumps(value, default=_plain))

    def _table(self, head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        lines = [tuple(map(str, line)) for line in (head, *rows)]
        widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
        for line in lines:
            self.stdout.write(
                "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            )


def _changed(what: str, detail: str) -> OutboxChanged:
    return OutboxChanged(correlation_id=uuid7(), what=what, detail=detail)


def _chosen(handler: str | None, error_id: int | None) -> str:
    """What is retried, in words."""
    group = f", of error {error_id}" if error_id is not None else ""
    return f"what {handler} had parked{group}" if handler else f"all that was parked{group}"


def _age(since: datetime | None, now: datetime) -> str:
    return "" if since is None else f"{max(0.0, (now - since).total_seconds()):.0f} s"


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
