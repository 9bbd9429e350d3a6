from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import accumulate, islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tgecrawler.domain.feed_history import FeedHistory, observed
from tgecrawler.domain.feed_rhythm import (
    STALE_GAPS,
    forecast,
    hour_factor,
    is_stale,
    weekday_factor,
)

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
WEEK_S = 7 * 86_400.0


def watched(moments: list[datetime], until: datetime = MONDAY) -> FeedHistory:
    return observed(FeedHistory(), moments, polled_at=until, first=True)


def expected(history: FeedHistory, now: datetime, span_s: float) -> float:
    """Return the entries forecast for a span of time."""
    entries = waited_s = 0.0
    for length_s, per_s in forecast(history, now):
        if waited_s >= span_s:
            return entries
        entries += per_s * min(length_s, span_s - waited_s)
        waited_s += length_s
    raise AssertionError


def office_posts(weeks: int) -> list[datetime]:
    """Return posts at 9, 11, 13, 15 and 17 o'clock on working days before Monday."""
    days = [MONDAY - number * DAY for number in range(1, 7 * weeks + 1)]
    return [day + hour * HOUR for day in days if day.weekday() < 5 for hour in range(9, 18, 2)]


def test_the_forecast_of_a_week_is_what_came_in_a_week() -> None:
    history = watched([MONDAY - number * 4 * HOUR for number in range(200)])
    assert expected(history, MONDAY, WEEK_S) == pytest.approx(42, rel=0.25)


def test_the_working_hours_are_expected_and_the_night_is_not() -> None:
    history = watched(office_posts(6))
    noon, night = (expected(history, MONDAY + hour * HOUR, 3_600) for hour in (12, 2))
    assert noon > 10 * night
    assert expected(history, MONDAY + 12 * HOUR, 3_600) > 4 * expected(
        history, MONDAY + 5 * DAY + 12 * HOUR, 3_600
    )


def test_a_burst_raises_what_is_expected_for_an_hour() -> None:
    morning = MONDAY + 6 * HOUR
    calm = watched([MONDAY - number * DAY for number in range(1, 20)])
    lively = observed(
        calm,
        [morning + timedelta(minutes=2 * number) for number in range(8)],
        polled_at=morning + timedelta(minutes=15),
        first=False,
    )
    quiet = replace(lively, burst=0.0)
    for minutes, factor in ((16, 3.0), (60, 2.0)):
        at = morning + timedelta(minutes=minutes)
        assert expected(lively, at, 900) > factor * expected(quiet, at, 900)
    later = morning + 12 * HOUR
    assert expected(lively, later, 900) == pytest.approx(expected(quiet, later, 900), rel=0.01)


def test_the_entries_of_one_afternoon_say_nothing_about_the_morning() -> None:
    history = watched([MONDAY - number * timedelta(minutes=15) for number in range(20)])
    assert hour_factor(history, 23) < 1.2
    assert hour_factor(history, 8) > 0.9


def test_a_long_silence_lowers_what_is_expected() -> None:
    history = watched([MONDAY - number * HOUR for number in range(20)])
    rates = [expected(history, MONDAY + days * DAY, WEEK_S) for days in (1, 10, 100)]
    assert rates == sorted(rates, reverse=True)
    assert rates[2] < 1


def test_stretches_keep_within_their_hour() -> None:
    now = MONDAY + timedelta(hours=22, minutes=50)
    lengths = [length_s for length_s, _ in islice(forecast(FeedHistory(), now), 20)]
    ends = [now + timedelta(seconds=waited_s) for waited_s in accumulate(lengths)]
    assert lengths[:3] == [600, 900, 900]
    assert all(end.minute == 0 for end in ends[9:])


@given(st.lists(st.integers(0, 10**8), max_size=40), st.integers(0, 10**7))
def test_something_is_always_expected_and_shapes_average_to_one(
    ago: list[int], wait_s: int
) -> None:
    history = watched([MONDAY - timedelta(seconds=one) for one in ago])
    now = MONDAY + timedelta(seconds=wait_s)
    assert all(0 < per_s < 1 for _, per_s in islice(forecast(history, now), 200))
    assert sum(hour_factor(history, hour) for hour in range(24)) == pytest.approx(24)
    assert sum(weekday_factor(history, day) for day in range(7)) == pytest.approx(7)


def test_six_gaps_without_news_are_stale() -> None:
    weekly = watched([MONDAY - number * 7 * DAY for number in range(10)])
    assert not is_stale(weekly, MONDAY + 5 * 7 * DAY)
    assert is_stale(weekly, MONDAY + (STALE_GAPS + 0.2) * 7 * DAY)


def test_a_day_is_the_least_silence_that_is_stale() -> None:
    history = watched([MONDAY - number * timedelta(minutes=10) for number in range(400)])
    assert not is_stale(history, MONDAY + 23 * HOUR)
    assert is_stale(history, MONDAY + 25 * HOUR)


def test_a_weekend_without_news_is_not_stale_for_an_office() -> None:
    history = watched(office_posts(6))
    assert history.last_entry_at == MONDAY - 3 * DAY + 17 * HOUR  # Friday
    assert not is_stale(history, MONDAY + 8 * HOUR)  # 63 hours, 13 times the usual gap
    assert is_stale(history, MONDAY + 3 * DAY)


def test_the_rhythm_of_bursts_is_that_of_the_bursts() -> None:
    minutes = [timedelta(minutes=10 * number) for number in range(8)]
    bursts = [MONDAY - day * 4 * DAY + one for day in range(1, 15) for one in minutes]
    history = watched(bursts)
    assert not is_stale(history, MONDAY + 7 * DAY)
    assert is_stale(history, MONDAY + 30 * DAY)


def test_a_feed_without_a_rhythm_is_never_stale() -> None:
    assert not is_stale(FeedHistory(), MONDAY)
    assert not is_stale(watched([MONDAY]), MONDAY + 4_000 * DAY)
