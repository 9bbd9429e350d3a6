from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tgecrawler.domain.freshness import AgeLimit

NOW = datetime(2026, 10, 12, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    ("limit", "age", "excluded"),
    [
        (AgeLimit(7), timedelta(days=7), False),
        (AgeLimit(7), timedelta(days=7, seconds=1), True),
        (AgeLimit(7), timedelta(days=-1), False),
        (AgeLimit(0), timedelta(days=4000), False),
        (AgeLimit(since=NOW - timedelta(days=30)), timedelta(days=29), False),
        (AgeLimit(7, since=NOW - timedelta(days=30)), timedelta(days=29), False),
        (AgeLimit(since=NOW - timedelta(days=30)), timedelta(days=31), True),
    ],
)
def test_age_limit(limit: AgeLimit, age: timedelta, excluded: bool) -> None:
    assert limit.excludes(NOW - age, NOW) is excluded


def test_an_entry_without_a_date_is_never_too_old() -> None:
    assert not AgeLimit(1).excludes(None, NOW)
    assert not AgeLimit(since=NOW).excludes(None, NOW)


def test_a_limit_says_what_it_is() -> None:
    """It is part of the version under which a verdict holds."""
    assert str(AgeLimit(7)) == "7d"
    assert str(AgeLimit(7, since=NOW)) == "since 2026-10-12"
