from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tgecrawler.domain.batching import PendingRows


def test_nothing_waits_in_an_empty_batch() -> None:
    assert PendingRows(most_rows=3, longest_wait_s=2).wait_s(100.0) is None


def test_the_oldest_row_makes_it_due() -> None:
    rows: PendingRows[str] = PendingRows(most_rows=3, longest_wait_s=2)
    rows.add("a", 10.0)
    rows.add("b", 11.5)
    assert rows.wait_s(11.5) == 0.5
    assert rows.wait_s(13.0) == 0.0


def test_size_makes_it_due_at_once() -> None:
    rows: PendingRows[str] = PendingRows(most_rows=2, longest_wait_s=2)
    for row in "abc":
        rows.add(row, 10.0)
    assert rows.wait_s(10.0) == 0.0
    assert rows.take() == ["a", "b"]
    assert rows.wait_s(10.5) == 1.5
    assert rows.take() == ["c"]
    assert rows.wait_s(10.5) is None


@given(st.lists(st.integers()), st.integers(1, 5))
def test_every_row_comes_out_once_and_in_order(values: list[int], most: int) -> None:
    rows: PendingRows[int] = PendingRows(most_rows=most, longest_wait_s=1)
    for moment, value in enumerate(values):
        rows.add(value, float(moment))
    taken: list[int] = []
    while batch := rows.take():
        assert len(batch) <= most
        taken += batch
    assert taken == values
