"""Which source is due when, within one process."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


class FeedClock:
    """The next poll of each source; a source has one, and the last word counts."""

    def __init__(self) -> None:
        self._at: dict[str, datetime] = {}
        self._heap: list[tuple[datetime, str]] = []

    def schedule(self, slug: str, at: datetime) -> None:
        """Set when a source is due next."""
        self._at[slug] = at
        heapq.heappush(self._heap, (at, slug))

    def take_due(self, now: datetime) -> list[str]:
        """Return the sources that are due, the longest overdue first; each once."""
        due: list[str] = []
        while (first := self._first()) is not None and first[0] <= now:
            heapq.heappop(self._heap)
            del self._at[first[1]]
            due.append(first[1])
        return due

    def next_at(self) -> datetime | None:
        """Return when the next source is due; None where none is scheduled."""
        first = self._first()
        return first[0] if first is not None else None

    def __len__(self) -> int:
        return len(self._at)

    def _first(self) -> tuple[datetime, str] | None:
        """Return the earliest entry that still holds, having dropped those before it."""
        while self._heap and self._at.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0] if self._heap else None
