from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tgecrawler.domain.timing import MOST_SAMPLES, Durations, percentiles


def test_percentiles_by_nearest_rank() -> None:
    assert percentiles([]) == {}
    assert percentiles([3.0]) == {"p50": 3.0, "p95": 3.0, "p99": 3.0}
    assert percentiles(list(range(1, 101))) == {"p50": 50, "p95": 95, "p99": 99}


@given(st.lists(st.floats(0, 1e6), min_size=1))
def test_percentiles_are_ordered_samples(samples: list[float]) -> None:
    found = percentiles(samples)
    assert found["p50"] <= found["p95"] <= found["p99"]


def test_a_long_series_is_thinned_evenly() -> None:
    durations = Durations()
    count = 20 * MOST_SAMPLES
    for number in range(count):
        durations.add(number)
    summary = durations.summary()
    assert len(durations._samples) <= MOST_SAMPLES
    for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
        assert abs(summary[name] - share * count) < 0.01 * count
