"""The score on polluted files does not fall."""

import pytest

from tests.feeds.reading.score import (
    Output,
    mean,
    read_with_rowpost,
    read_with_sniffer,
    score,
    score_all,
    table,
    unpack_files,
)

GOAL = 9.8


def test_rowpost_reads_polluted_files_at_least_as_well_as_promised_and_better_than_pythons_sniffer(tmp_path):
    # Given 79 files as people might upload them, and nobody who says how they are written
    files = unpack_files(tmp_path)
    # When both read them all
    rowpost = score_all(files, read_with_rowpost)
    sniffer = score_all(files, read_with_sniffer)
    # Then Rowpost is above its goal and above the Sniffer
    assert len(rowpost) == 79
    assert mean(rowpost.values()).simple >= GOAL
    assert mean(rowpost.values()).simple > mean(sniffer.values()).simple
    assert "| Rowpost | 0.9" in table({"Rowpost": mean(rowpost.values())})


def test_a_perfect_reading_scores_ten():
    output = Output(header=["a", "b"], rows=[["1", "2"], ["1", "2"]])
    assert score(output, output).simple == 10


def test_a_row_too_few_costs_recall_and_not_precision():
    clean = Output(header=["a"], rows=[["1"], ["2"]])
    precision, recall, f1 = score(Output(header=["a"], rows=[["1"]]), clean).records
    assert (precision, recall) == (1.0, 0.5)
    assert f1 == pytest.approx(2 / 3)


def test_a_row_too_many_costs_precision_and_not_recall():
    clean = Output(header=["a"], rows=[["1"]])
    assert score(Output(header=["a"], rows=[["1"], ["1"]]), clean).records[:2] == (0.5, 1.0)


def test_nothing_scores_nothing_where_something_was_to_be_read():
    clean = Output(header=["a"], rows=[["1"]])
    assert score(Output(success=False), clean).simple == 0
