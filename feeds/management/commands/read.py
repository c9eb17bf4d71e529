"""`manage.py read FILE`: what Rowpost reads in a file, without sending anything."""

import csv
import os
import sys
import tempfile
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand

from feeds.reading import Unreadable, detect_dialect, normalise, read_header, read_records, survey


class Command(BaseCommand):
    help = "Prints the valid rows of a file as plain UTF-8 CSV; invalid ones with line and reason to stderr."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            invalid = self._read(options["file"])
        except Unreadable as exc:
            self.stderr.write(str(exc))
            sys.exit(2)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # `| head` has seen enough
            sys.exit(0)
        except OSError as exc:
            self.stderr.write(f"{options['file']} cannot be read: {exc.strerror}.")
            sys.exit(2)
        sys.exit(1 if invalid else 0)

    def _read(self, path: Path) -> int:
        invalid = rows = 0
        with tempfile.TemporaryDirectory(prefix="rowpost-read-") as folder:
            plain = normalise(path, Path(folder) / "plain.csv")
            dialect = detect_dialect(plain.path)
            columns = read_header(plain.path, dialect)
            if plain.note:
                self.stderr.write(plain.note)
            out = csv.writer(sys.stdout, lineterminator="\n")
            if dialect.has_header:
                out.writerow(columns)
            for record, _ in read_records(plain.path, dialect, len(columns)):
                rows += 1
                if record.error:
                    invalid += 1
                    self.stderr.write(f"line {record.line}: {record.error}")
                else:
                    out.writerow(record.cells)
            sys.stdout.flush()
            if not rows:
                survey(plain.path, dialect)  # says why there is nothing to send
        return invalid
