"""Which of several mentions of one story is the original."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

FAR_FUTURE = datetime.max.replace(tzinfo=UTC)
"""Stands for a publication time that nobody stated: such a mention comes last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """What decides about a mention's group.

    An empty key ties to nothing. ``duplicate_of`` is a tie that is known
    already; it lets a caller pass one member of a stored group for all of it.
    ``near`` are ids of mentions that say nearly the same, given on either side.
    """

    id: str
    tier: int
    published_at: datetime | None = None
    url_key: str = ""
    text_key: str = ""
    duplicate_of: str | None = None
    near: tuple[str, ...] = ()


def choose_originals(rows: Iterable[Candidate]) -> dict[str, str]:
    """Return the id of the original of its group, for the id of every row.

    Rows that share a URL key or a text key or are near copies are one group, and
    so are rows tied through others. The original is the row published first; between equals the
    better (smaller) tier, then the smaller id. An original maps to itself.
    The order of ``rows`` does not matter; an id given twice counts once, as
    the first of its rows.
    """
    unique: dict[str, Candidate] = {}
    for row in rows:
        unique.setdefault(row.id, row)
    chosen: dict[str, str] = {}
    for group in _groups(list(unique.values())):
        original = min(group, key=_precedence)
        chosen.update((row.id, original.id) for row in group)
    return chosen


def _precedence(row: Candidate) -> tuple[datetime, int, str]:
    return (row.published_at or FAR_FUTURE, row.tier, row.id)


def _groups(rows: Sequence[Candidate]) -> list[list[Candidate]]:
    parents = list(range(len(rows)))
    first_with: dict[tuple[str, str], int] = {}
    for index, row in enumerate(rows):
        for tie in _ties(row):
            other = _root(parents, first_with.setdefault(tie, index))
            parents[_root(parents, index)] = other
    groups: dict[int, list[Candidate]] = {}
    for index, row in enumerate(rows):
        groups.setdefault(_root(parents, index), []).append(row)
    return list(groups.values())


def _ties(row: Candidate) -> list[tuple[str, str]]:
    ties = [("id", row.id), ("id", row.duplicate_of or "")]
    ties += [("url", row.url_key), ("text", row.text_key)]
    ties += [("id", other) for other in row.near]
    return [tie for tie in ties if tie[1]]


def _root(parents: list[int], index: int) -> int:
    while parents[index] != index:
        parents[index] = parents[parents[index]]  # path halving keeps the trees flat
        index = parents[index]
    return index
