"""The last errors of a destination: the newest of each kind."""

import uuid
from datetime import UTC, datetime

from deliveries.last_errors import LastError, remembered, restored

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def error(code, number=1, message="No."):
    return LastError(code=code, message=message, at=NOON, group_id=uuid.UUID(int=1), number=number)


def codes(stored):
    return [(each.code, each.number) for each in restored(stored)]


def test_of_each_kind_the_newest_is_remembered_and_the_last_one_stands_first():
    stored = remembered([], [error("a", 1), error("b", 2), error("a", 3)])
    assert codes(stored) == [("a", 3), ("b", 2)]
    assert codes(remembered(stored, [error("b", 4)])) == [("b", 4), ("a", 3)]


def test_a_kind_that_has_not_been_met_for_long_makes_room():
    stored = remembered([], [error(code) for code in "abcd"])
    assert codes(stored) == [("d", 1), ("c", 1), ("b", 1)]


def test_what_is_stored_comes_back_and_a_long_sentence_is_cut():
    assert restored(remembered([], [error("a")])) == [error("a")]
    [long] = restored(remembered([], [error("a", message="x" * 400)]))
    assert long.message == "x" * 300
