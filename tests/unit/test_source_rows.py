from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from tgecrawler.extensions.source_rows import merge
from tgecrawler.storage.records import SettledBody, SourceHealth

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
BASE = SourceHealth(slug="acme", url="https://acme.example/rss", owner="acme", tier=1)
FAILED = replace(
    BASE,
    polls=1,
    last_error="HTTP 500",
    last_error_at=NOW,
    consecutive_failures=1,
    next_poll_at=NOW,
)


def test_counts_add_up_and_the_later_word_counts() -> None:
    read = replace(BASE, polls=1, not_modified=1, last_success_at=NOW, history="{}")
    later = replace(read, last_success_at=NOW + timedelta(hours=1), history="{1}")
    merged = merge(read, later)
    assert (merged.polls, merged.not_modified, merged.history) == (2, 2, "{1}")
    assert merged.last_success_at == NOW + timedelta(hours=1)


def test_what_is_not_learnt_later_stays() -> None:
    settled = replace(BASE, settled=SettledBody("1abc", '"1"'), unsettled_polls=0)
    merged = merge(settled, FAILED)
    assert (merged.settled, merged.unsettled_polls) == (SettledBody("1abc", '"1"'), 0)
    assert (merged.last_error, merged.next_poll_at) == ("HTTP 500", NOW)


def test_failures_add_up_until_a_success() -> None:
    twice = merge(FAILED, FAILED)
    assert twice.consecutive_failures == 2
    mended = merge(twice, replace(BASE, last_success_at=NOW))
    assert (mended.consecutive_failures, mended.last_error) == (0, "HTTP 500")
    again = merge(mended, FAILED)
    assert (again.consecutive_failures, again.last_success_at) == (1, NOW)
