"""A shared level that never raises: what fails is counted, said once, and a miss."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, TypeVar

from tgecrawler.cache.entry import FrameError, unpack_entry
from tgecrawler.cache.level import Gone, LevelError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tgecrawler.cache.entry import Entry
    from tgecrawler.cache.level import Key, SharedLevel, Stored, Usage

logger = logging.getLogger(__name__)

REST_S = 30.0
"""How long a level that cannot be reached is left alone: each try may cost half a second."""

Result = TypeVar("Result")


class GuardedLevel:
    """Wraps a `SharedLevel`; see there for what the methods do."""

    def __init__(self, level: SharedLevel, clock: Callable[[], float]) -> None:
        self.level = level
        self.failures = 0
        self._clock = clock
        self._rests_until_s = 0.0
        self._said = False
        self._saying = threading.Lock()

    def read(self, key: Key, now_s: float) -> Entry | None:
        """Return the entry; one that cannot be read counts as a failure and as none."""
        found = self._try(lambda: self.level.read(key, now_s), None)
        if found is None:
            return None
        try:
            return unpack_entry(*found)
        except FrameError as error:
            self._failed(LevelError(f"an entry that cannot be read: {error}"))
            return None

    def write(self, key: Key, stored: Stored, now_s: float) -> None:
        self._try(lambda: self.level.write(key, stored, now_s), None)

    def write_head(self, key: Key, head: bytes, gone_s: float, now_s: float) -> bool:
        return self._try(lambda: self.level.write_head(key, head, gone_s, now_s), False)

    def drop(self, gone: Gone, now_s: float) -> int:
        return self._try(lambda: self.level.drop(gone, now_s), 0)

    def heard(self) -> Sequence[Gone]:
        return self._try(self.level.heard, [])

    def record(self, usage: Usage) -> None:
        self._try(lambda: self.level.record(usage), None)

    def hottest(self, limit: int) -> Sequence[Key]:
        return self._try(lambda: self.level.hottest(limit), [])

    def used_bytes(self) -> int:
        return self._try(self.level.used_bytes, 0)

    def close(self) -> None:
        self._try(self.level.close, None)

    def _try(self, work: Callable[[], Result], without: Result) -> Result:
        if self._clock() < self._rests_until_s:
            return without
        try:
            return work()
        except LevelError as error:
            self._failed(error)
            return without

    def _failed(self, error: LevelError) -> None:
        with self._saying:
            self.failures += 1
            if error.rests:
                self._rests_until_s = self._clock() + REST_S
            said, self._said = self._said, True
        if not said:
            logger.warning("cache: %s; the crawl goes on without what is shared", error)
