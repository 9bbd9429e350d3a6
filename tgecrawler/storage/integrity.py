"""What is amiss in the stored rows: damage, and copies of a value that are not equal.

Some values stand in two places, so that lists are read from one index; the writer keeps
them equal, and nothing else would tell where they are not. Every look is one statement,
which sees whole batches however many are written meanwhile.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.exc import DatabaseError as DamagedError

from tgecrawler.storage import partitions
from tgecrawler.storage.batch import TRAITS_VERSION
from tgecrawler.storage.models import (
    ALERT_COMPANIES,
    ALERTS,
    EVENT_MENTIONS,
    EVENT_REDIRECTS,
    EVENTS,
    MENTION_COMPANIES,
    MENTION_TEXTS,
    MENTION_TRAITS,
    MENTIONS,
    OUTBOX,
    Base,
)
from tgecrawler.storage.upkeep import reading_at_length

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from sqlalchemy import Connection, Engine

MOST_LINES = 20
"""Lines of damage that SQLite is asked for; one is enough to restore a backup."""

WAITED = timedelta(days=2)
"""For how long news are told late; after that nobody seems to tell them."""

RESTORE = "restore a backup (scrapy db restore FILE --force)"
GROUP_ANEW = "UPDATE mention_traits SET version = '' lets the next crawl group all events anew"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What is amiss and what to do about it; a warning harms nothing yet."""

    what: str
    remedy: str
    warning: bool = False

    def __str__(self) -> str:
        return f"{'warning: ' if self.warning else ''}{self.what}: {self.remedy}"


def file_findings(engine: Engine) -> list[Finding]:
    """Return the damage of an SQLite file; of PostgreSQL nothing, which keeps its own pages.

    To be asked first: a damaged file answers other questions with errors.
    """
    if engine.dialect.name != "sqlite":
        return []
    try:
        with engine.connect() as connection:
            lines = list(connection.scalars(sa.text(f"PRAGMA integrity_check({MOST_LINES})")))
    except DamagedError as error:
        lines = [str(error.orig)]
    found = [line.strip().splitlines()[0] for line in lines if line != "ok"]
    return [Finding(what=f"the file is damaged ({line})", remedy=RESTORE) for line in found]


def data_findings(engine: Engine, now: datetime) -> list[Finding]:
    """Return what is amiss in the rows of a database whose schema is that of the models."""
    with reading_at_length(engine) as connection:
        if connection.dialect.name == "postgresql":
            own = [*_postgresql_findings(connection), *_month_findings(connection, now)]
        else:
            own = [*_foreign_keys(connection), *_search_findings(connection)]
        return [
            *own,
            *_mention_findings(connection),
            *_event_findings(connection),
            *_company_findings(connection),
            *_outbox_findings(connection, now),
        ]


def _count(what: str, found: Sequence[Any], remedy: str, *, warning: bool = False) -> list[Finding]:
    """Return a finding where there is one; `found` is how many, and the id of one of them."""
    count, example = found
    if not count:
        return []
    return [Finding(what=f"{count} {what}, such as {example}", remedy=remedy, warning=warning)]


def _foreign_keys(connection: Connection) -> Iterator[Finding]:
    rows = connection.execute(sa.text("PRAGMA foreign_key_check"))
    broken = Counter((row[0], row[2]) for row in rows)
    for (table, parent), count in sorted(broken.items()):
        yield Finding(
            what=f"{count} rows of {table} name a row that {parent} lacks", remedy=RESTORE
        )


def _search_findings(connection: Connection) -> list[Finding]:
    differs = sa.text(
        "SELECT count(*), min(id) FROM alerts LEFT JOIN alert_search ON alert_search.rowid ="
        " alerts.position WHERE alert_search.words IS NOT alerts.words"
    )
    left = sa.text(
        "SELECT count(*), min(rowid) FROM alert_search_docsize AS d"
        " WHERE NOT EXISTS (SELECT 1 FROM alerts WHERE position = d.id)"
    )
    anew = (
        "DELETE FROM alert_search; INSERT INTO alert_search (rowid, words)"
        " SELECT position, words FROM alerts makes the text search anew"
    )
    return [
        *_count("alerts are not found by their words", connection.execute(differs).one(), anew),
        *_count("entries of the text search are no alerts'", connection.execute(left).one(), anew),
    ]


def _postgresql_findings(connection: Connection) -> Iterator[Finding]:
    ours = [*Base.metadata.tables, "alembic_version"]
    mine = "(c.relname = ANY(:ours) OR c.relname LIKE 'mention\\_texts\\_____\\___')"
    invalid = (
        "SELECT i.indexrelid::regclass::text FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid"
        f" WHERE NOT i.indisvalid AND {mine} AND c.relnamespace = current_schema()::regnamespace"
        " ORDER BY 1"
    )
    for name in connection.scalars(sa.text(invalid), {"ours": ours}):
        yield Finding(
            what=f"the index {name} is not valid", remedy=f"REINDEX INDEX CONCURRENTLY {name}"
        )
    unchecked = (
        "SELECT c.relname, k.conname FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid"
        f" WHERE NOT k.convalidated AND {mine} AND c.relnamespace = current_schema()::regnamespace"
        " ORDER BY 1, 2"
    )
    for table, name in connection.execute(sa.text(unchecked), {"ours": ours}):
        yield Finding(
            what=f"the constraint {name} of {table} was never checked",
            remedy=f"ALTER TABLE {table} VALIDATE CONSTRAINT {name}",
        )


def _month_findings(connection: Connection, now: datetime) -> Iterator[Finding]:
    there = partitions.months(connection)
    wanted = partitions.months_from(partitions.month_of(now))
    if missing := [f"{month:%Y-%m}" for month in wanted if month not in there]:
        yield Finding(
            what=f"mention_texts has no partition for {', '.join(missing)}",
            remedy="scrapy db prune makes them, and so does the first crawl of a month",
            warning=True,
        )
    for name in partitions.detached(connection):
        yield Finding(
            what=f"{name} is no partition of mention_texts any more",
            remedy=f"DROP TABLE {name}, or attach it again",
            warning=True,
        )


_ORIGINAL = MENTIONS.alias("original")
_ORIGINALS_EVENT = EVENT_MENTIONS.alias("originals_event")
_CURRENT = MENTION_TRAITS.c.version == TRAITS_VERSION
_IS_ORIGINAL = MENTIONS.c.duplicate_of.is_(None)

# What is amiss with a mention, and what to do about it.
_OF_MENTIONS: tuple[tuple[str, sa.ColumnElement[bool], str], ...] = (
    (
        "mentions are copies of a copy",
        sa.or_(_ORIGINAL.c.duplicate_of.is_not(None), _ORIGINAL.c.id == MENTIONS.c.id),
        RESTORE,
    ),
    ("originals have no alert", sa.and_(_IS_ORIGINAL, ALERTS.c.id.is_(None)), RESTORE),
    ("copies have an alert", sa.and_(~_IS_ORIGINAL, ALERTS.c.id.is_not(None)), RESTORE),
    (
        "alerts do not say what their mention says",
        sa.or_(
            ALERTS.c.id != MENTIONS.c.id,
            ALERTS.c.kind != MENTIONS.c.kind,
            ALERTS.c.status != MENTIONS.c.status,
            ALERTS.c.score != MENTIONS.c.score,
        ),
        RESTORE,
    ),
    ("mentions have no traits", MENTION_TRAITS.c.mention_id.is_(None), RESTORE),
    (
        "mentions are in no event",
        sa.and_(_CURRENT, EVENT_MENTIONS.c.event_id.is_(None)),
        GROUP_ANEW,
    ),
    (
        "copies are not in the event of their original",
        sa.and_(_CURRENT, EVENT_MENTIONS.c.event_id != _ORIGINALS_EVENT.c.event_id),
        GROUP_ANEW,
    ),
)


def _mention_findings(connection: Connection) -> Iterator[Finding]:
    """Look at every mention once: the table is long, and reading it is most of the work."""
    month: sa.ColumnElement[Any] = sa.func.date(MENTIONS.c.stored_at, "start of month")
    if connection.dialect.name == "postgresql":
        at_utc = MENTIONS.c.stored_at.op("AT TIME ZONE")(sa.literal("UTC"))
        month = sa.cast(sa.func.date_trunc("month", at_utc), sa.Date)
    of_mentions = (
        *_OF_MENTIONS,
        ("bodies are in another month than their mention", MENTION_TEXTS.c.month != month, RESTORE),
    )
    outdated = MENTION_TRAITS.c.version != TRAITS_VERSION
    columns = [column for _, bad, _ in of_mentions for column in _counted(bad, MENTIONS.c.id)]
    query = sa.select(*columns, *_counted(outdated, MENTIONS.c.id)).select_from(
        MENTIONS.outerjoin(_ORIGINAL, _ORIGINAL.c.id == MENTIONS.c.duplicate_of)
        .outerjoin(ALERTS, ALERTS.c.mention_id == MENTIONS.c.id)
        .outerjoin(MENTION_TRAITS, MENTION_TRAITS.c.mention_id == MENTIONS.c.id)
        .outerjoin(EVENT_MENTIONS, EVENT_MENTIONS.c.mention_id == MENTIONS.c.id)
        .outerjoin(_ORIGINALS_EVENT, _ORIGINALS_EVENT.c.mention_id == MENTIONS.c.duplicate_of)
        .outerjoin(MENTION_TEXTS, MENTION_TEXTS.c.mention_id == MENTIONS.c.id)
    )
    figures = connection.execute(query).one()
    for place, (what, _, remedy) in enumerate(of_mentions):
        yield from _count(what, figures[2 * place : 2 * place + 2], remedy)
    yield from _count(
        "mentions were read by other rules",
        figures[-2:],
        "the next crawl brings them up to date",
        warning=True,
    )


def _event_findings(connection: Connection) -> Iterator[Finding]:
    """Look at the events. One without any mentions is history, whose mentions were let go."""
    event = EVENT_MENTIONS.c.event_id
    members = sa.select(event, sa.func.count().label("members")).group_by(event).subquery("members")
    told = EVENTS.c.mentions + EVENTS.c.copies
    query = sa.select(
        *_counted(members.c.members != told, EVENTS.c.id),
        *_counted(MENTIONS.c.id.is_(None), EVENTS.c.id),
    ).select_from(
        EVENTS.join(members, members.c.event_id == EVENTS.c.id).outerjoin(
            MENTIONS, MENTIONS.c.id == EVENTS.c.first_mention
        )
    )
    figures = connection.execute(query).one()
    yield from _count("events have not the mentions that they count", figures[:2], GROUP_ANEW)
    yield from _count("events lack their first mention", figures[2:], GROUP_ANEW)
    lost = sa.select(sa.func.count(), sa.func.min(EVENT_REDIRECTS.c.old_id)).where(
        ~sa.exists().where(EVENTS.c.id == EVENT_REDIRECTS.c.new_id)
    )
    remedy = (
        "DELETE FROM event_redirects WHERE NOT EXISTS"
        " (SELECT 1 FROM events WHERE events.id = new_id)"
    )
    yield from _count("old ids lead to no event", connection.execute(lost).one(), remedy)


def _company_findings(connection: Connection) -> Iterator[Finding]:
    """Compare what lists by company are cut by with what it repeats."""
    for table, differences in (
        ("alert_companies", _alert_company_differences()),
        ("event_companies", _event_company_differences(connection.dialect.name)),
    ):
        found = connection.execute(differences).one()
        yield from _count(f"rows of {table} are missing, too many or outdated", found, RESTORE)


def _outbox_findings(connection: Connection, now: datetime) -> Iterator[Finding]:
    """Look at what is to be told. The newest row stays for good; see ``storage.retention``."""
    newest = sa.select(sa.func.max(OUTBOX.c.id)).scalar_subquery()
    old = sa.and_(OUTBOX.c.created_at < now - WAITED, OUTBOX.c.id < newest)
    yield from _count(
        "rows of the outbox are older than two days",
        connection.execute(sa.select(*_counted(old, OUTBOX.c.id))).one(),
        "a crawl with TGE_REDIS_URL tells and deletes them, scrapy db prune those of a month",
        warning=True,
    )
    if connection.dialect.name == "postgresql":
        behind = "SELECT count(*), min(last_value) FROM outbox_id_seq WHERE last_value <"
        yield from _count(
            "numbers of the outbox would be given twice",
            connection.execute(sa.text(f"{behind} (SELECT max(id) FROM outbox)")).one(),
            "SELECT setval('outbox_id_seq', (SELECT max(id) FROM outbox))",
        )


def _alert_company_differences() -> sa.Select[*tuple[Any, ...]]:
    """Count the companies of alerts that one of the two tables lacks, or has otherwise."""
    shown, named = ALERT_COMPANIES.c, MENTION_COMPANIES.c
    wrong = (
        sa.select(shown.alert_id.label("id"))
        .join_from(ALERT_COMPANIES, ALERTS, ALERTS.c.id == shown.alert_id)
        .outerjoin(
            MENTION_COMPANIES,
            sa.and_(named.mention_id == ALERTS.c.mention_id, named.company == shown.company),
        )
        .where(
            sa.or_(
                named.company.is_(None),
                shown.position != ALERTS.c.position,
                shown.score != ALERTS.c.score,
            )
        )
    )
    missing = (
        sa.select(ALERTS.c.id)
        .join_from(MENTION_COMPANIES, ALERTS, ALERTS.c.mention_id == named.mention_id)
        .outerjoin(
            ALERT_COMPANIES,
            sa.and_(shown.alert_id == ALERTS.c.id, shown.company == named.company),
        )
        .where(shown.company.is_(None))
    )
    both = sa.union_all(wrong, missing).subquery("differences")
    return sa.select(sa.func.count(), sa.func.min(both.c.id)).select_from(both)


def _event_company_differences(dialect: str) -> sa.TextClause:
    each = "json_each(e.companies) AS one"
    if dialect == "postgresql":
        each = "json_array_elements_text(e.companies) AS one(value)"
    return sa.text(
        "SELECT count(*), min(id) FROM ("
        f"SELECT e.id FROM events e CROSS JOIN {each} LEFT JOIN event_companies c"
        " ON c.event_id = e.id AND c.company = one.value WHERE c.event_id IS NULL"
        " OR c.last_seen_at <> e.last_seen_at OR c.confidence <> e.confidence"
        " UNION ALL SELECT e.id FROM event_companies c JOIN events e ON e.id = c.event_id"
        f" WHERE NOT EXISTS (SELECT 1 FROM {each} WHERE one.value = c.company)"
        ") AS differences"
    )


def _counted(
    bad: sa.ColumnElement[bool], id_: sa.Column[Any]
) -> tuple[sa.ColumnElement[Any], sa.ColumnElement[Any]]:
    """Return two columns: how many rows are `bad`, and the id of one of them."""
    return sa.func.count().filter(bad), sa.func.min(id_).filter(bad)
