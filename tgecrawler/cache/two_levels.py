"""Entries in memory over the shared level: one finds, keeps and drops in both."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from tgecrawler.cache.entry import pack_body, pack_head
from tgecrawler.cache.guarded import GuardedLevel
from tgecrawler.cache.level import Gone, Stored
from tgecrawler.cache.memory import MemoryLevel
from tgecrawler.cache.usage import UsageLog

if TYPE_CHECKING:
    from collections.abc import Callable

    from tgecrawler.cache.entry import Entry
    from tgecrawler.cache.level import Key, SharedLevel

HEAR_EVERY_S = 0.25
"""How often it is asked what other processes have dropped; so long a dropped entry may be seen."""


class TwoLevels:
    """Both levels as one; see `TieredCache` for what holds. `shared` may be None."""

    def __init__(
        self, shared: SharedLevel | None, memory_bytes: int, clock: Callable[[], float]
    ) -> None:
        self.memory = MemoryLevel(memory_bytes)
        self.shared = None if shared is None else GuardedLevel(shared, clock)
        self.usage = UsageLog()
        self._hear_at_s = 0.0
        self._hearing = threading.Lock()

    def find(self, key: Key, now_s: float, max_age_s: float | None = None) -> Entry | None:
        """Return the entry, fresh or not; what has expired in memory may be newer in the other."""
        self._hear(now_s)
        entry = self.memory.get(key)
        if entry is not None and entry.is_fresh(now_s, max_age_s):
            self.usage.used(key, now_s)
            return entry
        return self._newer(key, entry, now_s)

    def keep(self, key: Key, entry: Entry, gone_s: float, now_s: float) -> None:
        """Keep an entry in both levels; `gone_s` is when nobody has a use for it any more."""
        self.memory.put(key, entry)
        if self.shared is not None:
            stored = Stored(pack_head(entry), pack_body(entry.value), gone_s, entry.tags)
            self.shared.write(key, stored, now_s)

    def renew(self, key: Key, entry: Entry, gone_s: float, now_s: float) -> None:
        """Keep an entry whose value is stored already; the value is not written again."""
        if self.shared is None or self.shared.write_head(key, pack_head(entry), gone_s, now_s):
            self.memory.put(key, entry)
        else:
            self.keep(key, entry, gone_s, now_s)  # it was in this memory alone

    def drop(self, gone: Gone, now_s: float) -> int:
        """Drop what is named in both levels and in other processes; return how many."""
        if self.shared is None:
            return self.memory.drop(gone)
        shared = self.shared.drop(gone, now_s)
        # last, so that nobody brings back from there what is to go
        return max(self.memory.drop(gone), shared)

    def warm(self, limit: int, now_s: float) -> int:
        """Load the most used entries into memory, as many as fit; return how many that are."""
        if self.shared is None:
            return 0
        self._hear(now_s)
        before, evicted = len(self.memory), self.memory.evictions
        for key in self.shared.hottest(limit):
            self._newer(key, self.memory.get(key), now_s)
            if self.memory.evictions > evicted:
                break
        return len(self.memory) - before

    def flush(self) -> None:
        """Tell the shared level what was used and counted since it last heard of it."""
        usage = self.usage.take()
        if self.shared is not None and (usage.uses or usage.counts):
            self.shared.record(usage)

    def _newer(self, key: Key, entry: Entry | None, now_s: float) -> Entry | None:
        """Return the newer of an entry in memory, if any, and the shared one."""
        if self.shared is None:
            return entry
        generation = self.memory.generation
        found = self.shared.read(key, now_s)
        if found is None:
            return entry
        self.usage.used(key, now_s)
        if entry is not None and entry.checked_s >= found.checked_s:
            return entry
        self.memory.put(key, found, generation=generation)
        return found

    def _hear(self, now_s: float) -> None:
        if self.shared is None or 0 < self._hear_at_s - now_s <= HEAR_EVERY_S:
            return
        with self._hearing:
            self._hear_at_s = now_s + HEAR_EVERY_S
            for gone in self.shared.heard():
                self.memory.drop(gone)
