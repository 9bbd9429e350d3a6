from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tgecrawler.domain.feed_history import FeedHistory, observed, usual_gap_s

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)

moments = st.datetimes(timezones=st.timezones()) | st.datetimes() | st.none()
polls = st.lists(
    st.tuples(st.lists(moments, max_size=30), st.integers(0, 10**6), st.booleans()), max_size=12
)


def watched(*batches: list[datetime | None], every: timedelta = HOUR) -> FeedHistory:
    """Return the history after hourly polls from Monday on; the first finds the backlog."""
    history = FeedHistory()
    for number, batch in enumerate(batches):
        polled_at = MONDAY + number * every
        history = observed(history, batch, polled_at=polled_at, first=number == 0)
    return history


def backlog(count: int, gap: timedelta) -> list[datetime | None]:
    return [MONDAY - number * gap for number in range(count)]


def test_a_backlog_tells_the_gap_and_the_hours() -> None:
    history = watched(backlog(20, 3 * HOUR))
    assert usual_gap_s(history) == pytest.approx(3 * 3_600, rel=0.001)
    assert [hour for hour, count in enumerate(history.hours) if count] == list(range(0, 24, 3))
    assert history.last_entry_at == history.last_polled_at == MONDAY


def test_an_unknown_feed_has_no_gap() -> None:
    assert usual_gap_s(FeedHistory()) is None
    assert usual_gap_s(watched([MONDAY])) is None


def test_old_gaps_weigh_less() -> None:
    slow = [MONDAY - timedelta(days=60 - 3 * number) for number in range(10)]
    fast = [MONDAY - number * 12 * HOUR for number in range(64)]
    gap_s = usual_gap_s(watched([*slow, *fast]))
    assert gap_s is not None
    assert 12 * 3_600 < gap_s < 15 * 3_600  # the plain mean is 20 hours


def test_a_slow_feed_is_remembered_beyond_its_last_gap() -> None:
    ago_days = [sum((20, 40)[at % 2] for at in range(number)) for number in range(12)]
    gap_s = usual_gap_s(watched([MONDAY - timedelta(days=days) for days in ago_days]))
    assert gap_s == pytest.approx(30 * 86_400, rel=0.1)


def test_polls_are_counted() -> None:
    history = watched([MONDAY], [], [MONDAY + HOUR], [], [])
    assert (history.polls, history.changes, history.quiet_polls) == (5, 2, 2)
    assert history.last_new_at == MONDAY + 2 * HOUR
    assert history.last_polled_at == MONDAY + 4 * HOUR


def test_a_burst_is_remembered_for_about_an_hour() -> None:
    minutes = [MONDAY + HOUR + timedelta(minutes=5 * number) for number in range(6)]
    history = watched([MONDAY], [], [*minutes])
    assert history.burst > 4
    assert watched([MONDAY], [], [*minutes], [], [MONDAY + 5 * HOUR]).burst < 2


@pytest.mark.parametrize(
    ("said", "taken"),
    [
        (MONDAY + timedelta(days=365), MONDAY + HOUR),
        (MONDAY - timedelta(days=365), MONDAY),
        (None, MONDAY + HOUR / 2),
        (datetime.max.replace(tzinfo=UTC), MONDAY + HOUR),
    ],
)
def test_an_entry_appeared_between_two_polls_whatever_its_date_says(
    said: datetime | None, taken: datetime
) -> None:
    assert watched([], [said]).last_entry_at == taken


def test_entries_changed_in_mass_are_one_moment() -> None:
    before = watched(backlog(20, 6 * HOUR))
    after = observed(before, [MONDAY] * 500, polled_at=MONDAY + HOUR, first=False)
    assert usual_gap_s(after) == usual_gap_s(before)
    assert after.changes == before.changes + 1


def test_a_backlog_of_one_date_tells_no_gap() -> None:
    assert usual_gap_s(watched([MONDAY] * 20)) is None


def test_a_pinned_post_and_a_date_of_1970_tell_no_gap() -> None:
    old: list[datetime | None] = [datetime(1970, 1, 1, tzinfo=UTC), MONDAY - timedelta(days=700)]
    assert watched([*old, *backlog(10, HOUR)]) == watched(backlog(10, HOUR))


def test_a_clock_that_ran_ahead_is_forgiven() -> None:
    ahead = observed(FeedHistory(), [], polled_at=MONDAY + timedelta(days=400), first=True)
    ahead = observed(ahead, [None], polled_at=MONDAY + timedelta(days=401), first=False)
    back = observed(ahead, [MONDAY], polled_at=MONDAY, first=False)
    assert back.last_entry_at == MONDAY
    later = observed(back, [MONDAY + HOUR], polled_at=MONDAY + HOUR, first=False)
    assert usual_gap_s(later) == 3_600


def test_the_json_is_pinned() -> None:
    history = watched([MONDAY - 2 * HOUR, MONDAY - HOUR], [], [MONDAY + 2 * HOUR])
    assert json.loads(history.to_json()) == {
        "version": 1,
        "hours": [0.0] * 2 + [1.0] + [0.0] * 19 + [0.988, 0.991],
        "weekdays": [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.979],
        "gap_weight": 1.991,
        "gap_span_s": 14_368.0,
        "met_gap_s": 9_012.027,
        "burst": 1.068,
        "polls": 3,
        "changes": 2,
        "quiet_polls": 0,
        "last_entry_at": "2026-03-02T02:00:00Z",
        "last_polled_at": "2026-03-02T02:00:00Z",
        "last_new_at": "2026-03-02T02:00:00Z",
    }


@pytest.mark.parametrize(
    "damaged",
    [None, "", "{", "[]", "null", "7", '"text"', "[" * 100_000, "NaN", '{"version": 1}'],
)
def test_damaged_content_starts_anew(damaged: str | None) -> None:
    assert FeedHistory.from_json(damaged) == FeedHistory()


@pytest.mark.parametrize(
    "value", ["1", "-1", "NaN", "Infinity", "1e999", '"x"', "[1]", "{}", "true", "1" * 400]
)
@pytest.mark.parametrize(
    "name", ["hours", "burst", "polls", "last_entry_at", "gap_span_s", "other"]
)
def test_a_damaged_field_is_as_in_the_empty_history(name: str, value: str) -> None:
    read = FeedHistory.from_json(f'{{"gap_weight": 2.0, "{name}": {value}}}')
    assert read.gap_weight == 2.0
    assert read.last_entry_at is None
    assert read.hours == FeedHistory().hours
    assert 0 <= read.burst <= 1
    assert 0 <= read.polls <= 1


@given(polls)
def test_any_timestamps_are_survived_and_kept(
    batches: list[tuple[list[datetime | None], int, bool]],
) -> None:
    history, polled_at = FeedHistory(), MONDAY
    for new, wait_s, first in batches:
        polled_at += timedelta(seconds=wait_s)
        history = observed(history, new, polled_at=polled_at, first=first)
        assert history.last_entry_at is None or history.last_entry_at <= polled_at
        assert (usual_gap_s(history) or 60) >= 60
    text = history.to_json()
    assert FeedHistory.from_json(text) == history
    assert len(text.encode()) <= 1_024


@given(st.text() | st.recursive(st.none() | st.floats() | st.text(), st.lists).map(json.dumps))
def test_no_text_raises(text: str) -> None:
    FeedHistory.from_json(text)


@given(
    st.dictionaries(
        st.sampled_from(sorted(json.loads(FeedHistory().to_json()))),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.floats()),
    )
)
def test_no_fields_raise_or_stay_damaged(plain: dict[str, object]) -> None:
    history = FeedHistory.from_json(json.dumps(plain))
    assert FeedHistory.from_json(history.to_json()) == history
    observed(history, [MONDAY], polled_at=MONDAY, first=False)
