"""When a feed is polled next: by its rhythm, within bounds, never before its server allows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import sqrt
from typing import TYPE_CHECKING

from tgecrawler.domain.feed_rhythm import DAY_S, HOUR_S, forecast

if TYPE_CHECKING:
    from tgecrawler.domain.feed_history import FeedHistory

HINT_LONGEST_S = 4 * HOUR_S  # of 5 real `ttl` seen the longest is an hour; a week is a mistake
EVENT_LONGEST_S = 300.0  # around a dated event
JITTER_SHARE = 0.1  # feeds that were due together drift apart
FAILURE_LONGEST_S = DAY_S
POLLS_PER_ENTRY = 1.2  # 1.0 only equals Miniflux's median at its cost, 1.3 halves the slow's gain
MOST_DOUBLINGS = 20  # beyond any bound, and below the overflow of a float
TIER_WEIGHTS = {1: 4.0, 2: 2.0, 3: 1.0, 4: 0.5}  # half the interval for tier 1 beside tier 3


@dataclass(frozen=True, slots=True)
class PollHints:
    """What a feed or its server asks for; every one optional.

    `ttl_s` and `max_age_s` (Cache-Control or Expires) count from the poll. `skip_hours`
    are UTC, `skip_days` 0 = Monday. `not_before_at` is Retry-After as a moment, aware.
    """

    ttl_s: float | None = None
    skip_hours: frozenset[int] = frozenset()
    skip_days: frozenset[int] = frozenset()
    max_age_s: float | None = None
    not_before_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PollBounds:
    """The interval's bounds, and what a poll may cost: the one knob of the comparison.

    `effort_s` is the interval of a feed whose entries come just that far apart; four
    times of it is half the polls. docs/polling.md has what each value costs and brings.

    Raises:
        ValueError: one is not positive, or `shortest_s` is above `longest_s`.
    """

    shortest_s: float = 120.0
    longest_s: float = DAY_S
    effort_s: float = 300.0

    def __post_init__(self) -> None:
        if not 0 < self.shortest_s <= self.longest_s or not self.effort_s > 0:
            raise ValueError(f"no bounds to poll within: {self}")


def next_poll_at(
    history: FeedHistory,
    *,
    now: datetime,
    hints: PollHints,
    bounds: PollBounds,
    priority: int,
    expected_event: bool,
    failures: int,
    jitter: float,
) -> datetime:
    """Return when a feed that has just been polled is due again, aware UTC.

    It lies at least `shortest_s` and at most `longest_s` after `now`; failures stretch
    that to a day, and only Retry-After goes beyond it.

    Args:
        priority: the source's tier, 1 (best) to 4.
        expected_event: one of its subjects has a dated event about now.
        failures: polls that failed in a row, this one included; each doubles the wait.
        jitter: from 0 up to but not including 1; takes up to a tenth off the wait.
    """
    now = now.astimezone(UTC)
    longest_s = max(bounds.longest_s, FAILURE_LONGEST_S) if failures > 0 else bounds.longest_s
    wait_s = _rhythm_s(history, now, bounds, TIER_WEIGHTS.get(priority, 1.0))
    if expected_event:
        wait_s = min(wait_s, EVENT_LONGEST_S)
    wait_s *= 1 - JITTER_SHARE * jitter
    wait_s = max(wait_s, bounds.shortest_s, _asked_s(hints)) * 2.0 ** min(failures, MOST_DOUBLINGS)
    due_at = now + timedelta(seconds=min(wait_s, longest_s))
    if not expected_event:
        # both elements say which times a reader can skip, not that it must
        due_at = min(_open_at(due_at, hints), now + timedelta(seconds=longest_s))
    return max(due_at, (hints.not_before_at or due_at).astimezone(UTC))


def _rhythm_s(history: FeedHistory, now: datetime, bounds: PollBounds, weight: float) -> float:
    """Return when one poll is worth its cost by what the feed is expected to bring.

    Polls are as dense as the square root of the entries expected, which makes the mean
    delay of all entries smallest for a given number of polls; and no less dense than
    the entries themselves, without which the busiest feeds set the median. Source:
    Sia, Cho, Cho, Efficient Monitoring Algorithm for Fast News Alerts, IEEE TKDE 19
    (2007), resource allocation; the second half was measured, see docs/polling.md.
    """
    waited_s = polls = 0.0
    for length_s, entries_per_s in forecast(history, now):
        polls_per_s = max(
            sqrt(weight * entries_per_s / bounds.effort_s), POLLS_PER_ENTRY * entries_per_s
        )
        if polls + polls_per_s * length_s >= 1 or waited_s >= bounds.longest_s:
            return min(waited_s + (1 - polls) / polls_per_s, bounds.longest_s)
        polls += polls_per_s * length_s
        waited_s += length_s
    raise AssertionError("a forecast has no end")


def _asked_s(hints: PollHints) -> float:
    """Return how long a feed asks to be left alone, at most `HINT_LONGEST_S`."""
    asked = (hints.ttl_s or 0.0, hints.max_age_s or 0.0)
    return min(max(asked), HINT_LONGEST_S)


def _open_at(due_at: datetime, hints: PollHints) -> datetime:
    """Return the first moment from `due_at` on outside the skipped hours and days.

    Where all are skipped, nothing is said: `due_at`.
    """
    at = due_at
    for _ in range(8 * 24):
        if at.hour not in hints.skip_hours and at.weekday() not in hints.skip_days:
            return at
        at = at.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    return due_at
