"""When a failed attempt is made again."""

import pytest

from deliveries.schedule import Schedule

DAY = 86_400.0


@pytest.mark.parametrize(
    ("failures", "seconds"), [(1, 60.0), (2, 180.0), (3, 540.0), (7, 43_740.0), (8, DAY), (9, DAY)]
)
def test_waits_grow_up_to_a_day(failures, seconds):
    assert Schedule().wait(failures, None) == pytest.approx(seconds, rel=0.2)


def test_after_the_last_attempt_there_is_none_whatever_was_asked_for():
    assert Schedule().wait(10, None) is None
    assert Schedule().wait(10, 5.0) is None


def test_what_the_third_party_asks_for_lengthens_a_wait_and_never_shortens_it():
    assert Schedule().wait(1, 3 * DAY) == 3 * DAY
    assert Schedule().wait(3, 1.0) == pytest.approx(540.0, rel=0.2)


def test_a_destination_has_a_schedule_of_its_own():
    schedule = Schedule(max_attempts=3, first=10.0, factor=2.0, cap=15.0)
    assert schedule.wait(1, None) == pytest.approx(10.0, rel=0.2)
    assert schedule.wait(2, None) == pytest.approx(15.0, rel=0.2)
    assert schedule.wait(3, None) is None
