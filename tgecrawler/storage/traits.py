"""What tells a mention's event and its near copies: rows beside ``mentions``."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from tgecrawler.domain.event_grouping import NOT_A_PROJECT, entity_of
from tgecrawler.storage.models import MENTION_TRAITS, MENTIONS, NEAR_COPIES
from tgecrawler.storage.upsert import insert_missing, select_in, upsert

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Connection

Row = dict[str, Any]

_TRAITS = MENTION_TRAITS.c


def write_traits(connection: Connection, rows: list[Row]) -> set[str]:
    """Insert or update rows of ``mention_traits``; return the entities that this may change.

    Their own ``entity`` is not read: it follows from the votes of all mentions
    with the same tickers, which are counted anew.
    """
    ids = {row["mention_id"] for row in rows}
    before = list(_read(connection, ids))
    tokens = {row["token_key"] for row in rows} | {row.token_key for row in before}
    upsert(
        connection,
        MENTION_TRAITS,
        [{**row, "entity": _own_entity(row)} for row in rows],
    )
    touched = {row.entity for row in before} | {_own_entity(row) for row in rows}
    return (touched | settle_entities(connection, tokens - {""})) - {""}


def settle_entities(connection: Connection, tokens: Collection[str]) -> set[str]:
    """Give every mention with one of the tickers the entity that the votes say.

    Originals vote. Returns the entities that mentions left, and that they are in now.
    """
    votes: dict[str, dict[str, int]] = defaultdict(dict)
    for token, project, count in select_in(connection, _VOTES, _TRAITS.token_key, tokens):
        votes[token][project] = count
    touched: set[str] = set()
    moves: list[Row] = []
    for token, project, entity in select_in(connection, _PAIRS, _TRAITS.token_key, tokens):
        settled = entity_of(project, token, votes[token])
        touched |= {entity, settled}
        if settled != entity:
            moves.append({"token": token, "project": project, "old": entity, "new": settled})
    if moves:
        connection.execute(_MOVE, moves)
    return touched


def tokens_of(connection: Connection, ids: Collection[str]) -> set[str]:
    """Return the tickers that some mentions name."""
    return {row.token_key for row in _read(connection, ids)} - {""}


def write_near_copies(
    connection: Connection, near: dict[str, tuple[tuple[str, float], ...]]
) -> None:
    """Insert what near copies each of the mentions has met."""
    rows = [
        {"mention_id": id_, "other_id": other, "similarity": similarity}
        for id_ in sorted(near)
        for other, similarity in near[id_]
    ]
    insert_missing(connection, NEAR_COPIES, rows)


def _own_entity(row: Row) -> str:
    entity = entity_of(row["project_key"], row["token_key"], {})
    return entity or NOT_A_PROJECT + row["mention_id"]


def _read(connection: Connection, ids: Collection[str]) -> Any:
    query = sa.select(_TRAITS.token_key, _TRAITS.entity)
    return select_in(connection, query, _TRAITS.mention_id, ids)


_VOTES = (
    sa.select(_TRAITS.token_key, _TRAITS.project_key, sa.func.count())
    .join_from(MENTION_TRAITS, MENTIONS, MENTIONS.c.id == _TRAITS.mention_id)
    .where(MENTIONS.c.duplicate_of.is_(None))
    .group_by(_TRAITS.token_key, _TRAITS.project_key)
)
_PAIRS = sa.select(_TRAITS.token_key, _TRAITS.project_key, _TRAITS.entity).distinct()
_MOVE = (
    sa.update(MENTION_TRAITS)
    .where(
        _TRAITS.token_key == sa.bindparam("token"),
        _TRAITS.project_key == sa.bindparam("project"),
        _TRAITS.entity == sa.bindparam("old"),
    )
    .values(entity=sa.bindparam("new"))
)
