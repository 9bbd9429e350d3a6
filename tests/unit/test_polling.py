from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tgecrawler.domain.feed_history import FeedHistory, observed
from tgecrawler.domain.polling import PollBounds, PollHints, next_poll_at

MONDAY = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ALL_HOURS, ALL_DAYS = frozenset(range(24)), frozenset(range(7))


def watched(gap: timedelta, count: int = 40) -> FeedHistory:
    moments = [MONDAY - number * gap for number in range(count)]
    return observed(FeedHistory(), moments, polled_at=MONDAY, first=True)


HOURLY, DAILY = watched(HOUR), watched(DAY)


def due(
    history: FeedHistory = HOURLY,
    *,
    now: datetime = MONDAY,
    hints: PollHints | None = None,
    bounds: PollBounds | None = None,
    priority: int = 3,
    expected_event: bool = False,
    failures: int = 0,
    jitter: float = 0.0,
) -> datetime:
    return next_poll_at(
        history,
        now=now,
        hints=hints or PollHints(),
        bounds=bounds or PollBounds(),
        priority=priority,
        expected_event=expected_event,
        failures=failures,
        jitter=jitter,
    )


def wait_s(history: FeedHistory = HOURLY, **asked: object) -> float:
    return (due(history, **asked) - MONDAY).total_seconds()  # type: ignore[arg-type]


histories = st.lists(st.integers(0, 10**8), max_size=30).map(
    lambda ago: observed(
        FeedHistory(),
        [MONDAY - timedelta(seconds=one) for one in ago],
        polled_at=MONDAY,
        first=True,
    )
)
seconds = st.none() | st.floats(0, 10**9)
hints_ = st.builds(
    PollHints,
    ttl_s=seconds,
    skip_hours=st.frozensets(st.integers(0, 23)),
    skip_days=st.frozensets(st.integers(0, 6)),
    max_age_s=seconds,
    not_before_at=st.none() | st.timedeltas(-DAY, 10_000 * DAY).map(MONDAY.__add__),
)
bounds_ = st.tuples(st.floats(1, 10**4), st.floats(1, 10**6), st.floats(0.1, 10**6)).map(
    lambda drawn: PollBounds(drawn[0], max(drawn[0], drawn[1]), drawn[2])
)
asked_ = st.fixed_dictionaries(
    {
        "hints": hints_,
        "bounds": bounds_,
        "priority": st.integers(-1, 6),
        "expected_event": st.booleans(),
        "jitter": st.floats(0, 1, exclude_max=True),
    }
)


@given(histories, st.integers(0, 10**7), asked_, st.integers(0, 10**6))
def test_it_lies_within_the_bounds_and_never_before_the_server_allows(
    history: FeedHistory, silent_s: int, asked: dict[str, object], failures: int
) -> None:
    now = MONDAY + timedelta(seconds=silent_s)
    due_at = due(history, now=now, failures=failures, **asked)  # type: ignore[arg-type]
    bounds, hints = asked["bounds"], asked["hints"]
    assert isinstance(bounds, PollBounds)
    assert isinstance(hints, PollHints)
    assert due_at.tzinfo is UTC
    assert due_at >= now + timedelta(seconds=bounds.shortest_s)
    if hints.not_before_at is not None:
        assert due_at >= hints.not_before_at
    longest_s = max(bounds.longest_s, 86_400.0) if failures else bounds.longest_s
    latest_at = now + timedelta(seconds=longest_s)
    assert due_at <= max(latest_at, hints.not_before_at or latest_at)


@given(histories, asked_, st.integers(0, 40), st.integers(1, 40))
def test_more_failures_never_shorten_the_wait(
    history: FeedHistory, asked: dict[str, object], failures: int, more: int
) -> None:
    sooner = due(history, failures=failures, **asked)  # type: ignore[arg-type]
    assert sooner <= due(history, failures=failures + more, **asked)  # type: ignore[arg-type]


def test_the_square_root_of_the_gap_times_the_effort() -> None:
    flat = replace(DAILY, hours=(1.0,) * 24, weekdays=(1.0,) * 7, burst=0.0)
    # the bursts' share of 0.2 is not expected here: the gap counts as 1.25 days
    for effort_s in (100.0, 400.0):
        waited_s = wait_s(flat, bounds=PollBounds(effort_s=effort_s))
        assert waited_s == pytest.approx((effort_s * 1.25 * 86_400) ** 0.5, rel=0.02)


def test_a_busy_feed_is_polled_as_often_as_it_speaks() -> None:
    busy = watched(timedelta(minutes=4), 400)
    assert wait_s(busy, bounds=PollBounds(effort_s=10_000)) < 420


def test_a_lively_feed_comes_before_a_slow_one_and_that_before_a_dead_one() -> None:
    dead = due(DAILY, now=MONDAY + 300 * DAY) - (MONDAY + 300 * DAY)
    assert wait_s(HOURLY) < wait_s(DAILY) < dead.total_seconds() <= 86_400


def test_an_unknown_feed_is_polled_within_hours() -> None:
    assert 600 < wait_s(FeedHistory()) < 4 * 3_600


def test_a_post_of_every_noon_is_awaited_at_noon() -> None:
    morning, noon = MONDAY - 6 * HOUR, MONDAY + DAY - timedelta(minutes=30)
    assert due(DAILY, now=noon) - noon < (due(DAILY, now=morning + DAY) - (morning + DAY)) / 3


def test_the_better_tier_is_polled_sooner() -> None:
    waits = [wait_s(priority=tier) for tier in (1, 2, 3, 4)]
    assert waits == sorted(waits)
    assert waits[0] == pytest.approx(waits[2] / 2, rel=0.1)


def test_around_a_dated_event_every_feed_is_polled_within_five_minutes() -> None:
    assert wait_s(DAILY) > 600
    assert wait_s(DAILY, expected_event=True) == 300
    skipping = PollHints(skip_hours=ALL_HOURS - {3})
    assert wait_s(DAILY, expected_event=True, hints=skipping) == 300


def test_jitter_takes_up_to_a_tenth_off() -> None:
    assert 0.9 * wait_s() < wait_s(jitter=0.999) < 0.91 * wait_s()


def test_each_failure_doubles_the_wait_up_to_a_day() -> None:
    assert wait_s(failures=1) == pytest.approx(2 * wait_s())
    assert wait_s(failures=3) == pytest.approx(8 * wait_s())
    assert wait_s(failures=10**9) == 86_400
    assert wait_s(failures=30, bounds=PollBounds(longest_s=3_600)) == 86_400


@pytest.mark.parametrize("name", ["ttl_s", "max_age_s"])
def test_what_a_feed_asks_for_is_kept_up_to_four_hours(name: str) -> None:
    assert wait_s(hints=PollHints(**{name: 1.0})) == wait_s()
    assert wait_s(hints=PollHints(**{name: 7_200.0}), jitter=0.9) == 7_200
    assert wait_s(hints=PollHints(**{name: 7 * 86_400.0})) == 4 * 3_600


def test_skipped_hours_and_days_are_waited_for() -> None:
    assert due(hints=PollHints(skip_hours=frozenset({12, 13}))) == MONDAY + 2 * HOUR
    assert due(hints=PollHints(skip_days=frozenset({0}))) == MONDAY + 12 * HOUR
    friday = MONDAY + 4 * DAY + 11 * HOUR + timedelta(minutes=55)
    weekend = PollHints(skip_days=frozenset({5, 6}))
    assert due(DAILY, now=friday, hints=weekend) == friday + DAY  # and not on Monday


@pytest.mark.parametrize("hints", [PollHints(skip_hours=ALL_HOURS), PollHints(skip_days=ALL_DAYS)])
def test_a_feed_that_skips_everything_says_nothing(hints: PollHints) -> None:
    assert due(hints=hints) == due()


def test_retry_after_is_kept_to_the_second_and_beyond_any_bound() -> None:
    for later in (timedelta(seconds=3_601), 5 * DAY):
        hints = PollHints(not_before_at=MONDAY + later)
        assert due(hints=hints, jitter=0.9) == MONDAY + later


@pytest.mark.parametrize(
    "wrong",
    [{"shortest_s": 0.0}, {"shortest_s": 90.0, "longest_s": 60.0}, {"effort_s": 0.0}],
)
def test_impossible_bounds_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="no bounds to poll within"):
        PollBounds(**wrong)
