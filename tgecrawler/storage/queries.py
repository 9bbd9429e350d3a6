"""What commands and the API read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from tgecrawler.domain.alert import ALERT_FIELDS, rfc3339
from tgecrawler.errors import ArgumentError
from tgecrawler.storage import search
from tgecrawler.storage.alert_rows import earliest_position
from tgecrawler.storage.companies import names_like, read_companies
from tgecrawler.storage.engine import reading
from tgecrawler.storage.models import (
    ALERT_COMPANIES,
    ALERTS,
    COMPANIES,
    EVENT_MENTIONS,
    MENTION_TRAITS,
    MENTIONS,
    RUNS,
    SOURCES,
    Base,
)
from tgecrawler.storage.upsert import select_in

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from datetime import datetime

    from sqlalchemy import Connection, Engine

FETCH_ROWS = 10_000
MOST_POSITION = 2**63
_CURSOR = re.compile("[0-9]{1,19}")
_FROM_MENTION = tuple(name for name in ALERT_FIELDS if name in MENTIONS.c)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRow:
    """An alert with its mention; ``duplicates`` counts the other mentions of the story."""

    id: str
    event_id: str | None
    title: str
    url: str
    canonical_url: str
    source: str
    owner: str
    medium: str
    companies: tuple[str, ...]
    project: str
    kind: str
    status: str
    score: float
    reasons: list[dict[str, Any]]
    token: str
    event_date: str
    event_date_precision: str | None
    chain: str
    exchange: str
    claim_url: str
    claim_url_official: bool | None
    promo: bool
    lang: str
    published_at: datetime | None
    seen_at: datetime
    stored_at: datetime
    duplicate_of: str | None
    created_at: datetime
    duplicates: int
    position: int

    @property
    def cursor(self) -> str:
        """What `recent_alerts` takes to go on behind this alert."""
        return str(self.position)

    @property
    def latency_s(self) -> float | None:
        """Seconds from the mention's publication to its commit; None where unpublished."""
        if self.published_at is None:
            return None
        return (self.stored_at - self.published_at).total_seconds()

    def as_json(self) -> dict[str, Any]:
        """Return the alert as the commands, the API and webhooks show it."""
        shown: dict[str, Any] = {name: getattr(self, name, None) for name in ALERT_FIELDS}
        for name in ("published_at", "seen_at", "stored_at"):
            shown[name] = rfc3339(shown[name])
        return shown | {"companies": list(self.companies)}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    """One crawl; ``report`` is the whole run report."""

    id: str
    spider: str
    started_at: datetime
    finished_at: datetime | None
    reason: str
    report: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRow:
    """A source and its health; ``consecutive_failures`` counts those since its last success.

    ``mentions`` counts what it told since the moment asked for, copies included.
    """

    slug: str
    url: str
    owner: str
    tier: int
    last_success_at: datetime | None
    last_error: str
    last_error_at: datetime | None
    consecutive_failures: int
    etag: str | None
    last_modified: str | None
    polled_at: datetime | None
    next_poll_at: datetime | None
    changed_at: datetime | None
    polls: int
    not_modified: int
    history: str
    mentions: int = 0
    last_mention_at: datetime | None = None


def recent_alerts(
    engine: Engine,
    *,
    company: str | None = None,
    kind: str | None = None,
    status: str | None = None,
    since: datetime | None = None,
    min_score: float | None = None,
    text: str | None = None,
    before: str | None = None,
    limit: int = 50,
) -> list[AlertRow]:
    """Return the newest alerts first; in three queries, however many there are.

    Args:
        company: a watchlist name in any case of its letters.
        since: the earliest ``created_at``.
        text: words that title, project, token or companies have, all of them; one that
            ends in ``*`` stands for all that begin so.
        before: the ``cursor`` of the last alert of the page before.

    Raises:
        ArgumentError: `before` is no cursor.
    """
    conditions = [
        ALERTS.c.kind == kind if kind is not None else None,
        ALERTS.c.status == status if status is not None else None,
    ]
    with reading(engine, "recent_alerts") as connection:
        query = sa.select(ALERTS.c.id, ALERTS.c.position, ALERTS.c.created_at).select_from(ALERTS)
        position: sa.ColumnElement[int] = ALERTS.c.position
        score: sa.ColumnElement[float] = ALERTS.c.score
        if company is not None:
            query = query.join(ALERT_COMPANIES, ALERT_COMPANIES.c.alert_id == ALERTS.c.id)
            position, score = ALERT_COMPANIES.c.position, ALERT_COMPANIES.c.score
            conditions.append(ALERT_COMPANIES.c.company.in_(names_like(connection, company)))
        if text is not None:
            query, position = search.find(connection, query, text)
        if min_score is not None:
            conditions.append(score >= min_score)
        if since is not None:
            # The first bound is found in any index by position, the second is exact.
            conditions += [position >= earliest_position(since), ALERTS.c.created_at >= since]
        if before is not None:
            conditions.append(position < read_position(before))
        query = query.where(*(condition for condition in conditions if condition is not None))
        # Cut first, then joined: a page needs the rows of its own mentions alone.
        page = query.order_by(position.desc()).limit(limit).subquery()
        return _alert_rows(connection, connection.execute(_shown(page)).all())


def read_alerts(connection: Connection, ids: Collection[str]) -> dict[str, AlertRow]:
    """Return the alerts of some ids by id; those that are no more are left out."""
    columns = [MENTIONS.c[name] for name in _FROM_MENTION]
    query = (
        sa.select(ALERTS.c.position, ALERTS.c.created_at, EVENT_MENTIONS.c.event_id, *columns)
        .join_from(ALERTS, MENTIONS, MENTIONS.c.id == ALERTS.c.mention_id)
        .outerjoin(EVENT_MENTIONS, EVENT_MENTIONS.c.mention_id == MENTIONS.c.id)
    )
    rows = list(select_in(connection, query, ALERTS.c.id, ids))
    return {row.id: row for row in _alert_rows(connection, rows)}


def _shown(page: sa.Subquery) -> sa.Select[*tuple[Any, ...]]:
    columns = [MENTIONS.c[name] for name in _FROM_MENTION]
    return (
        sa.select(page.c.position, page.c.created_at, EVENT_MENTIONS.c.event_id, *columns)
        .join_from(page, MENTIONS, MENTIONS.c.id == page.c.id)
        .outerjoin(EVENT_MENTIONS, EVENT_MENTIONS.c.mention_id == MENTIONS.c.id)
        .order_by(page.c.position.desc())
    )


def recent_runs(engine: Engine, limit: int = 10) -> list[RunRow]:
    """Return the last runs, newest first."""
    query = sa.select(RUNS).order_by(RUNS.c.started_at.desc(), RUNS.c.id).limit(limit)
    with reading(engine, "recent_runs") as connection:
        return [RunRow(**row._mapping) for row in connection.execute(query)]


def source_health(engine: Engine, *, since: datetime | None = None) -> list[SourceRow]:
    """Return every source that was ever polled, by slug.

    Args:
        since: from when on to count its mentions; None counts none.
    """
    columns: list[sa.ColumnElement[Any]] = [
        SOURCES.c[name] for name in SourceRow.__dataclass_fields__ if name in SOURCES.c
    ]
    told = [MENTIONS.c.source == SOURCES.c.slug]
    newest = sa.select(sa.func.max(MENTIONS.c.stored_at)).where(*told).scalar_subquery()
    columns.append(newest.label("last_mention_at"))
    if since is not None:
        told.append(MENTIONS.c.stored_at >= since)
        count = sa.select(sa.func.count()).select_from(MENTIONS).where(*told).scalar_subquery()
        columns.append(count.label("mentions"))
    query = sa.select(*columns).order_by(SOURCES.c.slug)
    with reading(engine, "source_health") as connection:
        return [SourceRow(**row._mapping) for row in connection.execute(query)]


def company_names(engine: Engine) -> list[str]:
    """Return the names of all companies that the database knows, sorted."""
    with reading(engine, "company_names") as connection:
        return sorted(connection.scalars(sa.select(COMPANIES.c.name)))


def known_stories(engine: Engine, *, since: datetime) -> dict[str, str]:
    """Return the keys of mentions stored at or after `since`, each with its original's id.

    URL keys and text keys together: a key's kind is part of what it digests.
    """
    original = sa.func.coalesce(MENTIONS.c.duplicate_of, MENTIONS.c.id)
    query = sa.select(MENTIONS.c.url_key, MENTIONS.c.text_key, original)
    known: dict[str, str] = {}
    with reading(engine, "known_stories", primary=True) as connection:
        for url_key, text_key, id_ in connection.execute(
            query.where(MENTIONS.c.stored_at >= since)
        ):
            known[url_key] = known[text_key] = id_
    known.pop("", None)
    return known


def fingerprints(engine: Engine, *, since: datetime) -> Iterator[tuple[str, bytes, datetime]]:
    """Yield id, fingerprint and time of the mentions stored at or after `since`.

    Those that say too little to have a fingerprint are left out.
    """
    told_at = sa.func.coalesce(MENTIONS.c.published_at, MENTIONS.c.seen_at)
    query = (
        sa.select(MENTIONS.c.id, MENTION_TRAITS.c.fingerprint, told_at)
        .join_from(MENTIONS, MENTION_TRAITS, MENTIONS.c.id == MENTION_TRAITS.c.mention_id)
        .where(MENTIONS.c.stored_at >= since, MENTION_TRAITS.c.fingerprint != b"")
    )
    with reading(engine, "fingerprints", primary=True) as connection:
        rows = connection.execution_options(yield_per=FETCH_ROWS).execute(query)
        yield from rows


def counts(engine: Engine) -> dict[str, int]:
    """Return the number of rows of each table, and of the mentions that are "duplicates"."""
    tables = Base.metadata.sorted_tables
    sizes = [sa.select(sa.func.count()).select_from(table).scalar_subquery() for table in tables]
    copies = sa.select(sa.func.count(MENTIONS.c.duplicate_of)).scalar_subquery()
    with reading(engine, "row_counts") as connection:
        row = connection.execute(sa.select(*sizes, copies)).one()
    return dict(zip([*(table.name for table in tables), "duplicates"], row, strict=True))


def read_position(cursor: str) -> int:
    """Return the position that a cursor stands for; ArgumentError where it is none."""
    if _CURSOR.fullmatch(cursor) and (position := int(cursor)) < MOST_POSITION:
        return position
    raise ArgumentError(f"no cursor {cursor!r}; give that of the last alert shown")


def _alert_rows(
    connection: Connection, rows: Collection[sa.Row[*tuple[Any, ...]]]
) -> list[AlertRow]:
    ids = {row.id for row in rows}
    companies, duplicates = read_companies(connection, ids), _duplicates(connection, ids)
    return [
        AlertRow(
            **row._mapping,
            companies=tuple(companies.get(row.id, ())),
            duplicates=duplicates.get(row.id, 0),
        )
        for row in rows
    ]


def _duplicates(connection: Connection, ids: Collection[str]) -> dict[str, int]:
    original = MENTIONS.c.duplicate_of
    query = sa.select(original, sa.func.count()).group_by(original)
    return {row[0]: row[1] for row in select_in(connection, query, original, ids)}
