"""Percentiles out of buckets, against the exact ones."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tgecrawler.domain.histogram import LONGEST_S, RELATIVE_ERROR, SHORTEST_S, Histogram

PERCENTS = (1, 50, 95, 99, 100)


def filled(samples: list[float]) -> Histogram:
    histogram = Histogram()
    for sample in samples:
        histogram.add(sample)
    return histogram


def exact(samples: list[float], percent: int) -> float:
    return sorted(samples)[-(-len(samples) * percent // 100) - 1]


@given(st.lists(st.floats(SHORTEST_S, LONGEST_S), min_size=1, max_size=200))
def test_percentiles_are_within_the_stated_error(samples: list[float]) -> None:
    histogram = filled(samples)
    assert histogram.count == len(samples)
    for percent in PERCENTS:
        allowed = pytest.approx(exact(samples, percent), rel=RELATIVE_ERROR * (1 + 1e-9))
        assert histogram.percentile(percent) == allowed


def test_a_long_tail() -> None:
    rng = random.Random(1)
    samples = [rng.lognormvariate(-6, 1.5) for _ in range(50_000)]
    histogram = filled(samples)
    for percent in PERCENTS:
        assert histogram.percentile(percent) == pytest.approx(
            exact(samples, percent), rel=RELATIVE_ERROR * (1 + 1e-9)
        )


@pytest.mark.parametrize(
    ("sample", "told"), [(0.0, SHORTEST_S), (-1.0, SHORTEST_S), (1e9, LONGEST_S)]
)
def test_what_lies_beyond_is_told_as_the_bound(sample: float, told: float) -> None:
    assert filled([sample]).percentile(50) == pytest.approx(told, rel=RELATIVE_ERROR * (1 + 1e-9))


def test_nothing() -> None:
    assert Histogram().percentile(50) == 0.0
