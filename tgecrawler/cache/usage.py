"""What happened since the shared level was last told, and the figures of this process."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from tgecrawler.cache.level import Usage

if TYPE_CHECKING:
    from tgecrawler.cache.level import Key

MOST_WAITING = 512
"""Uses and look-ups after which the shared level is told: one write for many look-ups."""

# Upper ends of the classes of a duration, in microseconds: 12 % apart, up to a second.
_BOUNDS_US = [1.12**step for step in range(-6, 123)]
_NS_PER_US = 1_000


class UsageLog:
    """Gathers uses and counts for the shared level. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._uses: dict[Key, tuple[int, float]] = {}
        self._counts: Counter[tuple[str, str]] = Counter()
        self._waiting = 0

    def used(self, key: Key, now_s: float) -> None:
        """Note that an entry was used."""
        with self._lock:
            self._uses[key] = (self._uses.get(key, (0, 0.0))[0] + 1, now_s)

    def count(self, tier: str, name: str, number: float = 1.0) -> bool:
        """Add to a count; return whether it is time to tell the shared level."""
        with self._lock:
            self._counts[tier, name] += number  # type: ignore[assignment]
            self._waiting += 1
            return self._waiting >= MOST_WAITING

    def take(self) -> Usage:
        """Return what was gathered, and begin anew."""
        with self._lock:
            usage = Usage(self._uses, dict(self._counts))
            self._uses, self._counts, self._waiting = {}, Counter(), 0
            return usage


class Durations:
    """Counts durations in classes, so that percentiles need no list of them all."""

    def __init__(self) -> None:
        self._counts = [0] * (len(_BOUNDS_US) + 1)

    def add(self, taken_ns: int) -> None:
        self._counts[bisect_left(_BOUNDS_US, taken_ns / _NS_PER_US)] += 1

    def percentile_us(self, percent: float) -> float:
        """Return the upper end of the class that holds it; at most 12 % too high."""
        wanted = sum(self._counts) * percent / 100
        reached = 0
        for bound, count in zip(_BOUNDS_US, self._counts, strict=False):
            reached += count
            if count and reached >= wanted:
                return round(bound, 1)
        return round(_BOUNDS_US[-1], 1) if any(self._counts) else 0.0


class Figures:
    """Look-ups of this process, by tier. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers: dict[str, Counter[str]] = defaultdict(Counter)
        self._durations: dict[str, Durations] = defaultdict(Durations)

    def looked_up(self, tier: str, name: str, taken_ns: int) -> None:
        """Count a look-up as one of "hits" or "misses"."""
        with self._lock:
            self._numbers[tier][name] += 1
            self._durations[tier].add(taken_ns)

    def add(self, tier: str, name: str) -> None:
        """Count something else."""
        with self._lock:
            self._numbers[tier][name] += 1

    def as_report(self) -> dict[str, dict[str, float]]:
        """Return the figures of each tier that was used, as in the run report."""
        with self._lock:
            return {tier: self._row(tier) for tier in sorted(self._numbers)}

    def _row(self, tier: str) -> dict[str, float]:
        numbers, durations = self._numbers[tier], self._durations[tier]
        row: dict[str, float] = {
            name: numbers[name] for name in ("hits", "misses", "revalidated", "changed")
        }
        return row | {
            "hit_ratio": hit_ratio(numbers["hits"], numbers["misses"], numbers["revalidated"]),
            "lookup_us_p50": durations.percentile_us(50),
            "lookup_us_p99": durations.percentile_us(99),
        }


def hit_ratio(hits: float, misses: float, revalidated: float) -> float:
    """Return the share of look-ups that needed no body: hits, and misses that a 304 answered."""
    looked_up = hits + misses
    return round((hits + revalidated) / looked_up, 4) if looked_up else 0.0
