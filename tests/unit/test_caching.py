from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tgecrawler.domain.caching import (
    CHANGED_SHARE,
    FEWEST_CHECKS,
    MOST_CHECKS,
    ChangeHistory,
    adapted_ttl_s,
    change_rate,
)

HOUR_S = 3_600.0
BOUNDS = {"ttl_s": 600.0, "shortest_s": 60.0, "longest_s": 24 * HOUR_S}


def watched(gap_s: float, changes: list[bool]) -> ChangeHistory:
    history = ChangeHistory()
    for changed in changes:
        history = history.checked(gap_s, changed=changed)
    return history


def test_without_a_history_the_default_holds() -> None:
    few = watched(HOUR_S, [True] * (FEWEST_CHECKS - 1))
    assert change_rate(few) is None
    assert adapted_ttl_s(few, **BOUNDS) == 600.0


def test_what_always_changes_is_looked_at_more_often() -> None:
    assert 60.0 <= adapted_ttl_s(watched(600.0, [True] * 10), **BOUNDS) < 150.0


def test_what_never_changes_is_trusted_as_long_as_it_was_watched() -> None:
    assert adapted_ttl_s(watched(HOUR_S, [False] * 10), **BOUNDS) == 10 * HOUR_S
    assert adapted_ttl_s(watched(HOUR_S, [False] * 40), **BOUNDS) == BOUNDS["longest_s"]
    # asked ten times within a minute, it has shown nothing about ten minutes
    assert adapted_ttl_s(watched(6.0, [False] * 10), **BOUNDS) == 600.0


def test_the_default_too_stays_within_the_bounds() -> None:
    bounds = {"ttl_s": 10.0, "shortest_s": 60.0, "longest_s": 70.0}
    assert adapted_ttl_s(ChangeHistory(), **bounds) == 60.0
    with pytest.raises(ValueError, match="above"):
        adapted_ttl_s(ChangeHistory(), ttl_s=1.0, shortest_s=3.0, longest_s=2.0)


@given(
    st.lists(st.tuples(st.floats(-100, 1e6), st.booleans()), max_size=200),
    st.floats(1, 1e6),
)
def test_every_history_leads_to_a_time_within_the_bounds(
    looks: list[tuple[float, bool]], ttl_s: float
) -> None:
    history = ChangeHistory()
    for gap_s, changed in looks:
        history = history.checked(gap_s, changed=changed)
    assert history.checks <= MOST_CHECKS + 1
    assert history.changes <= history.checks
    assert 60.0 <= adapted_ttl_s(history, ttl_s=ttl_s, shortest_s=60.0, longest_s=1e5) <= 1e5


@pytest.mark.parametrize("gap_s", [300.0, 1800.0, 7200.0])
def test_the_rate_of_random_changes_is_found(gap_s: float) -> None:
    """One change an hour, looked at every 5, 30 and 120 minutes: the plain share would be low."""
    rng = random.Random(7)
    history = ChangeHistory()
    rates = []
    for _ in range(4_000):
        changed = rng.random() < 1 - math.exp(-gap_s / HOUR_S)
        history = history.checked(gap_s, changed=changed)
        if (rate := change_rate(history)) is not None:
            rates.append(rate)
    assert sum(rates) / len(rates) == pytest.approx(1 / HOUR_S, rel=0.15)


def test_the_time_leaves_the_promised_share_outdated() -> None:
    """With times from its own history, a copy is outdated at its end in about that share."""
    rng = random.Random(11)
    history, outdated, looks = ChangeHistory(), 0, 3_000
    for _ in range(looks):
        ttl_s = adapted_ttl_s(history, **BOUNDS)
        changed = rng.random() < 1 - math.exp(-ttl_s / HOUR_S)
        history = history.checked(ttl_s, changed=changed)
        outdated += changed
    assert outdated / looks == pytest.approx(CHANGED_SHARE, abs=0.08)


def test_what_was_long_ago_is_forgotten() -> None:
    history = watched(600.0, [True] * 200)
    busy_s = adapted_ttl_s(history, **BOUNDS)
    for _ in range(200):
        history = history.checked(600.0, changed=False)
    assert adapted_ttl_s(history, **BOUNDS) > 10 * busy_s
