"""The index of near copies in the memory of one process."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

import numpy as np

from tgecrawler.dedup.index import MOST_CANDIDATES, NearCopy
from tgecrawler.domain.near_duplicate import are_copies, band_keys, similarity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime, timedelta

Keys = np.ndarray[tuple[int], np.dtype[np.uint64]]
Places = np.ndarray[tuple[int], np.dtype[np.uint32]]

RECENT_MENTIONS = 8_192  # whose bands are in a dict, before they become a sorted run
MOST_MENTIONS = 1_000_000  # about 1.3 GB; beyond, the older half is forgotten


class MemoryIndex:
    """Near copies among the mentions that were added last; see `NearIndex`.

    Bands of the newest are in a dict, of the others in sorted arrays that are
    merged as they grow: 12 bytes for a band in place of the 100 and more of a dict.
    Not for several threads at once.

    Args:
        window: how far apart in time two copies may have been told.
        most: mentions that are kept; when there are more, the older half goes.
    """

    def __init__(self, window: timedelta, *, most: int = MOST_MENTIONS) -> None:
        self.window_s = window.total_seconds()
        self.most = most
        self._clear()

    def __len__(self) -> int:
        return len(self._ids)

    def match_and_add(self, id: str, fingerprint: bytes, told_at: datetime) -> list[NearCopy]:
        """Return the near copies of a mention by id, and keep it; see `NearIndex`."""
        keys = band_keys(fingerprint)
        if not keys:
            return []
        moment = told_at.timestamp()
        copies: dict[str, float] = {}
        known = False
        for place in self._sharing(keys):
            if self._ids[place] == id:
                known = True
            elif abs(self._told[place] - moment) <= self.window_s:
                other = self._prints[place]
                if are_copies(fingerprint, other):
                    copies[self._ids[place]] = similarity(fingerprint, other)
        if not known:
            self._add(id, fingerprint, moment, keys)
        return [NearCopy(*pair) for pair in sorted(copies.items())]

    def load(self, rows: Iterable[tuple[str, bytes, datetime]]) -> None:
        """Add mentions without looking for their copies; each must be new."""
        for id_, fingerprint, told_at in rows:
            if keys := band_keys(fingerprint):
                self._add(id_, fingerprint, told_at.timestamp(), keys)

    def _clear(self) -> None:
        self._ids: list[str] = []
        self._prints: list[bytes] = []
        self._told = array("d")
        self._recent: dict[int, list[int]] = {}
        self._first_recent = 0
        self._runs: list[tuple[Keys, Places]] = []

    def _add(self, id_: str, fingerprint: bytes, moment: float, keys: Sequence[int]) -> None:
        place = len(self._ids)
        self._ids.append(id_)
        self._prints.append(fingerprint)
        self._told.append(moment)
        for key in keys:
            self._recent.setdefault(key, []).append(place)
        if len(self._ids) > self.most:
            self._forget_older_half()
        elif place - self._first_recent >= RECENT_MENTIONS:
            self._end_run()

    def _sharing(self, keys: Sequence[int]) -> list[int]:
        """Return the places of mentions with one of the keys, the newest of too many."""
        found = {place for key in keys for place in self._recent.get(key, ())}
        wanted = np.array(keys, dtype=np.uint64)
        for sorted_keys, places in self._runs:
            starts = np.searchsorted(sorted_keys, wanted, "left")
            ends = np.searchsorted(sorted_keys, wanted, "right")
            for start, end in zip(starts[ends > starts], ends[ends > starts], strict=True):
                found.update(places[max(start, end - MOST_CANDIDATES) : end].tolist())
        return sorted(found)[-MOST_CANDIDATES:]

    def _end_run(self) -> None:
        count = sum(map(len, self._recent.values()))
        keys = np.fromiter(_repeated(self._recent), dtype=np.uint64, count=count)
        places = np.fromiter(
            (place for listed in self._recent.values() for place in listed),
            dtype=np.uint32,
            count=count,
        )
        self._recent, self._first_recent = {}, len(self._ids)
        self._runs.append(_sorted(keys, places))
        # as in a log-structured merge tree: few runs, and each band merged a few times only
        while len(self._runs) > 1 and len(self._runs[-2][0]) < 2 * len(self._runs[-1][0]):
            newer, older = self._runs.pop(), self._runs.pop()
            keys = np.concatenate((older[0], newer[0]))
            places = np.concatenate((older[1], newer[1]))
            self._runs.append(_sorted(keys, places))

    def _forget_older_half(self) -> None:
        half = self.most // 2
        kept = list(zip(self._ids[-half:], self._prints[-half:], self._told[-half:], strict=True))
        self._clear()
        for id_, fingerprint, moment in kept:
            self._add(id_, fingerprint, moment, band_keys(fingerprint))


def _repeated(recent: dict[int, list[int]]) -> Iterator[int]:
    return (key for key, listed in recent.items() for _ in listed)


def _sorted(keys: Keys, places: Places) -> tuple[Keys, Places]:
    order = np.argsort(keys, kind="stable")
    return keys[order], places[order]
