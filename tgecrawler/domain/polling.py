"""When a feed is polled next: by its rhythm, within bounds, and never before its server allows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from tgecrawler.domain.feed_rhythm import entries_per_s

if TYPE_CHECKING:
    from tgecrawler.domain.feed_history import FeedHistory

DAY_S = 86_400.0
STEP_S = 900.0
EXPONENT = 0.5
CAP = 1.0

WEIGHTS = {1: 4.0, 2: 2.0, 3: 1.0, 4: 0.5}


@dataclass(frozen=True, slots=True)
class PollBounds:
    shortest_s: float = 60.0
    longest_s: float = DAY_S
    effort_s: float = 600.0


def rhythm_interval_s(
    history: FeedHistory, *, now: datetime, weight: float, bounds: PollBounds
) -> float:
    done, waited_s = 0.0, 0.0
    unit = bounds.effort_s ** (1 - EXPONENT)
    to_hour_s = 3600.0 - (now.minute * 60 + now.second)
    step_s = min(STEP_S, to_hour_s)
    while waited_s < bounds.longest_s:
        at = now + timedelta(seconds=waited_s + step_s / 2)
        lam = entries_per_s(history, at, now=now)
        per_s = max(lam * CAP, (weight * lam) ** EXPONENT / unit)
        if done + per_s * step_s >= 1:
            return waited_s + (1 - done) / per_s
        done += per_s * step_s
        waited_s += step_s
        step_s = (
            STEP_S
            if (to_hour_s - waited_s) % 3600 == 0
            else min(STEP_S, (to_hour_s - waited_s) % 3600)
        )
    return bounds.longest_s


@dataclass(frozen=True, slots=True)
class PollHints:
    ttl_s: float | None = None
    skip_hours: frozenset[int] = frozenset()
    skip_days: frozenset[int] = frozenset()
    max_age_s: float | None = None
    not_before_at: datetime | None = None


def next_poll_at(history, *, now, hints, bounds, priority, expected_event, failures, jitter):
    i = rhythm_interval_s(history, now=now, weight=WEIGHTS[priority], bounds=bounds)
    return now + timedelta(
        seconds=min(
            bounds.longest_s,
            max(bounds.shortest_s, i * (1 - 0.1 * jitter)) * 2 ** min(failures, 12),
        )
    )
