"""What happened by day, and how long it took: for reports, the API and the dashboard."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from tgecrawler.storage.engine import reading
from tgecrawler.storage.models import ALERTS, EVENTS, MENTIONS

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Engine


@dataclass(slots=True, kw_only=True)
class DayRow:
    """What a day (UTC) brought: alerts by kind, mentions with their copies, new events."""

    day: date
    mentions: int = 0
    events: int = 0
    alerts: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyRow:
    """Seconds from publication to alert: nearest ranks of ``alerts`` values; None of none."""

    alerts: int = 0
    p50_s: float | None = None
    p95_s: float | None = None
    p99_s: float | None = None


def daily_statistics(engine: Engine, *, since: datetime) -> list[DayRow]:
    """Return the days with something to tell from a moment on, the newest first."""
    days: dict[date, DayRow] = {}

    def row_of(day: Any) -> DayRow:
        day = day if isinstance(day, date) else date.fromisoformat(day)
        return days.setdefault(day, DayRow(day=day))

    with reading(engine, "daily_statistics") as connection:
        for day, count in connection.execute(_by_day(MENTIONS.c.stored_at, since)):
            row_of(day).mentions = count
        for day, count in connection.execute(_by_day(EVENTS.c.created_at, since)):
            row_of(day).events = count
        for day, count, kind in connection.execute(
            _by_day(ALERTS.c.created_at, since, ALERTS.c.kind)
        ):
            row_of(day).alerts[kind] = count
    return [days[day] for day in sorted(days, reverse=True)]


def alert_latency(engine: Engine, *, since: datetime) -> LatencyRow:
    """Return the percentiles of ``latency_s`` over the alerts made since a moment."""
    ranked = (
        sa.select(
            ALERTS.c.latency_s,
            sa.func.row_number().over(order_by=ALERTS.c.latency_s).label("place"),
            sa.func.count().over().label("total"),
        )
        .where(ALERTS.c.created_at >= since, ALERTS.c.latency_s.is_not(None))
        .subquery()
    )
    place = {share: (ranked.c.total * share + 99) // 100 for share in (50, 95, 99)}
    query = sa.select(ranked).where(ranked.c.place.in_(place.values()))
    with reading(engine, "alert_latency") as connection:
        rows = connection.execute(query).all()
    if not rows:
        return LatencyRow()
    total = rows[0].total
    by_place = {row.place: row.latency_s for row in rows}
    p50, p95, p99 = (by_place[(total * share + 99) // 100] for share in (50, 95, 99))
    return LatencyRow(alerts=total, p50_s=p50, p95_s=p95, p99_s=p99)


def _by_day(
    moment: sa.Column[Any], since: datetime, *columns: sa.Column[Any]
) -> sa.Select[*tuple[Any, ...]]:
    # The connection's time zone is UTC; SQLite stores UTC.
    day = sa.func.date(moment)
    query = sa.select(day, sa.func.count(), *columns).where(moment >= since)
    return query.group_by(day, *columns)
