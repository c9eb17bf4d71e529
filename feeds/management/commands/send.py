"""`manage.py send FILE --to DESTINATION`: hands a file over, and with --wait sees it through."""

import json
import sys
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand
from django.db import DatabaseError
from django.db.utils import InterfaceError

from deliveries.commands import get_destination
from deliveries.errors import DeliveryError
from feeds.commands import create_feed, get_mapping
from feeds.errors import FeedError
from feeds.first_look import refuse_unsendable
from feeds.models import Doer, Feed, FeedStatus
from feeds.progress import ProgressBar
from outbox.heartbeats import worker_lives

OK, SOME_FAILED, REFUSED, CANNOT_WORK = 0, 1, 2, 3
POLL = 0.2  # seconds
NO_WORKER_AFTER = 8.0  # seconds without a living worker after which waiting ends


class Stop(Exception):
    """Ends the command with an exit code and one sentence."""

    def __init__(self, code: int, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


class Command(BaseCommand):
    help = "Sends every row of a CSV file to a destination."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE")
        parser.add_argument("--to", required=True, metavar="DESTINATION", help="name of the destination")
        parser.add_argument(
            "--mapping", metavar="NAME", help="how rows become requests (default: JSON objects)"
        )
        parser.add_argument("--wait", action="store_true", help="wait until every row has ended")
        parser.add_argument("--timeout", type=float, metavar="S", help="wait at most so many seconds")
        parser.add_argument("--json", action="store_true", help="print the feed as JSON, the last line last")
        parser.add_argument(
            "--refuse-duplicate", action="store_true", help="refuse a file that was sent there before"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            feed = self._create(options)
            if options["wait"]:
                self._wait(feed, options)
            self._print(feed, options, last=True)
            code = exit_code(feed) if options["wait"] else OK
        except Stop as stop:
            self.stderr.write(str(stop))
            code = stop.code
        except (DatabaseError, InterfaceError) as exc:
            self.stderr.write(
                f"The database cannot be used ({first_line(exc)}). Nothing was sent by this call."
            )
            code = CANNOT_WORK
        except KeyboardInterrupt:
            self.stderr.write("\nNo longer waiting; the feed goes on by itself.")
            code = CANNOT_WORK
        sys.exit(code)

    def _create(self, options: dict[str, Any]) -> Feed:
        path: Path = options["file"]
        try:
            destination = get_destination(options["to"])
            mapping = get_mapping(options["mapping"]) if options["mapping"] else None
        except (DeliveryError, FeedError) as exc:
            raise Stop(REFUSED, str(exc)) from exc
        try:
            content = path.open("rb")
        except OSError as exc:
            raise Stop(REFUSED, f"{path} cannot be opened: {exc.strerror}.") from exc
        with content:
            try:
                return create_feed(
                    content=content,
                    name=path.name,
                    destination=destination,
                    mapping=mapping,
                    by=Doer.COMMAND_LINE,
                    send_at_once=True,
                    refuse_duplicate=options["refuse_duplicate"],
                    # Who waits is told by the check; its feed stays, and on its page the file can be
                    # read otherwise, and missing columns be named.
                    inspect=None if options["wait"] else refuse_unsendable,
                )
            except FeedError as exc:
                raise Stop(REFUSED, str(exc)) from exc
            except OSError as exc:
                raise Stop(
                    CANNOT_WORK,
                    f"The file cannot be stored: {exc.strerror}. Nothing was sent; nothing is left.",
                ) from exc

    def _wait(self, feed: Feed, options: dict[str, Any]) -> None:
        began = alive = time.monotonic()
        bar = None if options["json"] else ProgressBar(self.stderr)
        printed = ""
        while True:
            feed.refresh_from_db()
            if bar:
                bar.show(feed)
            elif (line := as_json(feed)) != printed:
                printed = line
                if not feed.is_over:
                    self._print(feed, options)
            if feed.is_over:
                break
            now = time.monotonic()
            if worker_lives():
                alive = now
            elif now - alive > NO_WORKER_AFTER:
                raise Stop(
                    CANNOT_WORK,
                    "No worker is alive, so nothing is being sent. The feed is kept and goes on once one is "
                    "started: make run, or celery -A config worker.",
                )
            if options["timeout"] is not None and now - began > options["timeout"]:
                raise Stop(
                    CANNOT_WORK, f"Not done within {options['timeout']:g} s; the feed goes on by itself."
                )
            time.sleep(POLL)
        if bar:
            bar.end()
        if feed.status == FeedStatus.REJECTED:
            self._print(feed, options, last=True)
            raise Stop(REFUSED, feed.reason)
        if feed.encoding_note:
            self.stderr.write(feed.encoding_note)

    def _print(self, feed: Feed, options: dict[str, Any], *, last: bool = False) -> None:
        if options["json"]:
            self.stdout.write(as_json(feed))
            self.stdout.flush()
        elif last and not options["wait"]:
            self.stdout.write(f"Accepted as feed {feed.id}. It is sent in the background.")
        elif last:
            self.stdout.write(summary(feed))


def as_json(feed: Feed) -> str:
    return json.dumps({"id": str(feed.id), "status": feed.status, "rows": feed.ledger()})


def summary(feed: Feed) -> str:
    parts = [f"{feed.succeeded:,} of {feed.total:,} rows arrived"]
    if feed.failed:
        invalid = f" ({feed.invalid:,} of them invalid)" if feed.invalid else ""
        parts.append(f"{feed.failed:,} failed{invalid}")
    if feed.cancelled:
        parts.append(f"{feed.cancelled:,} were cancelled")
    return ", ".join(parts) + "."


def exit_code(feed: Feed) -> int:
    return OK if feed.succeeded == feed.total else SOME_FAILED


def first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0]
