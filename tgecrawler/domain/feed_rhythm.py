"""How many entries a feed is expected to bring, hour by hour, and when its silence is unusual."""

from __future__ import annotations

from datetime import timedelta
from math import exp
from typing import TYPE_CHECKING

from tgecrawler.domain.feed_history import BURST_S, HOURS, WEEKDAYS, FeedHistory, usual_gap_s

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

HOUR_S, DAY_S, WEEK_S = 3_600.0, 86_400.0, 604_800.0

# Chosen on one half of the feeds of tests/bench/bench_polling.py, which reports the other.
# None is sharp: half or twice of each moves the mean delay by a tenth at most.
UNKNOWN_GAP_S = DAY_S  # before anything is known, one entry a day
UNKNOWN_WEIGHT = 0.5  # and that weighs as much as half a gap
FLAT_HOURS = 3.0  # entries spread evenly over the day that are added to those seen
FLAT_WEEKDAYS = 7.0
BURST_SHARE = 0.2  # of the expected entries, those that follow others
LIVELY_SILENCE = 4.0  # a feed silent for a time T is not expected to bring more than 4 in T

FINE_S, FINE_FOR_S = 900.0, 7_200.0  # a burst fades within minutes, then hours are fine enough

STALE_GAPS = 6.0
STALE_FLOOR_S = DAY_S  # nobody wants to hear of less


def forecast(history: FeedHistory, now: datetime) -> Iterator[tuple[float, float]]:
    """Yield stretches of time from `now` on, for ever: their seconds and entries per second.

    A stretch lies within one hour of the day. The weighted gaps give the mean, hours
    and weekdays shape it, the last hour's entries raise it, and a silence that has
    lasted up to `now` lowers it. The rate is above 0.
    """
    mean_per_s = (1 - BURST_SHARE) * _mean_per_s(history, now)
    burst_per_s = BURST_SHARE * history.burst / BURST_S
    silent_s = _silent_s(history, now)
    hour_at_s = now.hour * HOUR_S + now.minute * 60.0 + now.second
    day_at, waited_s = now.weekday(), 0.0
    while True:
        left_s = HOUR_S - hour_at_s % HOUR_S
        length_s = min(left_s, FINE_S) if waited_s < FINE_FOR_S else left_s
        faded = exp(-(silent_s + waited_s + length_s / 2) / BURST_S)
        shape = hour_factor(history, int(hour_at_s // HOUR_S)) * weekday_factor(history, day_at)
        yield length_s, mean_per_s * shape + burst_per_s * faded
        waited_s += length_s
        hour_at_s += length_s
        if hour_at_s >= DAY_S:
            hour_at_s, day_at = 0.0, (day_at + 1) % WEEKDAYS


def _mean_per_s(history: FeedHistory, now: datetime) -> float:
    weight = history.gap_weight + UNKNOWN_WEIGHT
    mean_per_s = weight / (history.gap_span_s + UNKNOWN_WEIGHT * UNKNOWN_GAP_S)
    silent_s = _silent_s(history, now)
    return min(mean_per_s, LIVELY_SILENCE / silent_s) if silent_s > 0 else mean_per_s


def _silent_s(history: FeedHistory, now: datetime) -> float:
    if history.last_entry_at is None:
        return 0.0
    return max(0.0, (now - history.last_entry_at).total_seconds())


def hour_factor(history: FeedHistory, hour: int) -> float:
    """Return how many times the mean is expected in an hour of the day, UTC.

    The hours beside it weigh half: a post of 14:05 might as well have come at 13:55.
    """
    hours = history.hours
    near = hours[hour - 1] / 4 + hours[hour] / 2 + hours[(hour + 1) % HOURS] / 4
    return _share(near, sum(hours), HOURS, FLAT_HOURS + _unseen(history, DAY_S))


def weekday_factor(history: FeedHistory, weekday: int) -> float:
    """Return how many times the mean is expected on a weekday, 0 = Monday, UTC."""
    days = history.weekdays
    return _share(days[weekday], sum(days), WEEKDAYS, FLAT_WEEKDAYS + _unseen(history, WEEK_S))


def _share(count: float, total: float, slots: int, flat: float) -> float:
    return (slots * count + flat) / (total + flat)


def _unseen(history: FeedHistory, cycle_s: float) -> float:
    """Return how many evenly spread entries to add while few cycles have been watched.

    The twenty entries of one busy afternoon say nothing about the morning.
    """
    cycles = max(history.gap_span_s, cycle_s / 100) / cycle_s
    return history.gap_weight / (cycles * cycles)


def is_stale(history: FeedHistory, now: datetime) -> bool:
    """Return whether a feed that answers has been silent for longer than its rhythm explains.

    That is: six usual gaps, counted in its own hours and weekdays, so that a night or a
    weekend is short; and a day at least. Where entries come in bursts, the gap between
    the bursts counts. A feed whose rhythm is unknown is never stale.
    """
    gap_s, last_at = usual_gap_s(history), history.last_entry_at
    if gap_s is None or last_at is None:
        return False
    silent_s = _silent_s(history, now)
    if silent_s < STALE_FLOOR_S:
        return False
    # half of the gap met is the mean gap of what comes by chance, and the bursts' own gap
    return _lively_s(history, last_at, silent_s) >= STALE_GAPS * max(gap_s, history.met_gap_s / 2)


def _lively_s(history: FeedHistory, since: datetime, silent_s: float) -> float:
    """Return how long a silence is in the feed's own time, whose average week is a week."""
    weeks, rest_s = divmod(silent_s, WEEK_S)
    whole_hours = (since + timedelta(hours=number) for number in range(int(rest_s // HOUR_S)))
    lively_hours = sum(
        hour_factor(history, at.hour) * weekday_factor(history, at.weekday()) for at in whole_hours
    )
    return weeks * WEEK_S + lively_hours * HOUR_S
