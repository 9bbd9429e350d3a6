"""The alerts of the stories that a transaction touches, with what their lists are cut by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from tgecrawler.domain.search_words import search_words
from tgecrawler.storage.cleaning import clean_row
from tgecrawler.storage.companies import read_companies
from tgecrawler.storage.models import ALERT_COMPANIES, ALERTS, MENTIONS
from tgecrawler.storage.outbox import ALERT, CHANGED, NEW, News
from tgecrawler.storage.upsert import insert_missing, select_in

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime

    from sqlalchemy import Connection

    from tgecrawler.storage.stories import Stories

Row = dict[str, Any]

PLACES_A_MICROSECOND = 1_024
"""A position is that many times the microseconds since 1970: 63 bits reach to the year 2255."""

_FACTS = sa.select(
    MENTIONS.c.id,
    MENTIONS.c.kind,
    MENTIONS.c.status,
    MENTIONS.c.score,
    MENTIONS.c.title,
    MENTIONS.c.project,
    MENTIONS.c.token,
    MENTIONS.c.published_at,
    sa.func.coalesce(MENTIONS.c.published_at, MENTIONS.c.seen_at).label("told_at"),
)


@dataclass(frozen=True, slots=True)
class AlertChanges:
    """Alerts of new stories in order of time, and alerts that went over to an earlier mention.

    ``moved`` has pairs of the id that an alert had and the one that it has.
    """

    new: tuple[str, ...] = ()
    moved: tuple[tuple[str, str], ...] = ()

    def news(self, judged_otherwise: Collection[str]) -> list[News]:
        """Return what is to be told of them.

        Args:
            judged_otherwise: alerts that say something else than before, wherever they are.
        """
        told = [News(kind=ALERT, ref=id_, change=NEW) for id_ in self.new]
        told += [News(kind=ALERT, ref=to, change=CHANGED, was=was) for was, to in self.moved]
        rest = set(judged_otherwise) - {one.ref for one in told} - {was for was, _ in self.moved}
        return told + [News(kind=ALERT, ref=id_, change=CHANGED) for id_ in sorted(rest)]


def write_alerts(
    connection: Connection, stories: Stories, judged_anew: Collection[str], now: datetime
) -> AlertChanges:
    """Keep one alert for each story, on its original.

    Args:
        judged_anew: stored mentions with another assessment than before; those that
            have an alert hand it on.
    """
    demoted = stories.demoted
    stored = _read(connection, stories.changed | demoted.keys() | set(judged_anew))
    first: dict[str, sa.Row[Any]] = {}
    for row in sorted(stored, key=lambda row: row.position):
        first.setdefault(demoted.get(row.id, row.id), row)
    wanted = stories.changed | first.keys()
    if not wanted:
        return AlertChanges()
    facts = _in_time(select_in(connection, _FACTS, MENTIONS.c.id, wanted))
    new = [row for row in facts if row.id not in first]
    places = _places(connection, now, len(new)) if new else ()
    place_of = {row.id: place for row, place in zip(new, places, strict=True)}
    companies = read_companies(connection, wanted)
    alerts = [
        _alert(
            row,
            companies.get(row.id, []),
            created_at=first[row.id].created_at if row.id in first else now,
            position=first[row.id].position if row.id in first else place_of[row.id],
        )
        for row in facts
    ]
    _delete(connection, [*demoted, *first])
    insert_missing(connection, ALERTS, alerts)
    insert_missing(connection, ALERT_COMPANIES, list(_company_rows(alerts, companies)))
    moved = sorted((row.id, demoted[row.id]) for row in stored if row.id in demoted)
    return AlertChanges(tuple(place_of), tuple(moved))


def earliest_position(moment: datetime) -> int:
    """Return a position that no alert created at or after `moment` is below."""
    return _micros(moment) * PLACES_A_MICROSECOND


def _read(connection: Connection, ids: Collection[str]) -> list[sa.Row[Any]]:
    query = sa.select(ALERTS.c.id, ALERTS.c.created_at, ALERTS.c.position)
    return list(select_in(connection, query, ALERTS.c.id, ids))


def _delete(connection: Connection, ids: Collection[str]) -> None:
    """Delete alerts that come again under another id, or with other companies."""
    if ids:
        gone = [{"gone": id_} for id_ in ids]
        connection.execute(sa.delete(ALERTS).where(ALERTS.c.id == sa.bindparam("gone")), gone)


def _in_time(facts: Iterable[sa.Row[Any]]) -> list[sa.Row[Any]]:
    """Return rows as they were told; of two told at once the lesser id is last, and shown first."""
    by_id = sorted(facts, key=lambda row: str(row.id), reverse=True)
    return sorted(by_id, key=lambda row: row.told_at)  # keeps the order of equals


def _places(connection: Connection, now: datetime, count: int) -> range:
    """Return the next positions: by the clock, and above all that are taken."""
    highest = connection.scalar(sa.select(sa.func.max(ALERTS.c.position))) or 0
    start = max(earliest_position(now), highest + 1)
    return range(start, start + count)


def _micros(moment: datetime) -> int:
    # float has 53 bits, which a product with 10**6 would not fit
    return int(moment.timestamp()) * 1_000_000 + moment.microsecond


def _alert(facts: sa.Row[Any], companies: list[str], *, created_at: datetime, position: int) -> Row:
    published_at = facts.published_at
    row = {
        "id": facts.id,
        "mention_id": facts.id,
        "position": position,
        "created_at": created_at,
        "latency_s": (created_at - published_at).total_seconds() if published_at else None,
        "kind": facts.kind,
        "status": facts.status,
        "score": facts.score,
        "words": search_words(facts.title, facts.project, facts.token, *companies),
    }
    return clean_row(ALERTS, row)


def _company_rows(alerts: Collection[Row], companies: dict[str, list[str]]) -> Any:
    for alert in alerts:
        for company in companies.get(alert["id"], ()):
            yield {
                "alert_id": alert["id"],
                "company": company,
                "position": alert["position"],
                "score": alert["score"],
            }
