"""Mentions that are let go with their events, so that none that goes on is cut apart.

The event's row stays, as history. Whatever an event's mentions decide of other events goes
with them: whose a ticker is, where a project's next event begins. So an event is let go on
trial: where another event would then be another, its mentions stay.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa

from tgecrawler.storage.events import entities_of, regroup
from tgecrawler.storage.models import (
    ALERT_COMPANIES,
    ALERTS,
    EVENT_MENTIONS,
    EVENTS,
    MENTION_COMPANIES,
    MENTION_TEXTS,
    MENTION_TRAITS,
    MENTIONS,
    NEAR_COPIES,
)
from tgecrawler.storage.traits import settle_entities, tokens_of
from tgecrawler.storage.upkeep import CHUNK
from tgecrawler.storage.upsert import select_in

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from sqlalchemy import Connection

_COPY = MENTIONS.c.duplicate_of.is_not(None)

# In this order each delete finds nothing left that names its rows: the engines would look
# for that row by row, which takes many times as long. Copies go before their originals.
_DELETES: tuple[tuple[sa.Column[Any], tuple[sa.ColumnElement[bool], ...]], ...] = (
    (ALERT_COMPANIES.c.alert_id, ()),
    (ALERTS.c.mention_id, ()),
    (MENTION_COMPANIES.c.mention_id, ()),
    (MENTION_TRAITS.c.mention_id, ()),
    (NEAR_COPIES.c.mention_id, ()),
    (EVENT_MENTIONS.c.mention_id, ()),
    (MENTION_TEXTS.c.mention_id, ()),
    (MENTIONS.c.id, (_COPY,)),
    (MENTIONS.c.id, ()),
)


class OldEvent(NamedTuple):
    """An event of which nothing new was told or stored; ``mentions`` counts copies too."""

    id: str
    last_seen_at: datetime
    mentions: int


class _Changed(Exception):  # noqa: N818
    """Another event would be another."""


def find(cut: datetime) -> sa.Select[*tuple[Any, ...]]:
    """Return a query for the events with mentions, all of them told and stored before `cut`."""
    told_at = sa.func.coalesce(MENTIONS.c.published_at, MENTIONS.c.seen_at)
    is_member = EVENT_MENTIONS.c.event_id == EVENTS.c.id
    newer = (
        sa.exists()
        .where(is_member, MENTIONS.c.id == EVENT_MENTIONS.c.mention_id)
        .where(sa.or_(told_at >= cut, MENTIONS.c.stored_at >= cut))
    )
    size = (EVENTS.c.mentions + EVENTS.c.copies).label("size")
    return sa.select(EVENTS.c.id, EVENTS.c.last_seen_at, size).where(
        EVENTS.c.last_seen_at < cut, sa.exists().where(is_member), ~newer
    )


def mentions_of(events: sa.Select[*tuple[Any, ...]]) -> sa.Select[*tuple[Any, ...]]:
    """Return a query for the mentions of the events that a query finds."""
    found = events.subquery()
    return sa.select(EVENT_MENTIONS.c.mention_id).join(
        found, found.c.id == EVENT_MENTIONS.c.event_id
    )


def first_of(events: Sequence[OldEvent], mentions: int) -> list[OldEvent]:
    """Return the first of some events: those that have so many mentions, and at least one."""
    taken: list[OldEvent] = []
    for event in events:
        mentions -= event.mentions
        if taken and mentions < 0:
            break
        taken.append(event)
    return taken


def let_go(
    connection: Connection, events: Sequence[str], cut: datetime, now: datetime
) -> tuple[Counter[str], int]:
    """Delete the mentions of some events; return rows by table, and how many events stay.

    Those that have been told of anew since they were found are left alone.
    """
    still = find(cut)
    old = {row.id for row in select_in(connection, still, EVENTS.c.id, events)}
    return _let_go([id_ for id_ in events if id_ in old], connection, now)


def _let_go(
    events: Sequence[str], connection: Connection, now: datetime
) -> tuple[Counter[str], int]:
    """Let events go together or, where that changes another event, as many as can go alone."""
    if not events:
        return Counter(), 0
    try:
        with connection.begin_nested():
            return _on_trial(events, connection, now), 0
    except _Changed:
        if len(events) == 1:
            return Counter(), 1
    half = len(events) // 2
    rows, kept = _let_go(events[:half], connection, now)
    more_rows, more_kept = _let_go(events[half:], connection, now)
    return rows + more_rows, kept + more_kept


def _on_trial(events: Collection[str], connection: Connection, now: datetime) -> Counter[str]:
    query = sa.select(EVENT_MENTIONS.c.mention_id)
    ids = sorted(row[0] for row in select_in(connection, query, EVENT_MENTIONS.c.event_id, events))
    entities, tokens = entities_of(connection, ids), tokens_of(connection, ids)
    rows = _delete(connection, ids)
    changes = regroup(connection, entities | settle_entities(connection, tokens), now)
    if changes.new or changes.changed:
        raise _Changed
    return rows


def _delete(connection: Connection, ids: Sequence[str]) -> Counter[str]:
    rows: Counter[str] = Counter()
    for column, conditions in _DELETES:
        for start in range(0, len(ids), CHUNK):
            chosen = column.in_(ids[start : start + CHUNK])
            deleted = connection.execute(sa.delete(column.table).where(chosen, *conditions))
            rows[column.table.name] += deleted.rowcount
    return rows
