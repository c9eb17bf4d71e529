"""`manage.py add_mapping NAME FILE.json`: stores a mapping, or its next version."""

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand
from django.db import transaction

from feeds.commands import add_mapping
from feeds.deeds import note_deed
from feeds.mapping import MappingError
from feeds.models import Doer


class Command(BaseCommand):
    help = "Stores a mapping (docs/how-to/mapping.md); one of the same name becomes its next version."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", metavar="NAME")
        parser.add_argument("file", type=Path, metavar="FILE.json")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            document = options["file"].read_text("utf-8")
            with transaction.atomic():
                mapping = add_mapping(name=options["name"], document=document)
                detail = f"version {mapping.version}"
                note_deed(mapping_name=mapping.name, by=Doer.COMMAND_LINE, what="saved", detail=detail)
        except (OSError, UnicodeDecodeError) as exc:
            self.stderr.write(f"{options['file']} cannot be read: {exc}.")
            sys.exit(2)
        except MappingError as exc:
            self.stderr.write(str(exc))
            sys.exit(2)
        self.stdout.write(f"Stored {mapping}.")
