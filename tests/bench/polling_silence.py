"""How often a living feed is called stale, and how soon one that stopped is."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from polling_replay import DAY_S, HOUR_S, WINDOW, Feed

from tgecrawler.domain.feed_history import FeedHistory, observed, usual_gap_s
from tgecrawler.domain.feed_rhythm import is_stale

MONTH_DAYS = 30.0
WATCHED_DAYS = 365.0  # a feed that stopped is watched so long


def false_alarms_per_month(feeds: Sequence[Feed]) -> float:
    """Return how often, per feed and month, silence was called stale and an entry came after it."""
    alarms = sum(_false_alarms(feed) for feed in feeds)
    return alarms / (sum(feed.days for feed in feeds) / MONTH_DAYS)


def _false_alarms(feed: Feed) -> int:
    alarms, before = 0, False
    for now_s, history in _hourly(feed):
        stale = now_s < feed.moments[-1] and is_stale(history, datetime.fromtimestamp(now_s, UTC))
        alarms += stale and not before
        before = stale
    return alarms


def silences_until_alarm(feeds: Sequence[Feed]) -> Iterator[tuple[float, float]]:
    """Yield for feeds frozen in the middle of their time: usual gap, silence at the alarm, in s.

    The silence is infinite where no alarm came within `WATCHED_DAYS`.
    """
    for feed in feeds:
        middle_s = (feed.start_s + feed.end_s) / 2
        kept = feed.moments[: bisect_right(feed.moments, middle_s)]
        frozen = replace(feed, moments=kept, end_s=middle_s + WATCHED_DAYS * DAY_S)
        for now_s, history in _hourly(frozen):
            gap_s = usual_gap_s(history)
            if gap_s is None:
                break
            if now_s > middle_s and is_stale(history, datetime.fromtimestamp(now_s, UTC)):
                yield gap_s, now_s - kept[-1]
                break
        else:
            yield gap_s or 0.0, float("inf")


def _hourly(feed: Feed) -> Iterator[tuple[float, FeedHistory]]:
    """Yield the history after each of hourly polls."""
    history, seen, now_s = FeedHistory(), 0, feed.start_s
    while now_s < feed.end_s:
        upto = bisect_right(feed.moments, now_s)
        new = feed.moments[max(seen, upto - WINDOW) : upto]
        moments = [datetime.fromtimestamp(one, UTC) for one in new]
        now = datetime.fromtimestamp(now_s, UTC)
        history = observed(history, moments, polled_at=now, first=history.polls == 0)
        yield now_s, history
        seen, now_s = upto, now_s + HOUR_S
