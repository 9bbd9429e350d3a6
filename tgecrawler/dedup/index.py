"""What an index of near copies does, wherever it keeps them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from datetime import datetime

MOST_CANDIDATES = 200
"""Mentions with the same band that one look-up verifies; more would be one story told for ever."""


class NearCopy(NamedTuple):
    """Another mention that says nearly the same; ``similarity`` from 0 to 1."""

    id: str
    similarity: float


class NearIndex(Protocol):
    """Finds the near copies of a mention among those that came before it.

    Every verified copy is returned, not just the best one, so that which pairs
    are found does not depend on the order in which the mentions come.
    """

    def match_and_add(self, id: str, fingerprint: bytes, told_at: datetime) -> list[NearCopy]:
        """Return the near copies of a mention by id, and keep it for those that come later.

        Two mentions told further apart than the index's window are no copies: a
        yearly report may say the same every year. Never the mention itself; of
        an empty fingerprint nothing.
        """
        ...
