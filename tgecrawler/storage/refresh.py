"""Makes anew what newer rules tell of stored mentions: their traits, and so their events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from tgecrawler.domain.event_traits import traits_of
from tgecrawler.domain.near_duplicate import make_fingerprint
from tgecrawler.items import Assessment
from tgecrawler.storage.batch import TRAITS_VERSION, traits_row
from tgecrawler.storage.companies import read_companies
from tgecrawler.storage.events import EventChanges, entities_of, regroup
from tgecrawler.storage.models import MENTION_TEXTS, MENTION_TRAITS, MENTIONS
from tgecrawler.storage.traits import write_traits

if TYPE_CHECKING:
    from collections.abc import Container
    from datetime import datetime

    from sqlalchemy import Connection

AT_ONCE = 500

_READ = (
    "id",
    "title",
    "summary",
    "score",
    "kind",
    "status",
    "project",
    "token",
    "exchange",
)


def refresh_traits(
    connection: Connection,
    anybodys: Container[str],
    ordinary: Container[str],
    now: datetime,
) -> tuple[int, EventChanges]:
    """Bring up to date the traits and events of some mentions that other rules have read.

    Returns how many there were, at most `AT_ONCE`, and what became of events; 0 when all
    are up to date.

    Args:
        anybodys, ordinary: as ``traits_of`` and ``make_fingerprint`` take them.
    """
    rows = connection.execute(_OUTDATED).all()
    companies = read_companies(connection, {row.id for row in rows})
    touched: set[str] = set()
    if rows:
        traits = [_traits(row, companies.get(row.id, []), anybodys, ordinary) for row in rows]
        touched = write_traits(connection, traits)
        touched |= entities_of(connection, {row.id for row in rows})
    return len(rows), regroup(connection, touched, now)


def _traits(
    row: Any, companies: list[str], anybodys: Container[str], ordinary: Container[str]
) -> dict[str, Any]:
    assessment = Assessment(
        score=row.score,
        relevant=True,
        kind=row.kind,
        status=row.status,
        companies=tuple(companies),
        project=row.project,
        token=row.token,
        exchange=row.exchange,
    )
    traits = traits_of(row.title, row.summary, row.text, assessment, anybodys)
    fingerprint = make_fingerprint(
        row.title, row.summary, row.text, ordinary, project=traits.project, token=traits.token
    )
    return traits_row(row.id, traits, fingerprint)


_BODY = sa.func.coalesce(MENTION_TEXTS.c.text, "").label("text")
_VERSION = MENTION_TRAITS.c.version
_OUTDATED = (
    sa.select(*(MENTIONS.c[name] for name in _READ), _BODY)
    .join_from(MENTION_TRAITS, MENTIONS, MENTIONS.c.id == MENTION_TRAITS.c.mention_id)
    .join(MENTION_TEXTS, MENTION_TEXTS.c.mention_id == MENTIONS.c.id, isouter=True)
    # Not "other than": these two are found in the index, however many are up to date.
    .where(sa.or_(_VERSION < TRAITS_VERSION, _VERSION > TRAITS_VERSION))
    .limit(AT_ONCE)
)
