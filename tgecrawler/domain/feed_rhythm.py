"""How many entries a feed is expected to bring at a moment, and whether its silence is unusual."""

from __future__ import annotations

from math import exp
from typing import TYPE_CHECKING

from tgecrawler.domain.feed_history import BURST_S, HOURS, WEEKDAYS, FeedHistory, usual_gap_s

if TYPE_CHECKING:
    from datetime import datetime

# Tuned on one half of the feeds of tests/bench/bench_polling.py, which reports the other half.
UNKNOWN_GAP_S = 86_400.0  # before anything is known, one entry a day
UNKNOWN_WEIGHT = 0.5  # and that weighs as much as half a gap
FLAT_HOURS = 3.0  # entries spread over all hours that are added to those seen
FLAT_WEEKDAYS = 7.0
BURST_SHARE = 0.2  # of the expected entries, those that follow others
LIVELY_SILENCE = 4.0  # a feed silent for T brings no more than 3 entries in T


def entries_per_s(history: FeedHistory, at: datetime, *, now: datetime) -> float:
    """Return the expected entries per second at a moment `at` not before `now`; above 0.

    The weighted gaps give the mean, hours and weekdays shape it, the last hour's
    entries raise it, and a silence that lasts up to `now` lowers it.
    """
    shaped = _mean_per_s(history, now) * hour_factor(history, at.hour)
    shaped *= weekday_factor(history, at.weekday())
    return (1 - BURST_SHARE) * shaped + BURST_SHARE * _burst_per_s(history, at)


def _mean_per_s(history: FeedHistory, now: datetime) -> float:
    weight = history.gap_weight + UNKNOWN_WEIGHT
    mean = weight / (history.gap_span_s + UNKNOWN_WEIGHT * UNKNOWN_GAP_S)
    silent_s = _silent_s(history, now)
    return min(mean, LIVELY_SILENCE / silent_s) if silent_s > 0 else mean


def _burst_per_s(history: FeedHistory, at: datetime) -> float:
    return history.burst * exp(-_silent_s(history, at) / BURST_S) / BURST_S


def _silent_s(history: FeedHistory, at: datetime) -> float:
    if history.last_entry_at is None:
        return 0.0
    return max(0.0, (at - history.last_entry_at).total_seconds())


def hour_factor(history: FeedHistory, hour: int) -> float:
    """Return how many times the mean is expected in an hour of the day, UTC.

    The neighbours weigh half: a post at 14:05 is as good as one at 13:55.
    """
    hours = history.hours
    near = hours[hour - 1] / 4 + hours[hour] / 2 + hours[(hour + 1) % HOURS] / 4
    return (HOURS * near + FLAT_HOURS) / (sum(hours) + FLAT_HOURS)


def weekday_factor(history: FeedHistory, weekday: int) -> float:
    """Return how many times the mean is expected on a weekday, 0 = Monday."""
    days = history.weekdays
    return (WEEKDAYS * days[weekday] + FLAT_WEEKDAYS) / (sum(days) + FLAT_WEEKDAYS)


def is_stale(history, now):
    gap = usual_gap_s(history)
    return bool(
        gap
        and history.last_new_at
        and (now - history.last_new_at).total_seconds() > max(86400, 6 * gap)
    )
