"""What commands and the API read of events."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from tgecrawler.domain.alert import rfc3339
from tgecrawler.errors import ArgumentError
from tgecrawler.storage.companies import names_like
from tgecrawler.storage.engine import reading
from tgecrawler.storage.models import (
    EVENT_COMPANIES,
    EVENT_MENTIONS,
    EVENT_REDIRECTS,
    EVENTS,
    KEY_CHARS,
    MENTIONS,
    UtcDateTime,
)
from tgecrawler.storage.upsert import select_in

if TYPE_CHECKING:
    from collections.abc import Collection

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
    size: int
    owners: int
    confidence: float
    history: list[dict[str, Any]]
    sequence: int
    created_at: datetime
    changed_at: datetime

    @property
    def cursor(self) -> str:
        """What `recent_events` takes to go on behind this event."""
        return f"{self.last_seen_at.isoformat()}~{self.id}"

    def as_json(self) -> dict[str, Any]:
        """Return the event as the commands and the API show it, with the row's own lists."""
        shown = {one.name: getattr(self, one.name) for one in fields(self)}
        return shown | {name: rfc3339(getattr(self, name)) for name in _MOMENTS}


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

    @property
    def cursor(self) -> str:
        """What `mentions_of` takes to go on behind this mention."""
        return f"{(self.published_at or self.seen_at).isoformat()}~{self.id}"

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
    before: str | None = None,
    limit: int = 50,
) -> list[EventRow]:
    """Return events, those told of last first.

    Args:
        company: a watchlist name in any case of its letters.
        since: the earliest ``last_seen_at``.
        before: the ``cursor`` of the last event of the page before.

    Raises:
        ArgumentError: `before` is no cursor.
    """
    conditions = [
        EVENTS.c.kind == kind if kind is not None else None,
        EVENTS.c.status == status if status is not None else None,
    ]
    with reading(engine, "recent_events") as connection:
        query = sa.select(EVENTS.c.id, EVENTS.c.last_seen_at).select_from(EVENTS)
        table: sa.FromClause = EVENTS
        id_: sa.ColumnElement[str] = EVENTS.c.id
        if company is not None:
            table, id_ = EVENT_COMPANIES, EVENT_COMPANIES.c.event_id
            query = query.join(EVENT_COMPANIES, id_ == EVENTS.c.id)
            conditions.append(EVENT_COMPANIES.c.company.in_(names_like(connection, company)))
        told_at: sa.ColumnElement[datetime] = table.c.last_seen_at
        if since is not None:
            conditions.append(told_at >= since)
        if min_confidence is not None:
            conditions.append(table.c.confidence >= min_confidence)
        if before is not None:
            conditions.append(sa.tuple_(told_at, id_) < _place(before))
        query = query.where(*(condition for condition in conditions if condition is not None))
        # Cut first, then joined: the rows are long.
        page = query.order_by(told_at.desc(), id_.desc()).limit(limit).subquery()
        whole = (
            sa.select(EVENTS)
            .join(page, page.c.id == EVENTS.c.id)
            .order_by(EVENTS.c.last_seen_at.desc(), EVENTS.c.id.desc())
        )
        return [EventRow(**row._mapping) for row in connection.execute(whole)]


def _place(cursor: str) -> sa.Tuple:
    """Return the moment and the id that a cursor stands for; ArgumentError where it is none."""
    told_at, _, id_ = cursor.partition("~")
    try:
        moment = datetime.fromisoformat(told_at)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None or not id_:
        raise ArgumentError(f"no cursor {cursor!r}; give that of the last row shown")
    return sa.tuple_(sa.literal(moment, UtcDateTime()), sa.literal(id_))


def largest_events(engine: Engine, limit: int = 10) -> list[EventRow]:
    """Return the events that most texts tell of, copies included."""
    query = sa.select(EVENTS).order_by(EVENTS.c.size.desc(), EVENTS.c.id.desc()).limit(limit)
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


def read_events(connection: Connection, ids: Collection[str]) -> dict[str, EventRow]:
    """Return the events of some ids by id; those that are no more are left out."""
    rows = select_in(connection, sa.select(EVENTS), EVENTS.c.id, ids)
    return {row.id: EventRow(**row._mapping) for row in rows}


def mentions_of(
    engine: Engine, event_id: str, *, after: str | None = None, limit: int | None = None
) -> list[EventMentionRow]:
    """Return the mentions of an event in order of time, copies included.

    Args:
        after: the ``cursor`` of the last mention of the page before.
        limit: how many at most; None for all.

    Raises:
        ArgumentError: `after` is no cursor.
    """
    member = EVENT_MENTIONS.c
    # Cut first, then joined: an event that everybody told of has thousands.
    page = sa.select(member.mention_id, member.told_at).where(member.event_id == event_id)
    if after is not None:
        page = page.where(sa.tuple_(member.told_at, member.mention_id) > _place(after))
    cut = page.order_by(member.told_at, member.mention_id).limit(limit).subquery()
    columns = [MENTIONS.c[field.name] for field in fields(EventMentionRow)]
    query = (
        sa.select(*columns)
        .join_from(cut, MENTIONS, MENTIONS.c.id == cut.c.mention_id)
        .order_by(cut.c.told_at, cut.c.mention_id)
    )
    with reading(engine, "mentions_of") as connection:
        return [EventMentionRow(**row._mapping) for row in connection.execute(query)]


def _meant(
    connection: Connection, written: sa.Column[Any], meant: sa.Column[Any], id_: str
) -> set[str]:
    is_it = written == id_
    if len(id_) >= SHORTEST_ID:
        # Ids are of hex digits: a range, which is found in the index, and LIKE is not.
        beginning = written.between(id_, id_.ljust(KEY_CHARS, "f"))
        is_it = sa.and_(beginning, written.startswith(id_, autoescape=True))
    return set(connection.scalars(sa.select(meant).where(is_it).limit(10)))
