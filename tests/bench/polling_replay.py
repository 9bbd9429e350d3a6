"""Feeds replayed against ways to poll them: what each detects late, loses and costs.

A feed is the moments at which its entries came, in seconds since 1970. A window
holds its last `WINDOW` entries; what falls out of it between two polls is lost.
Every way sees at first what stands in the feed then, and is scored from then on.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from tgecrawler.domain.feed_history import FeedHistory, observed
from tgecrawler.domain.polling import PollBounds, PollHints, next_poll_at

WINDOW = 20
MINUTE_S, HOUR_S, DAY_S, WEEK_S = 60.0, 3_600.0, 86_400.0, 604_800.0


@dataclass(frozen=True, slots=True)
class Feed:
    """One feed; entries from `start_s` on are scored, those before it are its backlog."""

    slug: str
    kind: str
    moments: tuple[float, ...]
    start_s: float
    end_s: float

    @property
    def days(self) -> float:
        return (self.end_s - self.start_s) / DAY_S

    @property
    def for_tuning(self) -> bool:
        """Whether constants may be chosen on it; the others are only reported."""
        return hashlib.blake2b(self.slug.encode(), digest_size=1).digest()[0] % 2 == 0


class Poller(Protocol):
    """A way to poll: told what a poll saw, it says after how many seconds it polls again."""

    def wait_s(self, window: Sequence[float], new: Sequence[float], now_s: float) -> float: ...


@dataclass
class Score:
    """What a way of polling cost and found: delays in seconds, of entries that were not lost."""

    polls: int = 0
    days: float = 0.0
    lost: int = 0
    delays: list[float] = field(default_factory=list)

    @property
    def polls_per_day(self) -> float:
        return self.polls / self.days

    def percentile_s(self, share: float) -> float:
        """Return a nearest-rank percentile; a lost entry was never detected."""
        ordered = sorted(self.delays) + [float("inf")] * self.lost
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def replay(feed: Feed, poller: Poller) -> Score:
    """Poll one feed from its start to its end."""
    score = Score(days=feed.days)
    seen = bisect_right(feed.moments, feed.start_s)
    window = feed.moments[max(0, seen - WINDOW) : seen]
    now_s = feed.start_s + poller.wait_s(window, window, feed.start_s)
    while now_s < feed.end_s:
        score.polls += 1
        upto = bisect_right(feed.moments, now_s, seen)
        first = max(seen, upto - WINDOW)
        score.lost += first - seen
        new = feed.moments[first:upto]
        score.delays += [now_s - moment for moment in new]
        seen = upto
        now_s += poller.wait_s(feed.moments[max(0, upto - WINDOW) : upto], new, now_s)
    return score


def replay_all(feeds: Iterable[Feed], make: Callable[[], Poller]) -> dict[str, Score]:
    """Return a score for each kind of feed, and for all under ""."""
    scores: dict[str, Score] = {}
    for feed in feeds:
        one = replay(feed, make())
        for kind in ("", feed.kind):
            into = scores.setdefault(kind, Score())
            into.polls += one.polls
            into.days += one.days
            into.lost += one.lost
            into.delays += one.delays
    return scores


@dataclass
class Fixed:
    """The same interval for every feed."""

    interval_s: float

    def wait_s(self, window: Sequence[float], new: Sequence[float], now_s: float) -> float:
        return self.interval_s


class Miniflux:
    """Miniflux 2.2's ``entry_frequency`` scheduler with its defaults.

    ``interval = week / (weekly_count * factor)``, at least 5 minutes, at most 24
    hours, factor 1; 24 hours where the count is 0. The count is virtual: a week over
    the mean gap of the last week's stored entries, rounded up; 0 for fewer than two.
    Source: ``ScheduleNextCheck`` in internal/model/feed.go, ``WeeklyFeedEntryCount``
    in internal/storage/feed.go of miniflux/v2.
    """

    def __init__(self) -> None:
        self.stored: list[float] = []

    def wait_s(self, window: Sequence[float], new: Sequence[float], now_s: float) -> float:
        self.stored = [one for one in self.stored if one >= now_s - WEEK_S] + [
            one for one in new if one >= now_s - WEEK_S
        ]
        span_s = self.stored[-1] - self.stored[0] if len(self.stored) > 1 else 0.0
        if span_s <= 0:
            return DAY_S
        weekly = -(-WEEK_S * (len(self.stored) - 1) // span_s)
        return min(max(WEEK_S / weekly, 5 * MINUTE_S), DAY_S)


class CommaFeed:
    """CommaFeed's empirical interval with its defaults, 5 minutes and 4 hours.

    The newest entry is 30 days old: the longest interval; 14 days: a half of it; 7
    days: a quarter; else half the mean gap of the entries in the feed, between the
    shortest interval and a quarter of the longest. Source: ``onFetchSuccess`` in
    FeedRefreshIntervalCalculator.java, ``averageTimeBetweenEntries`` in
    FeedParser.java of Athou/commafeed; defaults since 5.6.0, its CHANGELOG.
    """

    shortest_s, longest_s = 5 * MINUTE_S, 4 * HOUR_S

    def wait_s(self, window: Sequence[float], new: Sequence[float], now_s: float) -> float:
        if not window:
            return self.longest_s
        idle_days = (now_s - window[-1]) // DAY_S
        for days, divisor in ((30, 1), (14, 2), (7, 4)):
            if idle_days >= days:
                return self.longest_s / divisor
        if len(window) == 1:
            return self.longest_s
        mean_s = (window[-1] - window[0]) / (len(window) - 1)
        return min(max(mean_s / 2, self.shortest_s), self.longest_s / 4)


class Rhythm:
    """Ours: the history remembers, `next_poll_at` decides; nothing else is told to it."""

    def __init__(self, bounds: PollBounds) -> None:
        self.bounds = bounds
        self.history = FeedHistory()

    def wait_s(self, window: Sequence[float], new: Sequence[float], now_s: float) -> float:
        now = datetime.fromtimestamp(now_s, UTC)
        moments = [datetime.fromtimestamp(one, UTC) for one in new]
        first = self.history.polls == 0
        self.history = observed(self.history, moments, polled_at=now, first=first)
        due_at = next_poll_at(
            self.history,
            now=now,
            hints=PollHints(),
            bounds=self.bounds,
            priority=3,
            expected_event=False,
            failures=0,
            jitter=(self.history.polls * 0.618) % 1.0,
        )
        return (due_at - now).total_seconds()
