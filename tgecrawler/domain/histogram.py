"""Percentiles of durations in constant memory, with a bounded error."""

from __future__ import annotations

import math
from array import array

RELATIVE_ERROR = 0.01
"""How far a percentile may be from the exact one, as a part of it."""

SHORTEST_S, LONGEST_S = 1e-6, 1_000.0
"""What lies beyond is counted as one of these."""

# Source: Masson, Rim, Lee: DDSketch, VLDB 2019. A bucket's bounds are in this ratio, and the
# value that stands for it is as far from the one as from the other, in parts of each.
_RATIO = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
_LOG_RATIO = math.log(_RATIO)
_BUCKETS = math.ceil(math.log(LONGEST_S / SHORTEST_S) / _LOG_RATIO) + 1


class Histogram:
    """Durations in seconds, counted in buckets whose bounds grow geometrically: 8 kB."""

    __slots__ = ("_counts", "count")

    def __init__(self) -> None:
        self.count = 0
        self._counts = array("Q", bytes(8 * _BUCKETS))

    def add(self, seconds: float) -> None:
        """Count one duration."""
        within = min(max(seconds, SHORTEST_S), LONGEST_S)
        self._counts[int(math.log(within / SHORTEST_S) / _LOG_RATIO)] += 1
        self.count += 1

    def percentile(self, percent: int) -> float:
        """Return a percentile in seconds by the nearest-rank rule; 0.0 of nothing.

        Args:
            percent: from 1 to 100.
        """
        rank = -(-self.count * percent // 100)
        for bucket, count in enumerate(self._counts):
            rank -= count
            if rank <= 0 < count:
                return float(SHORTEST_S * _RATIO**bucket * 2 * _RATIO / (_RATIO + 1))
        return 0.0
