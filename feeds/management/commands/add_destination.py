"""`manage.py add_destination NAME URL`: stores a third party to send to."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.db import transaction

from deliveries.commands import add_destination
from deliveries.errors import DeliveryError
from feeds.deeds import note_deed
from feeds.models import Doer


class Command(BaseCommand):
    help = "Adds a destination: where the rows of feeds are sent."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", metavar="NAME", help="letters, digits, - and _")
        parser.add_argument("url", metavar="URL")
        parser.add_argument("--method", default="POST", choices=["GET", "POST", "PUT", "PATCH", "DELETE"])
        parser.add_argument("--header", action="append", default=[], metavar="K:V", help="may be repeated")
        parser.add_argument("--rate", type=float, metavar="N", help="at most N requests a second")
        parser.add_argument("--concurrency", type=int, metavar="N", help="at most N requests at once")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with transaction.atomic():
                destination = add_destination(
                    name=options["name"],
                    url=options["url"],
                    method=options["method"],
                    headers=dict(_header(text) for text in options["header"]),
                    rate=options["rate"],
                    concurrency=options["concurrency"],
                )
                note_deed(destination_id=destination.id, by=Doer.COMMAND_LINE, what="added")
        except (DeliveryError, ValueError) as exc:
            self.stderr.write(str(exc))
            sys.exit(2)
        self.stdout.write(
            f"Added {destination.name}. Send to it: manage.py send FILE --to {destination.name}"
        )


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise ValueError(f"A header is written NAME:VALUE, and {text!r} is not.")
    return name.strip(), value.strip()
