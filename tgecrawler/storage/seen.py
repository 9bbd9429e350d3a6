"""Which entries need not be fetched again, in 8 bytes each."""

from __future__ import annotations

import hashlib
from array import array
from bisect import bisect_left
from collections import defaultdict
from typing import TYPE_CHECKING

import sqlalchemy as sa

from tgecrawler.storage.engine import reading
from tgecrawler.storage.models import SEEN
from tgecrawler.storage.upsert import select_in
from tgecrawler.storage.writer import KEPT_OUTCOMES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime
    from typing import Self

    from sqlalchemy import Engine

FETCH_ROWS = 10_000

_KEPT = None
"""The group of entries that have a row in ``mentions``: known under all rules."""


class SeenIndex:
    """The ids that were judged, each as 64 bits of a hash.

    With a million of them a new id passes for a known one with a chance of
    1 in 18 million million, and is then not read. Made by ``load``; grows by ``add``.
    """

    def __init__(self, entries: Iterable[tuple[str, str, str]] = ()) -> None:
        loaded: dict[str | None, array[int]] = defaultdict(lambda: array("Q"))
        for id_, outcome, rules_version in entries:
            loaded[_group(outcome, rules_version)].append(_hash(id_))
        # Sorted arrays take a twelfth of a set of ints; only `add` needs a set.
        self._loaded = {group: array("Q", sorted(hashes)) for group, hashes in loaded.items()}
        self._added: dict[str | None, set[int]] = defaultdict(set)

    @classmethod
    def load(cls, engine: Engine, *, since: datetime | None = None) -> Self:
        """Return the index of all entries, or of those seen at or after `since`."""
        query = sa.select(SEEN.c.id, SEEN.c.outcome, SEEN.c.rules_version)
        if since is not None:
            query = query.where(SEEN.c.seen_at >= since)
        with reading(engine, "seen_index", primary=True) as connection:
            rows = connection.execution_options(yield_per=FETCH_ROWS).execute(query)
            return cls((row.id, row.outcome, row.rules_version) for row in rows)

    def known(self, id_: str, rules_version: str) -> bool:
        """Return whether `id_` is stored, or was rejected under the same rules."""
        value = _hash(id_)
        return self._has(_KEPT, value) or self._has(rules_version, value)

    def add(self, id_: str, outcome: str, rules_version: str) -> None:
        """Note an entry once its batch is committed."""
        self._added[_group(outcome, rules_version)].add(_hash(id_))

    def __len__(self) -> int:
        groups = [*self._loaded.values(), *self._added.values()]
        return sum(len(group) for group in groups)

    def _has(self, group: str | None, value: int) -> bool:
        if value in self._added.get(group, ()):
            return True
        hashes = self._loaded.get(group)
        if hashes is None:
            return False
        place = bisect_left(hashes, value)
        return place < len(hashes) and hashes[place] == value


def read_verdicts(engine: Engine, ids: Collection[str]) -> list[tuple[str, str, str]]:
    """Return id, outcome and rules_version of those entries that were judged."""
    query = sa.select(SEEN.c.id, SEEN.c.outcome, SEEN.c.rules_version)
    with reading(engine, "read_verdicts", primary=True) as connection:
        rows = select_in(connection, query, SEEN.c.id, ids)
        return [(row.id, row.outcome, row.rules_version) for row in rows]


def _group(outcome: str, rules_version: str) -> str | None:
    return _KEPT if outcome in KEPT_OUTCOMES else rules_version


def _hash(id_: str) -> int:
    return int.from_bytes(hashlib.blake2b(id_.encode(), digest_size=8).digest())
