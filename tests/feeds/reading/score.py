"""Scores readers of CSV files on polluted files: `python -m tests.feeds.reading.score`.

A file's score is the sum of ten measures from 0 to 1: success, and precision, recall and F1 of the header's
names, of the records and of the cells (multisets of stripped values), against what a perfect reader makes of
it. "Simple" is the mean over all files. Nobody is told the dialect. A reader that gives up has success
0; what it gave before is compared all the same, so that giving nothing is right where nothing was to be read.
"""

import csv
import io
import sys
import tarfile
import tempfile
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from feeds.reading import Unreadable, detect_dialect, normalise, read_header, read_records, survey

ARCHIVE = Path(__file__).parent / "pollock" / "files.tar.gz"
# What these are like is not written in them: every other clean file begins with a header.
WITHOUT_HEADER = {"file_no_header.csv", "file_no_payload.csv"}


@dataclass
class Output:
    """What a reader made of a file."""

    success: bool = True
    header: Sequence[str] = ()
    rows: list[Sequence[str]] = field(default_factory=list)


@dataclass(frozen=True)
class Score:
    """The measures of one file, or their mean over several."""

    success: float
    header: tuple[float, float, float]  # precision, recall, F1
    records: tuple[float, float, float]
    cells: tuple[float, float, float]

    @property
    def simple(self) -> float:
        return self.success + sum(self.header) + sum(self.records) + sum(self.cells)


Reader = Callable[[Path], Output]


def read_with_rowpost(path: Path) -> Output:
    """As `manage.py read` does: the header, if there is one, then the valid rows as they come.

    A file without rows is rejected, but that shows only after its header has been printed.
    """
    output = Output()
    with tempfile.TemporaryDirectory() as folder:
        try:
            plain = normalise(path, Path(folder) / "plain.csv").path
            dialect = detect_dialect(plain)
            columns = read_header(plain, dialect)
            output.header = columns if dialect.has_header else ()
            output.rows = [
                record.cells for record, _ in read_records(plain, dialect, len(columns)) if not record.code
            ]
            survey(plain, dialect)
        except Unreadable:
            output.success = False
    return output


def read_with_sniffer(path: Path) -> Output:
    """Python's csv module with its Sniffer; the first row is the header, as the published scores take it."""
    text = path.read_bytes().decode()
    try:
        dialect = csv.Sniffer().sniff(text)
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), dialect) if row]
    except csv.Error:
        return Output(success=False)
    if path.name in WITHOUT_HEADER:  # to its advantage: asked, its Sniffer does not always see it
        return Output(rows=list(rows))
    return Output(header=rows[0], rows=list(rows[1:]))


def clean_output(path: Path) -> Output:
    """What a perfect reader makes of a file."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    if path.name in WITHOUT_HEADER:
        return Output(rows=list(rows))
    return Output(header=rows[0], rows=list(rows[1:]))


def score(output: Output, clean: Output) -> Score:
    """The measures of one file."""
    found, wanted = [_stripped(row) for row in output.rows], [_stripped(row) for row in clean.rows]
    return Score(
        float(output.success),
        _agreement(_stripped(output.header), _stripped(clean.header)),
        _agreement(found, wanted),
        _agreement([cell for row in found for cell in row], [cell for row in wanted for cell in row]),
    )


def score_all(folder: Path, reader: Reader) -> dict[str, Score]:
    """The score of each file under `folder`/polluted, by name."""
    return {
        path.name: score(reader(path), clean_output(folder / "clean" / path.name))
        for path in sorted((folder / "polluted").iterdir())
    }


def mean(scores: Iterable[Score]) -> Score:
    """The simple scores' mean, measure by measure."""
    all_scores = list(scores)

    def over(values: Iterable[float]) -> float:
        return sum(values) / len(all_scores)

    def three(triples: Iterable[tuple[float, float, float]]) -> tuple[float, float, float]:
        first, second, third = zip(*triples, strict=True)
        return over(first), over(second), over(third)

    return Score(
        over(one.success for one in all_scores),
        three(one.header for one in all_scores),
        three(one.records for one in all_scores),
        three(one.cells for one in all_scores),
    )


def unpack_files(folder: Path) -> Path:
    """Puts the polluted and clean files into a folder, and returns it."""
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    return folder


def table(by_reader: dict[str, Score]) -> str:
    """The scores of several readers beside each other."""
    lines = [
        "| reader | success | header P / R / F1 | records P / R / F1 | cells P / R / F1 | simple, of 10 |",
        "|---|---|---|---|---|---|",
    ]
    for name, one in by_reader.items():
        triples = (
            " / ".join(f"{value:.3f}" for value in three) for three in (one.header, one.records, one.cells)
        )
        lines.append(f"| {name} | {one.success:.3f} | {' | '.join(triples)} | {one.simple:.3f} |")
    return "\n".join(lines)


def _stripped(row: Sequence[str]) -> tuple[str, ...]:
    return tuple(cell.strip() for cell in row)


def _agreement(found: Sequence[Hashable], wanted: Sequence[Hashable]) -> tuple[float, float, float]:
    if not found and not wanted:
        return 1.0, 1.0, 1.0
    common = (Counter(found) & Counter(wanted)).total()
    if not common:
        return 0.0, 0.0, 0.0
    precision, recall = common / len(found), common / len(wanted)
    return precision, recall, 2 * precision * recall / (precision + recall)


def main() -> None:
    """Prints the table, and the files on which Rowpost loses more than the one damaged row."""
    with tempfile.TemporaryDirectory() as folder:
        files = unpack_files(Path(folder))
        rowpost, sniffer = (score_all(files, reader) for reader in (read_with_rowpost, read_with_sniffer))
    both = {"Rowpost": mean(rowpost.values()), "Python's csv with its Sniffer": mean(sniffer.values())}
    worst = [f"{name}: {one.simple:.3f}" for name, one in rowpost.items() if one.simple < 9.9]
    sys.stdout.write(f"{len(rowpost)} files\n\n{table(both)}\n\n" + "\n".join(worst) + "\n")


if __name__ == "__main__":
    main()
