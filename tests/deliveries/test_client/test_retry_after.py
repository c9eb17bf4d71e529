"""How long a third party asks us to wait."""

import datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deliveries.retry_after import retry_after_seconds

NOW = datetime.datetime(2026, 11, 20, 12, 0, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("0", 0), ("120", 120), (" 1.5 ", 1.5), ("9" * 30, 86400), ("-5", None), ("soon", None), ("", None)],
)
def test_a_number_is_seconds(value: str, seconds: float | None):
    assert retry_after_seconds(value) == seconds


def test_a_date_counts_from_the_third_party_s_own_clock():
    later = format_datetime(NOW + datetime.timedelta(minutes=5), usegmt=True)

    assert retry_after_seconds(later, date=format_datetime(NOW, usegmt=True)) == 300


def test_without_one_a_date_counts_from_ours():
    later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=5)
    seconds = retry_after_seconds(format_datetime(later, usegmt=True))

    assert seconds == pytest.approx(300, abs=5)


def test_a_date_of_the_past_is_now_and_one_far_away_is_a_day():
    now = format_datetime(NOW, usegmt=True)

    assert retry_after_seconds("Sun, 06 Nov 1994 08:49:37 GMT", date=now) == 0
    assert retry_after_seconds("Fri, 31 Dec 2100 23:59:59 GMT", date=now) == 86400


@given(st.text(max_size=40))
def test_any_text_is_survived(value: str):
    seconds = retry_after_seconds(value, date=value)

    assert seconds is None or 0 <= seconds <= 86400
