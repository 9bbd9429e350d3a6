"""Durations summed up as percentiles, in bounded memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_SAMPLES = 4096  # a percentile of 4,096 evenly thinned samples is within about 1.5 ranks


def in_words(seconds: float) -> str:
    """Return a length of time in its largest unit, such as "1.5 h"."""
    for unit, length_s in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length_s:
            return f"{seconds / length_s:.1f} {unit}"
    return f"{seconds:.0f} s"


class Durations:
    """Samples in seconds, thinned evenly once there are more than `MOST_SAMPLES`.

    Of a long series every second, then every fourth, … sample is kept: the
    choice depends on order alone, so that a run can be repeated exactly.
    """

    def __init__(self) -> None:
        self._samples: list[float] = []
        self._stride = 1
        self._skipped = 0

    def add(self, seconds: float) -> None:
        """Take one sample."""
        self._skipped += 1
        if self._skipped < self._stride:
            return
        self._skipped = 0
        self._samples.append(seconds)
        if len(self._samples) > MOST_SAMPLES:
            self._samples = self._samples[::2]
            self._stride *= 2

    def summary(self) -> dict[str, float]:
        """Return p50, p95 and p99 in seconds; empty without samples."""
        return percentiles(self._samples)


def percentiles(samples: Sequence[float]) -> dict[str, float]:
    """Return p50, p95 and p99 of `samples` by the nearest-rank rule; {} for none."""
    if not samples:
        return {}
    ordered = sorted(samples)
    ranks = {f"p{percent}": -(-len(ordered) * percent // 100) for percent in (50, 95, 99)}
    return {name: round(ordered[rank - 1], 6) for name, rank in ranks.items()}
