"""What a destination's last answers say of it: breaker, refusals, throttling."""

import uuid
from dataclasses import replace

from deliveries.answers import Kind, Verdict
from deliveries.health import BREAKER_FAILURES, MOST_OPENED, PROBE_CAP, PROBE_FIRST, Findings, Health, fold

ROWS = [uuid.uuid4() for _ in range(8)]
HELD = Health(failures=5, failing=tuple(map(str, ROWS[:3])), breaker_opened=1)


Answers = list[tuple[uuid.UUID, Verdict]]


def answers(*kinds: Kind, rows: list[uuid.UUID] = ROWS, hold: float = 0.0) -> Answers:
    """One of each row, in this order."""
    pairs = zip(rows, kinds, strict=False)
    return [(row, Verdict(kind, "code", f"{kind}.", hold=hold)) for row, kind in pairs]


def after(*kinds: Kind, health: Health | None = None, rows: list[uuid.UUID] = ROWS) -> Findings:
    return fold(health or Health(), answers(*kinds, rows=rows))


def test_the_fifth_failure_in_a_row_opens_the_breaker_and_the_fourth_does_not():
    assert not after(*[Kind.AGAIN] * (BREAKER_FAILURES - 1)).opened
    found = after(*[Kind.AGAIN] * BREAKER_FAILURES)
    assert (found.opened, found.health.breaker_opened) == (True, 1)
    assert PROBE_FIRST * 0.8 <= found.hold <= PROBE_FIRST * 1.2
    assert found.uncounted == set(), "these failures spend their attempts"


def test_failures_of_two_deliveries_alone_never_open_it():
    found = after(*[Kind.AGAIN] * 8, rows=ROWS[:2] * 4)
    assert (found.opened, found.health.failures) == (False, 8)


def test_any_answer_in_between_begins_the_row_anew():
    for kind in (Kind.SUCCEEDED, Kind.FAILED, Kind.CONFLICT):
        found = after(*[Kind.AGAIN] * 4, kind, *[Kind.AGAIN] * 3)
        assert (found.opened, found.health.failures) == (False, 3)


def test_a_probe_that_fails_holds_for_longer_and_spends_no_attempt():
    found = after(Kind.AGAIN, health=HELD, rows=ROWS[4:])
    assert (found.opened, found.health.breaker_opened) == (True, 2)
    assert PROBE_FIRST * 2 * 0.8 <= found.hold <= PROBE_FIRST * 2 * 1.2
    assert found.uncounted == {ROWS[4]}


def test_probes_that_fail_for_months_hold_as_long_as_those_of_a_day():
    for opened in (1023, 1024, 5000, MOST_OPENED):
        found = after(Kind.AGAIN, health=replace(HELD, breaker_opened=opened), rows=ROWS[4:])
        assert PROBE_CAP * 0.8 <= found.hold <= PROBE_CAP * 1.2
        assert found.health.breaker_opened == min(opened + 1, MOST_OPENED)


def test_a_breaker_that_opens_does_not_shorten_what_the_third_party_asked_for():
    asked = answers(Kind.THROTTLED, rows=ROWS[7:], hold=3600.0)
    found = fold(Health(), [*asked, *answers(*[Kind.AGAIN] * BREAKER_FAILURES)])
    assert (found.opened, found.hold) == (True, 3600.0)


def test_what_was_under_way_when_it_opened_holds_no_longer():
    found = after(*[Kind.AGAIN] * 8)
    assert found.health.breaker_opened == 1
    assert found.uncounted == set(ROWS[5:])


def test_a_probe_that_goes_through_closes_it_and_ends_the_hold():
    found = after(Kind.AGAIN, Kind.SUCCEEDED, health=HELD)
    assert (found.closed, found.opened, found.hold) == (True, False, 0.0)
    assert found.health == Health()


def test_three_deliveries_refused_in_a_row_pause_it_and_the_same_one_thrice_does_not():
    assert after(*[Kind.REFUSED] * 3).pause_reason
    assert not after(*[Kind.REFUSED] * 3, rows=ROWS[:1] * 3).pause_reason
    assert after(*[Kind.REFUSED] * 3).uncounted == set(ROWS[:3])


def test_refusals_are_forgotten_by_a_success_and_by_nothing_else():
    assert not after(Kind.REFUSED, Kind.REFUSED, Kind.SUCCEEDED, Kind.REFUSED).pause_reason
    for kind in (Kind.AGAIN, Kind.FAILED, Kind.THROTTLED):
        assert after(Kind.REFUSED, Kind.REFUSED, kind, Kind.REFUSED).pause_reason, kind


def test_a_success_in_the_same_flush_takes_the_pause_back():
    found = after(*[Kind.REFUSED] * 3, Kind.SUCCEEDED)
    assert (found.pause_reason, found.succeeded) == ("", True)


def test_the_longest_wait_asked_for_holds_it_and_counts_no_attempt():
    asked = [*answers(Kind.THROTTLED, hold=5.0), *answers(Kind.THROTTLED, rows=ROWS[1:], hold=60.0)]
    found = fold(Health(), [*asked, *answers(Kind.THROTTLED, rows=ROWS[2:], hold=1.0)])
    assert (found.hold, found.uncounted) == (60.0, set(ROWS[:3]))
    assert not found.health.is_troubled
