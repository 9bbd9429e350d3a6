"""What commands and the API read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from tgecrawler.domain.alert import ALERT_FIELDS, rfc3339
from tgecrawler.storage.companies import read_companies
from tgecrawler.storage.engine import reading
from tgecrawler.storage.models import (
    ALERTS,
    COMPANIES,
    EVENT_MENTIONS,
    MENTION_COMPANIES,
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
    """A source and its health; ``consecutive_failures`` counts those since its last success."""

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


def recent_alerts(
    engine: Engine,
    *,
    company: str | None = None,
    kind: str | None = None,
    since: datetime | None = None,
    min_score: float | None = None,
    limit: int = 50,
) -> list[AlertRow]:
    """Return the newest alerts first, in three queries whatever their number.

    Args:
        company: a watchlist name in any case of its ASCII letters.
        since: the earliest ``created_at``.
    """
    columns = [MENTIONS.c[name] for name in _FROM_MENTION]
    query = (
        sa.select(ALERTS.c.created_at, EVENT_MENTIONS.c.event_id, *columns)
        .join_from(ALERTS, MENTIONS, ALERTS.c.mention_id == MENTIONS.c.id)
        .outerjoin(EVENT_MENTIONS, EVENT_MENTIONS.c.mention_id == MENTIONS.c.id)
    )
    conditions = [
        _names(company) if company is not None else None,
        MENTIONS.c.kind == kind if kind is not None else None,
        ALERTS.c.created_at >= since if since is not None else None,
        MENTIONS.c.score >= min_score if min_score is not None else None,
    ]
    query = query.where(*(condition for condition in conditions if condition is not None))
    told_at = sa.func.coalesce(MENTIONS.c.published_at, MENTIONS.c.seen_at)  # within one batch
    order = (ALERTS.c.created_at.desc(), told_at.desc(), ALERTS.c.id)
    newest = query.order_by(*order).limit(limit)
    with reading(engine, "recent_alerts") as connection:
        return _alert_rows(connection, connection.execute(newest).all())


def recent_runs(engine: Engine, limit: int = 10) -> list[RunRow]:
    """Return the last runs, newest first."""
    query = sa.select(RUNS).order_by(RUNS.c.started_at.desc(), RUNS.c.id).limit(limit)
    with reading(engine, "recent_runs") as connection:
        return [RunRow(**row._mapping) for row in connection.execute(query)]


def source_health(engine: Engine) -> list[SourceRow]:
    """Return every source that was ever polled, by slug."""
    columns = [SOURCES.c[name] for name in SourceRow.__dataclass_fields__]
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


def _names(company: str) -> sa.ColumnElement[bool]:
    same = sa.func.lower(COMPANIES.c.name) == company.lower()
    named = sa.select(MENTION_COMPANIES.c.mention_id).where(
        MENTION_COMPANIES.c.company.in_(sa.select(COMPANIES.c.name).where(same))
    )
    return MENTIONS.c.id.in_(named)


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
