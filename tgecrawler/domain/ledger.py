"""Double-entry book of entries: each one seen ends in exactly one outcome."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tgecrawler.items import Outcome


class Ledger:
    """Entries on their way, and what became of the others.

    `seen` counts entries as sources tell them; `outcomes` counts how they ended.
    An entry is closed once: a second close, or one of an entry that was never
    opened, changes no count and is kept in `faults` for the caller to be loud
    about.
    """

    def __init__(self) -> None:
        self.seen = 0
        self.outcomes: Counter[Outcome] = Counter()
        self.faults: list[str] = []
        self._open: set[str] = set()

    def open(self, entry_id: str) -> bool:
        """Count an entry as seen; return False where the same one is still on its way.

        Such a repetition is closed at once, as a duplicate.
        """
        self.seen += 1
        if entry_id in self._open:
            self.outcomes["duplicate"] += 1
            return False
        self._open.add(entry_id)
        return True

    def close(self, entry_id: str, outcome: Outcome) -> bool:
        """Book the outcome of an open entry; return False where it was not open."""
        if entry_id not in self._open:
            self.faults.append(f"{entry_id} closed as {outcome}, but is not open")
            return False
        self._open.remove(entry_id)
        self.outcomes[outcome] += 1
        return True

    def withdraw(self, entry_id: str) -> None:
        """Count an open entry as not seen: another process sees to it, and counts it."""
        self._open.remove(entry_id)
        self.seen -= 1

    def settle(self, outcome: Outcome, count: int = 1) -> None:
        """Book entries that are seen and decided in one go."""
        self.seen += count
        self.outcomes[outcome] += count

    def close_rest(self, outcome: Outcome) -> int:
        """Book every open entry; return how many there were."""
        rest = len(self._open)
        self._open.clear()
        self.outcomes[outcome] += rest
        return rest

    def is_open(self, entry_id: str) -> bool:
        """Return whether the entry still waits for its outcome."""
        return entry_id in self._open

    @property
    def balanced(self) -> bool:
        """Whether every entry seen is either open or in one outcome."""
        return self.seen == sum(self.outcomes.values()) + len(self._open)
