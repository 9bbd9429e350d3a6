"""The one way into the database: a batch is a transaction, and may be written again."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sa

from tgecrawler.storage import partitions, records
from tgecrawler.storage.alert_rows import write_alerts
from tgecrawler.storage.batch import (
    ASSESSMENT_COLUMNS,
    FACTS,
    Batch,
    WriteResult,
    company_names,
    mention_rows,
    near_copies,
    rejected_rows,
    text_rows,
    traits_rows,
)
from tgecrawler.storage.companies import read_companies
from tgecrawler.storage.engine import write_transaction
from tgecrawler.storage.events import EventChanges, add_edit, entities_of, regroup
from tgecrawler.storage.models import COMPANIES, MENTION_COMPANIES, MENTIONS, SEEN
from tgecrawler.storage.outbox import announce
from tgecrawler.storage.refresh import refresh_traits
from tgecrawler.storage.retry import ATTEMPTS, with_retries
from tgecrawler.storage.stories import (
    Stories,
    demote_originals,
    insert_mentions,
    read_stories,
)
from tgecrawler.storage.traits import (
    settle_entities,
    tokens_of,
    write_near_copies,
    write_traits,
)
from tgecrawler.storage.upsert import insert_into, insert_missing, select_in

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Container, Iterable, Sequence
    from datetime import date

    from sqlalchemy import Connection, Engine

    from tgecrawler.domain.event_edits import EditAction
    from tgecrawler.storage.outbox import News
    from tgecrawler.storage.records import SourceHealth, WatchedCompany

KEPT_OUTCOMES = ("stored", "duplicate")
"""Outcomes in ``seen`` of entries that have a row in ``mentions``."""

# An IN list cannot be part of a statement that is run for many rows.
_KEPT = sa.or_(*(SEEN.c.outcome == outcome for outcome in KEPT_OUTCOMES))

Row = dict[str, Any]
T = TypeVar("T")


class Writer:
    """Writes in transactions that exclude other writers, and tries again where that helps.

    Blocking: call it from a thread of its own. The same rows result in whatever
    order, batches and repetition the same mentions are written.

    Args:
        engine: of ``storage.engine.create_engine``, with its schema in place.
        clock: returns the present moment, aware UTC.
        sleep: waits for a number of seconds between attempts.
        attempts: how often a transaction is tried where its failure may pass.
        announces: write into the outbox what is new of alerts and events; see
            ``storage.outbox``.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], None] = time.sleep,
        attempts: int = ATTEMPTS,
        announces: bool = False,
    ) -> None:
        self.engine = engine
        self.clock = clock
        self.sleep = sleep
        self._months: set[date] = set()
        self.attempts = attempts
        self.announces = announces

    def write(self, batch: Batch) -> WriteResult:
        """Return what became of `batch`, once it is committed as a whole.

        A batch whose commit went through although its connection was lost is
        written again, and then reports no new rows and no alerts.

        Raises:
            DatabaseError: nothing of it was written; a DatabaseRefusalError where that is
                the rows' fault.
            ValueError: a mention without an assessment.
        """
        now = self.clock()
        rows = _Rows(
            mentions=mention_rows(batch, now),
            texts=text_rows(batch, now),
            companies=company_names(batch),
            traits=traits_rows(batch),
            near=near_copies(batch),
            rejected=rejected_rows(batch),
        )
        month = partitions.month_of(now)

        def write(connection: Connection) -> WriteResult:
            if month not in self._months:
                partitions.ensure_months(connection, month)
            result, news = _write(connection, rows, now)
            self._announce(connection, news, now)
            return result

        result = self._run("write_batch", write)
        self._months.add(month)
        return result

    def edit_events(self, action: EditAction, mentions: Sequence[str]) -> EventChanges:
        """Join the events of some mentions ("merge"), or make these an event ("split").

        Remembered: the next grouping keeps to it.
        """
        now = self.clock()

        def edit(connection: Connection) -> EventChanges:
            changes = add_edit(connection, action, mentions, now)
            self._announce(connection, changes.news, now)
            return changes

        return self._run("edit_events", edit)

    def refresh_traits(self, anybodys: Container[str], ordinary: Container[str]) -> int:
        """Bring the traits and events of stored mentions up to this version's rules.

        In transactions of a few hundred; returns how many mentions there were.
        """

        def refresh(connection: Connection) -> int:
            now = self.clock()
            count, changes = refresh_traits(connection, anybodys, ordinary, now)
            self._announce(connection, changes.news, now)
            return count

        done = 0
        while count := self._run("refresh_traits", refresh):
            done += count
        return done

    def sync_companies(self, companies: Iterable[WatchedCompany]) -> None:
        """Insert or update the watchlist's companies; to be called once at the start."""
        listed = list(companies)
        self._run("sync_companies", lambda connection: records.write_companies(connection, listed))

    def record_sources(self, health: Iterable[SourceHealth]) -> None:
        """Insert or update what a run learnt of its sources."""
        listed = list(health)
        self._run("record_sources", lambda connection: records.write_sources(connection, listed))

    def write_run(self, report: dict[str, Any]) -> None:
        """Insert or replace a run by its report."""
        self._run("write_run", lambda connection: records.write_run(connection, report))

    def _announce(self, connection: Connection, news: Sequence[News], now: datetime) -> None:
        if self.announces:
            announce(connection, news, now)

    def _run(self, name: str, action: Callable[[Connection], T]) -> T:
        def attempt() -> T:
            with write_transaction(self.engine, name) as connection:
                return action(connection)

        return with_retries(attempt, url=self.engine.url, sleep=self.sleep, attempts=self.attempts)


@dataclass(frozen=True, slots=True)
class _Rows:
    """What a batch writes; all but ``rejected`` by the mention's id. Not all have a text."""

    mentions: dict[str, Row]
    texts: dict[str, Row]
    companies: dict[str, list[str]]
    traits: dict[str, Row]
    near: dict[str, tuple[tuple[str, float], ...]]
    rejected: list[Row]


def _write(connection: Connection, rows: _Rows, now: datetime) -> tuple[WriteResult, list[News]]:
    """Return what became of the rows, and what of it is to be told."""
    mentions = rows.mentions
    versions = _stored_versions(connection, mentions)
    met = {id_: [other for other, _ in rows.near[id_]] for id_ in mentions}
    stories = read_stories(connection, mentions, versions.keys(), met)
    outdated = {
        id_ for id_, version in versions.items() if version != mentions[id_]["rules_version"]
    }
    judged = stories.fresh | outdated
    insert_mentions(connection, mentions, rows.texts, stories)
    otherwise = _judged_otherwise(connection, rows, outdated)
    _update_assessments(connection, [mentions[id_] for id_ in sorted(outdated)])
    _write_companies(connection, {id_: rows.companies[id_] for id_ in judged}, outdated)
    write_near_copies(connection, {id_: rows.near[id_] for id_ in stories.fresh})
    demote_originals(connection, stories)
    alerts = write_alerts(connection, stories, outdated, now)
    events = _write_events(connection, [rows.traits[id_] for id_ in sorted(judged)], stories, now)
    _write_seen(connection, mentions, stories)
    _write_rejected(connection, rows.rejected)
    result = WriteResult(
        outcomes={id_: _outcome(stories, id_) for id_ in mentions},
        new_rows=len(stories.fresh),
        alerts=tuple(sorted(alerts.new)),
        events=events.new,
        changed_events=events.changed,
    )
    shown = [id_ for id_ in otherwise if stories.originals[id_] == id_]
    return result, [*alerts.news(shown), *events.news]


def _write_events(
    connection: Connection, traits: list[Row], stories: Stories, now: datetime
) -> EventChanges:
    touched = write_traits(connection, traits)
    touched |= settle_entities(connection, tokens_of(connection, stories.demoted))
    return regroup(connection, touched | entities_of(connection, stories.touched), now)


def _outcome(stories: Stories, id_: str) -> Any:
    return "stored" if stories.originals[id_] == id_ else "duplicate"


def _stored_versions(connection: Connection, ids: Collection[str]) -> dict[str, str]:
    query = sa.select(MENTIONS.c.id, MENTIONS.c.rules_version)
    return {row.id: row.rules_version for row in select_in(connection, query, MENTIONS.c.id, ids)}


def _judged_otherwise(connection: Connection, rows: _Rows, outdated: Collection[str]) -> list[str]:
    """Return the mentions of which newer rules say something else; a score alone is nothing."""
    if not outdated:
        return []
    companies = read_companies(connection, outdated)
    query = sa.select(MENTIONS.c.id, *(MENTIONS.c[name] for name in FACTS))
    return [
        row.id
        for row in select_in(connection, query, MENTIONS.c.id, outdated)
        if list(row)[1:] != [rows.mentions[row.id][name] for name in FACTS]
        or companies.get(row.id, []) != rows.companies[row.id]
    ]


def _update_assessments(connection: Connection, rows: list[Row]) -> None:
    if not rows:
        return
    changes: Row = {name: sa.bindparam(f"new_{name}") for name in ASSESSMENT_COLUMNS}
    update = sa.update(MENTIONS).where(MENTIONS.c.id == sa.bindparam("old_id")).values(changes)
    values = [{f"new_{name}": row[name] for name in ASSESSMENT_COLUMNS} for row in rows]
    connection.execute(
        update, [{**new, "old_id": row["id"]} for new, row in zip(values, rows, strict=True)]
    )


def _write_companies(
    connection: Connection, names: dict[str, list[str]], outdated: Collection[str]
) -> None:
    if outdated:
        gone = [{"gone": id_} for id_ in outdated]
        mention = MENTION_COMPANIES.c.mention_id
        connection.execute(
            sa.delete(MENTION_COMPANIES).where(mention == sa.bindparam("gone")), gone
        )
    listed = sorted({name for listed in names.values() for name in listed})
    # A company that the watchlist has lost since: its row must exist for the reference.
    insert_missing(
        connection, COMPANIES, [{"name": name, "status": "", "priority": ""} for name in listed]
    )
    rows = [
        {"mention_id": id_, "company": name, "position": position}
        for id_ in sorted(names)
        for position, name in enumerate(names[id_])
    ]
    insert_missing(connection, MENTION_COMPANIES, rows)


def _write_seen(connection: Connection, rows: dict[str, Row], stories: Stories) -> None:
    values = [
        {
            "id": id_,
            "outcome": _outcome(stories, id_),
            "rules_version": row["rules_version"],
            "seen_at": row["seen_at"],
        }
        for id_, row in rows.items()
    ]
    if not values:
        return
    insert = insert_into(connection, SEEN)
    new = insert.excluded
    first = sa.case((_KEPT, SEEN.c.seen_at), else_=new.seen_at)
    changes = {"outcome": new.outcome, "rules_version": new.rules_version, "seen_at": first}
    connection.execute(insert.on_conflict_do_update(index_elements=["id"], set_=changes), values)


def _write_rejected(connection: Connection, values: list[Row]) -> None:
    """Insert what was rejected; a kept entry stays kept, and the same verdict stays as it was."""
    if not values:
        return
    insert = insert_into(connection, SEEN)
    changes = {name: insert.excluded[name] for name in ("outcome", "rules_version", "seen_at")}
    differs = sa.and_(sa.not_(_KEPT), SEEN.c.rules_version != insert.excluded.rules_version)
    connection.execute(
        insert.on_conflict_do_update(index_elements=["id"], set_=changes, where=differs), values
    )
