"""When rows are written together: by size, by age, and at once under load.

Group commit: one writer takes what has gathered. While it commits, rows gather,
and the slower the database, the more of them the next batch holds; so the rate
adapts to it by itself. A timer that ran on after such a commit would only leave
the database idle.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

Row = TypeVar("Row")

LOAD_SHARE = 1 / 10
"""Of a full batch, or of the longest wait: what a commit must bring or take to count as load.

Without a bound a fast database would be asked for a commit by every few rows, and each takes
some 10 ms of a processor that reads pages as well. With this one, group commit takes up to a
tenth more of it than timed batches do; see ``bench_storage_commits``.
"""


@dataclass
class PendingRows(Generic[Row]):
    """Rows that wait to be written together.

    `most_rows` make a batch due, as does an oldest row that waits for
    `longest_wait_s`. A batch takes all that has gathered, up to `most_taken`.
    Moments are in seconds of any one monotonic clock, and are arguments.
    """

    most_rows: int
    longest_wait_s: float
    most_taken: int = 0
    rows: list[Row] = field(default_factory=list)
    _arrived_s: list[float] = field(default_factory=list)
    _due_at_once: int = 0

    def __post_init__(self) -> None:
        self.most_taken = max(self.most_taken, self.most_rows)

    def add(self, row: Row, now_s: float) -> None:
        """Take a row that arrived at `now_s`."""
        self.rows.append(row)
        self._arrived_s.append(now_s)

    def wait_s(self, now_s: float) -> float | None:
        """Return how long until a batch is due: 0 = now, None = there is none."""
        if not self.rows:
            return None
        if self._due_at_once or len(self.rows) >= self.most_rows:
            return 0.0
        return max(0.0, self._arrived_s[0] + self.longest_wait_s - now_s)

    def take(self) -> list[Row]:
        """Remove and return the oldest rows, at most `most_taken`."""
        taken = self.rows[: self.most_taken]
        self.rows = self.rows[self.most_taken :]
        self._arrived_s = self._arrived_s[self.most_taken :]
        self._due_at_once = max(0, self._due_at_once - len(taken))
        return taken

    def put_back(self, rows: Sequence[Row], now_s: float) -> None:
        """Take rows back that could not be written; they are the oldest."""
        self.rows[:0] = rows
        self._arrived_s[:0] = [now_s] * len(rows)

    def committed(self, took_s: float) -> None:
        """Note the end of a commit: under load, what gathered meanwhile is due at once."""
        enough = len(self.rows) >= LOAD_SHARE * self.most_rows
        slow = took_s >= LOAD_SHARE * self.longest_wait_s
        self._due_at_once = len(self.rows) if enough or slow else 0
