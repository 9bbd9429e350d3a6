"""When a batch is due: by size or by the age of its oldest row."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar

Row = TypeVar("Row")


@dataclass
class PendingRows(Generic[Row]):
    """Rows that wait to be written together.

    `most_rows` makes it full, `longest_wait_s` makes it due. Moments are in
    seconds of any one monotonic clock, and are arguments.
    """

    most_rows: int
    longest_wait_s: float
    rows: list[Row] = field(default_factory=list)
    _oldest_at: list[float] = field(default_factory=list)

    def add(self, row: Row, now_s: float) -> None:
        """Take a row that arrived at `now_s`."""
        self.rows.append(row)
        self._oldest_at.append(now_s)

    def wait_s(self, now_s: float) -> float | None:
        """Return how long until it is due: 0 = now, None = it is empty."""
        if not self.rows:
            return None
        if len(self.rows) >= self.most_rows:
            return 0.0
        return max(0.0, self._oldest_at[0] + self.longest_wait_s - now_s)

    def take(self) -> list[Row]:
        """Remove and return the oldest rows, at most `most_rows`."""
        taken = self.rows[: self.most_rows]
        self.rows = self.rows[self.most_rows :]
        self._oldest_at = self._oldest_at[self.most_rows :]
        return taken
