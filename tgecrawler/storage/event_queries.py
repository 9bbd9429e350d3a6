"""What commands and the API read of events."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from tgecrawler.domain.alert import rfc3339
from tgecrawler.storage.engine import reading
from tgecrawler.storage.models import (
    COMPANIES,
    EVENT_MENTIONS,
    EVENT_REDIRECTS,
    EVENTS,
    MENTION_COMPANIES,
    MENTIONS,
)

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection, Engine

SHORTEST_ID = 6
"""Characters of an id that a user may write in place of the whole, where one event has them."""

_MOMENTS = ("first_seen_at", "last_seen_at", "created_at", "changed_at")


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """An event as stored; see ``domain.event_state.EventState``."""

    id: str
    project: str
    kind: str
    token: str
    exchange: str
    chain: str
    status: str
    event_date: str
    event_date_precision: str | None
    claim_url: str
    claim_url_official: bool | None
    companies: list[str]
    shown_mention: str
    title: str
    url: str
    first_seen_at: datetime
    first_source: str
    first_mention: str
    last_seen_at: datetime
    mentions: int
    copies: int
    owners: int
    confidence: float
    history: list[dict[str, Any]]
    sequence: int
    created_at: datetime
    changed_at: datetime

    def as_json(self) -> dict[str, Any]:
        """Return the event as the commands and the API show it."""
        return asdict(self) | {name: rfc3339(getattr(self, name)) for name in _MOMENTS}


@dataclass(frozen=True, slots=True, kw_only=True)
class EventMentionRow:
    """A mention of an event; a copy names its original."""

    id: str
    source: str
    owner: str
    tier: int
    title: str
    url: str
    kind: str
    status: str
    score: float
    published_at: datetime | None
    seen_at: datetime
    duplicate_of: str | None

    def as_json(self) -> dict[str, Any]:
        """Return the mention as the commands and the API show it."""
        moments = {name: rfc3339(getattr(self, name)) for name in ("published_at", "seen_at")}
        return asdict(self) | moments


def recent_events(
    engine: Engine,
    *,
    company: str | None = None,
    kind: str | None = None,
    status: str | None = None,
    since: datetime | None = None,
    min_confidence: float | None = None,
    limit: int = 50,
) -> list[EventRow]:
    """Return events, those told of last first.

    Args:
        company: a watchlist name in any case of its ASCII letters.
        since: the earliest ``last_seen_at``.
    """
    conditions = [
        EVENTS.c.id.in_(_of_company(company)) if company is not None else None,
        EVENTS.c.kind == kind if kind is not None else None,
        EVENTS.c.status == status if status is not None else None,
        EVENTS.c.last_seen_at >= since if since is not None else None,
        EVENTS.c.confidence >= min_confidence if min_confidence is not None else None,
    ]
    query = sa.select(EVENTS).where(*(one for one in conditions if one is not None))
    newest = query.order_by(EVENTS.c.last_seen_at.desc(), EVENTS.c.id).limit(limit)
    with reading(engine, "recent_events") as connection:
        return [EventRow(**row._mapping) for row in connection.execute(newest)]


def largest_events(engine: Engine, limit: int = 10) -> list[EventRow]:
    """Return the events that most texts tell of, copies included."""
    size = EVENTS.c.mentions + EVENTS.c.copies
    query = sa.select(EVENTS).order_by(size.desc(), EVENTS.c.id).limit(limit)
    with reading(engine, "largest_events") as connection:
        return [EventRow(**row._mapping) for row in connection.execute(query)]


def find_events(engine: Engine, id_: str) -> list[EventRow]:
    """Return the events that an id means: one, or several where it is cut too short.

    An event that has been joined to another, or has taken a new id, is found
    under its old id as well.
    """
    with reading(engine, "find_events") as connection:
        ids = _meant(connection, EVENTS.c.id, EVENTS.c.id, id_)
        ids |= _meant(connection, EVENT_REDIRECTS.c.old_id, EVENT_REDIRECTS.c.new_id, id_)
        query = sa.select(EVENTS).where(EVENTS.c.id.in_(ids)).order_by(EVENTS.c.id)
        return [EventRow(**row._mapping) for row in connection.execute(query)]


def mentions_of(engine: Engine, event_id: str) -> list[EventMentionRow]:
    """Return the mentions of an event in order of time, copies included."""
    columns = [MENTIONS.c[field.name] for field in fields(EventMentionRow)]
    told_at = sa.func.coalesce(MENTIONS.c.published_at, MENTIONS.c.seen_at)
    query = (
        sa.select(*columns)
        .join_from(MENTIONS, EVENT_MENTIONS, MENTIONS.c.id == EVENT_MENTIONS.c.mention_id)
        .where(EVENT_MENTIONS.c.event_id == event_id)
        .order_by(told_at, MENTIONS.c.id)
    )
    with reading(engine, "mentions_of") as connection:
        return [EventMentionRow(**row._mapping) for row in connection.execute(query)]


def _meant(
    connection: Connection, written: sa.Column[Any], meant: sa.Column[Any], id_: str
) -> set[str]:
    is_it = written == id_
    if len(id_) >= SHORTEST_ID:
        is_it = written.startswith(id_, autoescape=True)
    return set(connection.scalars(sa.select(meant).where(is_it).limit(10)))


def _of_company(company: str) -> sa.Select[tuple[str]]:
    same = sa.func.lower(COMPANIES.c.name) == company.lower()
    names = sa.select(COMPANIES.c.name).where(same)
    return (
        sa.select(EVENT_MENTIONS.c.event_id)
        .join_from(
            EVENT_MENTIONS,
            MENTION_COMPANIES,
            EVENT_MENTIONS.c.mention_id == MENTION_COMPANIES.c.mention_id,
        )
        .where(MENTION_COMPANIES.c.company.in_(names))
    )
