"""The level in memory: least recently used goes first, bounded in bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tgecrawler.cache.entry import Entry
    from tgecrawler.cache.level import Gone, Key

OVERHEAD_BYTES = 700
"""What Python needs for an entry beside its value, meta, key and tags; see bench_cache.py."""

TAG_OVERHEAD_BYTES = 60
LARGEST_SHARE = 0.25  # of the bound that one entry may take


class MemoryLevel:
    """Entries of this process. Safe for threads; every method takes microseconds.

    Expired entries stay until the bound drives them out, since they can still be
    asked for by their validators. `used_bytes` never exceeds `most_bytes`; 0
    keeps nothing.
    """

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self.used_bytes = 0
        self.evictions = 0
        self.generation = 0  # grows whenever something is dropped on purpose
        self._entries: OrderedDict[Key, Entry] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Key) -> Entry | None:
        """Return the entry, fresh or not; it counts as just used."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is not None:
                self._entries.move_to_end(key)
            return entry

    def put(self, key: Key, entry: Entry, *, generation: int | None = None) -> None:
        """Keep an entry in place of an older one, and let go what no longer fits.

        Args:
            generation: where given, nothing is kept if something was dropped since:
                the entry was read elsewhere meanwhile, and may be what was dropped.
        """
        size = size_of(key, entry)
        with self._lock:
            if generation is not None and generation != self.generation:
                return
            self._remove(key)
            if size > self.most_bytes * LARGEST_SHARE:
                return
            self._entries[key] = entry
            self.used_bytes += size
            while self.used_bytes > self.most_bytes:
                self._remove(next(iter(self._entries)))
                self.evictions += 1

    def drop(self, gone: Gone) -> int:
        """Drop what an announcement names; return how many entries that were."""
        if gone.key is not None and gone.tier is not None:
            return self._drop_keys([(gone.tier, gone.key)])
        return self._drop_where(
            lambda key, entry: (
                (gone.tier is None or key[0] == gone.tier)
                and (gone.tag is None or gone.tag in entry.tags)
            )
        )

    def _drop_where(self, named: Callable[[Key, Entry], bool]) -> int:
        # rare, and 100 MB hold some 10,000 pages: a walk costs less than an index of tags
        with self._lock:
            wanted = [key for key, entry in self._entries.items() if named(key, entry)]
        return self._drop_keys(wanted)

    def _drop_keys(self, keys: list[Key]) -> int:
        with self._lock:
            self.generation += 1
            return sum(self._remove(key) for key in keys)

    def _remove(self, key: Key) -> bool:
        entry = self._entries.pop(key, None)
        if entry is None:
            return False
        self.used_bytes -= size_of(key, entry)
        return True


def size_of(key: Key, entry: Entry) -> int:
    """Return about how many bytes of memory an entry takes."""
    tags = sum(len(tag) + TAG_OVERHEAD_BYTES for tag in entry.tags)
    # a text of other alphabets takes up to four bytes a character
    name = len(key[1]) if key[1].isascii() else 4 * len(key[1])
    return len(entry.value) + len(entry.meta) + name + tags + OVERHEAD_BYTES
