from __future__ import annotations

from dataclasses import dataclass, field

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


def test_what_gathers_during_a_slow_commit_is_due_when_it_ends() -> None:
    rows: PendingRows[str] = PendingRows(most_rows=500, longest_wait_s=2, most_taken=2_000)
    rows.add("a", 12.9)
    rows.committed(took_s=3.0)
    assert rows.wait_s(13.0) == 0.0
    assert rows.take() == ["a"]
    rows.add("b", 13.0)
    assert rows.wait_s(13.0) == 2.0


def test_a_few_rows_during_a_quick_commit_wait_for_more() -> None:
    rows: PendingRows[str] = PendingRows(most_rows=500, longest_wait_s=2)
    rows.add("a", 10.0)
    rows.committed(took_s=0.01)
    assert rows.wait_s(10.0) == 2.0


def test_many_rows_during_a_quick_commit_do_not() -> None:
    rows: PendingRows[int] = PendingRows(most_rows=100, longest_wait_s=2)
    for number in range(10):
        rows.add(number, 10.0)
    rows.committed(took_s=0.01)
    assert rows.wait_s(10.0) == 0.0


def test_rows_that_could_not_be_written_come_first_again() -> None:
    rows: PendingRows[str] = PendingRows(most_rows=2, longest_wait_s=2)
    rows.add("c", 10.0)
    rows.put_back(["a", "b"], 10.0)
    assert rows.take() == ["a", "b"]
    assert rows.take() == ["c"]


@given(st.lists(st.integers()), st.integers(1, 5), st.integers(0, 9))
def test_every_row_comes_out_once_and_in_order(
    values: list[int], most: int, most_taken: int
) -> None:
    rows: PendingRows[int] = PendingRows(most, longest_wait_s=1, most_taken=most_taken)
    for moment, value in enumerate(values):
        rows.add(value, float(moment))
    taken: list[int] = []
    while batch := rows.take():
        assert len(batch) <= max(most, most_taken)
        taken += batch
    assert taken == values


@dataclass
class Crawl:
    """Rows that arrive evenly, and one writer with commits of a fixed length; no real second."""

    per_s: float
    commit_s: float
    rows: PendingRows[float]
    commits: list[int] = field(default_factory=list)
    delays_s: list[float] = field(default_factory=list)

    def run(self, lasts_s: float) -> None:
        """Let it go on for so long; rows that are written have a place in `delays_s`."""
        now_s, arrived = 0.0, 0
        while now_s < lasts_s:
            arrived = self._let_arrive(arrived, now_s)
            wait_s = self.rows.wait_s(now_s)
            if wait_s:
                # the clock jumps to the next arrival or the next batch, whatever is first
                now_s = min(now_s + wait_s, (arrived + 1) / self.per_s)
                continue
            if wait_s is None:
                now_s = (arrived + 1) / self.per_s
                continue
            batch = self.rows.take()
            now_s += self.commit_s
            arrived = self._let_arrive(arrived, now_s)
            self.rows.committed(self.commit_s)
            self.commits.append(len(batch))
            self.delays_s += [now_s - at_s for at_s in batch]

    def _let_arrive(self, arrived: int, now_s: float) -> int:
        while (arrived + 1) / self.per_s <= now_s:
            arrived += 1
            self.rows.add(arrived / self.per_s, arrived / self.per_s)
        return arrived


def crawl(per_s: float, commit_s: float, lasts_s: float = 120.0) -> Crawl:
    run = Crawl(per_s, commit_s, PendingRows(500, 2.0, most_taken=2_000))
    run.run(lasts_s)
    return run


def test_a_slow_database_keeps_up_by_larger_batches() -> None:
    slow = crawl(per_s=300, commit_s=3.0)
    assert len(slow.delays_s) > 0.9 * 300 * 120
    assert max(slow.commits) > 500


def test_a_slow_database_is_never_idle_under_load() -> None:
    assert len(crawl(per_s=115, commit_s=3.0).commits) >= 120 / 3 - 1
    assert max(crawl(per_s=115, commit_s=0.3).delays_s[500:]) < 0.7


def test_a_quiet_crawl_goes_on_in_batches_by_age() -> None:
    quiet = crawl(per_s=5, commit_s=0.01)
    assert min(quiet.commits) >= 10
    assert max(quiet.delays_s) < 2.1
