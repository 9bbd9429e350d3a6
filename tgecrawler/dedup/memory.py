"""The index of near copies in the memory of one process."""

from __future__ import annotations

from itertools import chain, islice, repeat
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tgecrawler.dedup.index import MOST_CANDIDATES, NearCopy
from tgecrawler.domain.near_duplicate import are_copies, band_keys, similarity

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime, timedelta

Keys = np.ndarray[tuple[int], np.dtype[np.uint64]]
Places = np.ndarray[tuple[int], np.dtype[np.uint32]]
Moments = np.ndarray[tuple[int], np.dtype[np.float64]]

RECENT_MENTIONS = 8_192  # whose bands are in a dict, before they become a sorted run
MOST_MENTIONS = 1_000_000  # about 1.4 GB; beyond, the older half is forgotten


class _Run(NamedTuple):
    """Bands in order of their keys, each with the place of its mention."""

    keys: Keys
    places: Places


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
        self._ids: list[str] = []
        self._prints: list[bytes] = []
        self._told: Moments = np.empty(RECENT_MENTIONS)  # as long or longer, and doubled
        self._recent: dict[int, list[int]] = {}
        self._first_recent = 0
        self._runs: list[_Run] = []

    def __len__(self) -> int:
        return len(self._ids)

    def match_and_add(self, id: str, fingerprint: bytes, told_at: datetime) -> list[NearCopy]:
        """Return the near copies of a mention by id, and keep it; see `NearIndex`."""
        keys = band_keys(fingerprint)
        if not keys:
            return []
        moment = told_at.timestamp()
        sharing = self._sharing(keys)
        known = any(self._ids[place] == id for place in sharing)
        within = sharing[np.abs(self._told[sharing] - moment) <= self.window_s]
        copies: dict[str, float] = {}
        for place in within[-MOST_CANDIDATES:].tolist():
            other = self._prints[place]
            if self._ids[place] != id and are_copies(fingerprint, other):
                copies[self._ids[place]] = similarity(fingerprint, other)
        if not known:
            self._add(id, fingerprint, moment, keys)
        return [NearCopy(*pair) for pair in sorted(copies.items())]

    def load(self, rows: Iterable[tuple[str, bytes, datetime]]) -> None:
        """Add mentions without looking for their copies; each must be new."""
        rows = iter(rows)
        while batch := list(islice(rows, RECENT_MENTIONS)):
            self._end_run()
            first, counts, keys = len(self._ids), [], []
            for id_, fingerprint, told_at in batch:
                if own := band_keys(fingerprint):
                    self._append(id_, fingerprint, told_at.timestamp())
                    counts.append(len(own))
                    keys.append(own)
            places = np.repeat(np.arange(first, len(self._ids), dtype=np.uint32), counts)
            flat = np.fromiter(chain.from_iterable(keys), np.uint64, sum(counts))
            self._keep_run(_sorted(flat, places))
            self._first_recent = len(self._ids)
            if len(self._ids) > self.most:
                self._forget_older_half()

    def _add(self, id_: str, fingerprint: bytes, moment: float, keys: Sequence[int]) -> None:
        place = len(self._ids)
        self._append(id_, fingerprint, moment)
        for key in keys:
            self._recent.setdefault(key, []).append(place)
        if len(self._ids) > self.most:
            self._forget_older_half()
        elif place - self._first_recent >= RECENT_MENTIONS:
            self._end_run()

    def _append(self, id_: str, fingerprint: bytes, moment: float) -> None:
        if len(self._ids) == len(self._told):
            self._told = np.concatenate((self._told, np.empty_like(self._told)))
        self._told[len(self._ids)] = moment
        self._ids.append(id_)
        self._prints.append(fingerprint)

    def _sharing(self, keys: Sequence[int]) -> Places:
        """Return the places of all mentions with one of the keys, in order."""
        found = [place for key in keys for place in self._recent.get(key, ())]
        parts: list[Places] = [np.array(found, dtype=np.uint32)]
        wanted = np.sort(np.array(keys, dtype=np.uint64))
        for run in self._runs:
            starts = np.searchsorted(run.keys, wanted, "left")
            hits = run.keys.take(starts, mode="clip") == wanted
            ends = np.searchsorted(run.keys, wanted[hits], "right")
            pairs = zip(starts[hits].tolist(), ends.tolist(), strict=True)
            parts += [run.places[start:end] for start, end in pairs]
        return np.unique(np.concatenate(parts))

    def _end_run(self) -> None:
        """Turn what is in the dict into a sorted run."""
        count = sum(map(len, self._recent.values()))
        if count:
            repeated = (repeat(key, len(listed)) for key, listed in self._recent.items())
            keys = np.fromiter(chain.from_iterable(repeated), np.uint64, count)
            places = np.fromiter(chain.from_iterable(self._recent.values()), np.uint32, count)
            self._keep_run(_sorted(keys, places))
        self._recent, self._first_recent = {}, len(self._ids)

    def _keep_run(self, run: _Run) -> None:
        if not len(run.keys):
            return
        self._runs.append(run)
        # as in a log-structured merge tree: few runs, and each band merged a few times only
        while len(self._runs) > 1 and len(self._runs[-2].keys) < 2 * len(self._runs[-1].keys):
            newer, older = self._runs.pop(), self._runs.pop()
            self._runs.append(_merged(older, newer))

    def _forget_older_half(self) -> None:
        self._end_run()
        gone = len(self._ids) - self.most // 2
        kept = len(self._ids) - gone
        self._told[:kept] = self._told[gone : gone + kept].copy()
        del self._ids[:gone], self._prints[:gone]
        self._first_recent = kept
        runs, self._runs = self._runs, []
        for run in runs:
            stays = run.places >= gone
            self._keep_run(_Run(run.keys[stays], run.places[stays] - np.uint32(gone)))


def _sorted(keys: Keys, places: Places) -> _Run:
    order = np.argsort(keys, kind="stable")
    return _Run(keys[order], places[order])


def _merged(older: _Run, newer: _Run) -> _Run:
    """Return two runs as one, in a third of the time that sorting them would take."""
    at = np.searchsorted(older.keys, newer.keys, "right") + np.arange(len(newer.keys))
    rest = np.ones(len(older.keys) + len(newer.keys), dtype=bool)
    rest[at] = False
    keys = np.empty(len(rest), dtype=np.uint64)
    places = np.empty(len(rest), dtype=np.uint32)
    keys[at], places[at] = newer
    keys[rest], places[rest] = older
    return _Run(keys, places)
