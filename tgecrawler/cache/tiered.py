"""The cache as its users see it: two levels, a table of tiers, and no errors of its own."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from tgecrawler.cache.entry import MOST_VALUE_BYTES, Entry, Hit
from tgecrawler.cache.flights import Flights
from tgecrawler.cache.level import Gone
from tgecrawler.cache.tiers import TIERS
from tgecrawler.cache.two_levels import TwoLevels
from tgecrawler.cache.usage import Figures
from tgecrawler.domain.caching import ChangeHistory, adapted_ttl_s

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from tgecrawler.cache.level import Key, SharedLevel
    from tgecrawler.cache.tiers import Tier


class TieredCache:
    """Values by tier and key: memory of this process over a level that processes share.

    Safe for threads. A shared level that is broken, full or not there is a miss
    and never an error; an unknown tier is a KeyError, since only we can be wrong
    about that. A value that another process has stored anew is seen when the
    copy in this one's memory expires; one that was dropped there, within
    `HEAR_EVERY_S`.

    Args:
        shared: None keeps everything in memory alone.
        memory_bytes: bound of the level in memory; 0 keeps nothing there.
        clock: returns Unix seconds.
    """

    def __init__(
        self,
        shared: SharedLevel | None,
        *,
        memory_bytes: int,
        tiers: Mapping[str, Tier] = TIERS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.tiers = tiers
        self.oversize = 0
        self._clock = clock
        self._levels = TwoLevels(shared, memory_bytes, clock)
        self._figures = Figures()
        self._flights = Flights()

    @property
    def is_cold(self) -> bool:
        """Whether nothing is in memory yet."""
        return len(self._levels.memory) == 0

    def get(self, tier: str, key: str) -> bytes | None:
        """Return a fresh value; None where there is none."""
        hit = self.lookup(tier, key)
        return hit.value if hit is not None and hit.fresh else None

    def lookup(self, tier: str, key: str, *, max_age_s: float | None = None) -> Hit | None:
        """Return what is stored, fresh or not; None where nothing is.

        Args:
            max_age_s: it is fresh only if it was checked more recently than that; 0
                finds nothing fresh. It never lengthens an entry's own time.
        """
        started_ns = time.perf_counter_ns()
        place = self._place(tier, key)
        now_s = self._clock()
        entry = self._levels.find(place, now_s, max_age_s)
        fresh = entry is not None and entry.is_fresh(now_s, max_age_s)
        name = "hits" if fresh else "misses"
        self._figures.looked_up(tier, name, time.perf_counter_ns() - started_ns)
        self._count(tier, name)
        return None if entry is None else Hit(entry, fresh)

    def set(
        self,
        tier: str,
        key: str,
        value: bytes,
        *,
        ttl_s: float | None = None,
        tags: tuple[str, ...] = (),
        meta: bytes = b"",
    ) -> None:
        """Store a value that was just fetched.

        Where this process holds an older entry of the key, that one tells whether
        the original has changed; from such a history the time is concluded.

        Args:
            ttl_s: how long it is good; None = by the tier and the history.
            tags: what it can be dropped by, with others.
            meta: what belongs to the value and may change without it, such as headers.
        """
        place = self._place(tier, key)
        now_s = self._clock()
        if len(value) + len(meta) > MOST_VALUE_BYTES:
            self.oversize += 1
            self.delete(tier, key)  # what is stored is outdated now
            return
        old = self._levels.memory.get(place)
        changed = old is None or old.value != value
        history = ChangeHistory()
        if old is not None:
            history = self._watched(tier, old, now_s, changed=changed)
        entry = Entry(
            value=value,
            stored_s=now_s if old is None or changed else old.stored_s,
            checked_s=now_s,
            expires_s=now_s + self._ttl_s(tier, history, ttl_s),
            meta=meta,
            tags=tuple(map(_sound, tags)),
            history=history,
        )
        self._levels.keep(place, entry, self._gone_s(tier, entry), now_s)

    def touch(
        self, tier: str, key: str, *, ttl_s: float | None = None, meta: bytes | None = None
    ) -> bool:
        """Let an entry's time begin anew, since its original was found to be the same.

        The body is not written again. Returns False where there is no entry any
        more: store the value then.

        Args:
            meta: takes the place of the old one where given.
        """
        place = self._place(tier, key)
        now_s = self._clock()
        old = self._levels.find(place, now_s)
        if old is None:
            return False
        history = self._watched(tier, old, now_s, changed=False)
        entry = replace(
            old,
            checked_s=now_s,
            expires_s=now_s + self._ttl_s(tier, history, ttl_s),
            meta=old.meta if meta is None else meta,
            history=history,
        )
        self._figures.add(tier, "revalidated")
        self._count(tier, "revalidated")
        self._levels.renew(place, entry, self._gone_s(tier, entry), now_s)
        return True

    def get_or_fetch(
        self,
        tier: str,
        key: str,
        fetch: Callable[[], bytes],
        *,
        ttl_s: float | None = None,
        tags: tuple[str, ...] = (),
    ) -> bytes:
        """Return a fresh value, fetched and stored where there is none.

        Of several threads that want it one fetches; what `fetch` raises reaches all.
        """
        found = self.get(tier, key)
        if found is not None:
            return found
        place = self._place(tier, key)

        def fetch_and_keep() -> bytes:
            # the flight before this one may have landed after the look above
            entry = self._levels.find(place, self._clock())
            if entry is not None and entry.is_fresh(self._clock()):
                return entry.value
            value = fetch()
            self.set(tier, key, value, ttl_s=ttl_s, tags=tags)
            return value

        return self._flights.share(place, fetch_and_keep)

    async def get_or_fetch_async(
        self,
        tier: str,
        key: str,
        fetch: Callable[[], Awaitable[bytes]],
        *,
        ttl_s: float | None = None,
        tags: tuple[str, ...] = (),
    ) -> bytes:
        """Return as `get_or_fetch` does; among the tasks of one event loop one fetches.

        The shared level is read and written in a thread.
        """

        async def find_or_fetch() -> bytes:
            found = await asyncio.to_thread(self.get, tier, key)
            if found is not None:
                return found
            value = await fetch()
            await asyncio.to_thread(self.set, tier, key, value, ttl_s=ttl_s, tags=tags)
            return value

        place = self._place(tier, key)
        entry = self._levels.memory.get(place)
        if entry is not None and entry.is_fresh(self._clock()):
            found = self.get(tier, key)
            if found is not None:
                return found
        return await self._flights.share_async(place, find_or_fetch)

    def delete(self, tier: str, key: str) -> bool:
        """Drop one entry, here and in the other processes; return whether there was one."""
        _, sound = self._place(tier, key)
        return self._drop(Gone(tier=tier, key=sound)) > 0

    def invalidate_tag(self, tag: str) -> int:
        """Drop every entry that bears a tag, here and in the other processes; return how many."""
        return self._drop(Gone(tag=_sound(tag)))

    def clear(self, tier: str | None = None) -> int:
        """Drop all entries, or those of a tier, here and in the other processes."""
        if tier is not None:
            self._tier(tier)
        return self._drop(Gone(tier=tier))

    def warm(self, limit: int) -> int:
        """Load the most used entries into memory, as many as fit; return how many that are."""
        return self._levels.warm(limit, self._clock())

    def stats(self) -> dict[str, object]:
        """Return what the run report says of the cache: a row for each tier, and sums."""
        memory, shared = self._levels.memory, self._levels.shared
        sums: dict[str, object] = {
            "memory_bytes": memory.used_bytes,
            "memory_entries": len(memory),
            "evictions": memory.evictions,
            "oversize": self.oversize,
        }
        if shared is not None:
            sums["shared_bytes"] = shared.used_bytes()
            sums["shared_evictions"] = shared.level.evictions
            sums["shared_failures"] = shared.failures
        return {**self._figures.as_report(), **sums}

    def flush(self) -> None:
        """Tell the shared level what was used and counted since it last heard of it."""
        self._levels.flush()

    def close(self) -> None:
        """Flush, and give connections back; the cache can be used again afterwards."""
        self.flush()
        if self._levels.shared is not None:
            self._levels.shared.close()

    def _drop(self, gone: Gone) -> int:
        return self._levels.drop(gone, self._clock())

    def _gone_s(self, tier: str, entry: Entry) -> float:
        return entry.expires_s + self._tier(tier).keep_s

    def _watched(self, tier: str, old: Entry, now_s: float, *, changed: bool) -> ChangeHistory:
        """Return the history with one more look; it is counted for the tier as well."""
        gap_s = max(0.0, now_s - old.checked_s)
        self._count(tier, "checks")
        self._count(tier, "watched_s", gap_s)
        if changed:
            self._figures.add(tier, "changed")
            self._count(tier, "changes")
        return old.history.checked(gap_s, changed=changed)

    def _ttl_s(self, tier: str, history: ChangeHistory, ttl_s: float | None) -> float:
        row = self._tier(tier)
        if ttl_s is not None:
            return ttl_s
        return adapted_ttl_s(
            history,
            ttl_s=row.ttl_s,
            shortest_s=row.shortest_ttl_s,
            longest_s=row.longest_ttl_s,
        )

    def _count(self, tier: str, name: str, number: float = 1.0) -> None:
        if self._levels.usage.count(tier, name, number):
            self.flush()

    def _place(self, tier: str, key: str) -> Key:
        return self._tier(tier).name, _sound(key)

    def _tier(self, name: str) -> Tier:
        return self.tiers[name]


def _sound(text: str) -> str:
    """Return a text that every level can encode; half a surrogate pair becomes a question mark."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
