from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tgecrawler.scheduling.feed_clock import FeedClock

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def test_what_is_due_comes_once_the_longest_overdue_first() -> None:
    clock = FeedClock()
    clock.schedule("late", NOW - MINUTE)
    clock.schedule("now", NOW)
    clock.schedule("later", NOW + MINUTE)
    assert clock.take_due(NOW) == ["late", "now"]
    assert clock.take_due(NOW) == []
    assert clock.next_at() == NOW + MINUTE
    assert len(clock) == 1


def test_the_last_word_counts() -> None:
    clock = FeedClock()
    clock.schedule("feed", NOW)
    clock.schedule("feed", NOW + MINUTE)
    assert clock.take_due(NOW) == []
    clock.schedule("feed", NOW - MINUTE)
    assert clock.next_at() == NOW - MINUTE
    assert clock.take_due(NOW + 2 * MINUTE) == ["feed"]
    assert clock.next_at() is None


def test_memory_does_not_grow_with_polls() -> None:
    clock = FeedClock()
    for poll in range(10_000):
        clock.schedule("feed", NOW + poll * MINUTE)
        clock.take_due(NOW + poll * MINUTE)
    assert clock.next_at() is None
    assert len(clock._heap) == 0
