"""How a batch joins the stories that are stored already.

All stored rows with one key are in one group, and each of them names the
group's original. So it is enough to read one row for each key of the batch and
the originals of those, however many rows a group has. Near copies are tied by
``near_copies``, from either side: a mention may have met one that another
process had in hand, and that is stored only now.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from tgecrawler.domain.grouping import Candidate, choose_originals
from tgecrawler.storage.models import MENTION_TEXTS, MENTIONS, NEAR_COPIES, SEEN
from tgecrawler.storage.upsert import insert_missing, select_in

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from sqlalchemy import Connection

Row = dict[str, Any]

_COLUMNS = ("id", "tier", "published_at", "url_key", "text_key", "duplicate_of")
_CANDIDATES = sa.select(*(MENTIONS.c[name] for name in _COLUMNS))


@dataclass(frozen=True, slots=True)
class Stories:
    """The groups that a batch touches: their members that matter, and their originals."""

    candidates: dict[str, Candidate]
    originals: dict[str, str]
    fresh: frozenset[str]

    @property
    def demoted(self) -> dict[str, str]:
        """Stored originals that have met an earlier mention, each with that one's id."""
        return {
            row.id: self.originals[row.id]
            for row in self.candidates.values()
            if row.id not in self.fresh
            and row.duplicate_of is None
            and self.originals[row.id] != row.id
        }

    @property
    def touched(self) -> set[str]:
        """Mentions whose event may be another now, or have another copy."""
        return {self.originals[id_] for id_ in self.fresh} | self.fresh | self.demoted.keys()

    @property
    def changed(self) -> set[str]:
        """Originals that are new, or whose group has taken in another."""
        new = {id_ for id_ in self.fresh if self.originals[id_] == id_}
        return new | set(self.demoted.values())


def read_stories(
    connection: Connection,
    rows: dict[str, Row],
    stored: Collection[str],
    near: Mapping[str, Collection[str]],
) -> Stories:
    """Return the stories of a batch: `rows` by id, of which `stored` are there already.

    Args:
        near: the ids of the near copies that a mention of the batch has met.
    """
    fresh = {id_: row for id_, row in rows.items() if id_ not in stored}
    ties = _near_ties(connection, fresh, near)
    met = {other for others in ties.values() for other in others}
    found = _read(connection, met.union(stored))
    for name in ("url_key", "text_key"):
        # The empty key ties nothing, and reading all rows that have it would take long.
        keys = {row[name] for row in fresh.values()} - {""}
        found |= _read(connection, _one_with_each(connection, MENTIONS.c[name], keys))
    originals = {row.duplicate_of for row in found.values() if row.duplicate_of}
    found |= _read(connection, originals - found.keys())
    for id_, row in fresh.items():
        found[id_] = replace(_candidate(row), near=tuple(sorted(ties.get(id_, ()))))
    return Stories(found, choose_originals(found.values()), frozenset(fresh))


def _near_ties(
    connection: Connection, fresh: Collection[str], near: Mapping[str, Collection[str]]
) -> dict[str, set[str]]:
    """Return the near copies of fresh mentions, both those they met and those that met them."""
    ties = {id_: set(near.get(id_, ())) for id_ in fresh}
    query = sa.select(NEAR_COPIES.c.other_id, NEAR_COPIES.c.mention_id)
    for other, id_ in select_in(connection, query, NEAR_COPIES.c.other_id, fresh):
        ties[other].add(id_)
    return ties


def insert_mentions(
    connection: Connection, rows: dict[str, Row], texts: dict[str, Row], stories: Stories
) -> None:
    """Insert the fresh mentions, originals before those that name them, and their bodies."""
    originals: list[Row] = []
    copies: list[Row] = []
    for id_ in sorted(stories.fresh):
        original = stories.originals[id_]
        row = {**rows[id_], "duplicate_of": None if original == id_ else original}
        (originals if original == id_ else copies).append(row)
    insert_missing(connection, MENTIONS, originals)
    insert_missing(connection, MENTIONS, copies)
    bodies = [texts[id_] for id_ in sorted(stories.fresh & texts.keys())]
    insert_missing(connection, MENTION_TEXTS, bodies)


def demote_originals(connection: Connection, stories: Stories) -> None:
    """Point the groups of demoted originals to the earlier ones."""
    moves = [{"old": old, "new": new} for old, new in stories.demoted.items()]
    if not moves:
        return
    member = sa.or_(
        MENTIONS.c.id == sa.bindparam("old"), MENTIONS.c.duplicate_of == sa.bindparam("old")
    )
    update = sa.update(MENTIONS).where(member)
    connection.execute(update.values(duplicate_of=sa.bindparam("new")), moves)
    seen = sa.update(SEEN).where(SEEN.c.id == sa.bindparam("old"))
    connection.execute(seen.values(outcome="duplicate"), moves)


def _candidate(row: Row) -> Candidate:
    values: Row = {name: row.get(name) for name in _COLUMNS}
    return Candidate(**values)


def _one_with_each(
    connection: Connection, column: sa.Column[Any], keys: Collection[str]
) -> set[str]:
    query = sa.select(sa.func.min(MENTIONS.c.id)).group_by(column)
    return {row[0] for row in select_in(connection, query, column, keys)}


def _read(connection: Connection, ids: Collection[str]) -> dict[str, Candidate]:
    rows = select_in(connection, _CANDIDATES, MENTIONS.c.id, ids)
    return {row.id: Candidate(**row._mapping) for row in rows}
