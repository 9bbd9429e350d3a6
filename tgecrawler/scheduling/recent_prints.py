"""Fingerprints that were offered a moment ago: most duplicates are, and need not be asked about."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

MOST = 20_000
KEPT_S = 60.0  # at most twice; others may have had a request forgotten by then


class RecentPrints:
    """Two generations of fingerprints, bounded in number and age."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._new: set[bytes] = set()
        self._old: set[bytes] = set()
        self._turned_s = clock()

    def meets(self, fingerprint: bytes) -> bool:
        """Return whether a fingerprint was met of late; from now on it was."""
        if len(self._new) >= MOST or self._clock() - self._turned_s > KEPT_S:
            self._old, self._new = self._new, set()
            self._turned_s = self._clock()
        if fingerprint in self._new or fingerprint in self._old:
            return True
        self._new.add(fingerprint)
        return False

    def clear(self) -> None:
        """Forget all."""
        self._new, self._old = set(), set()
