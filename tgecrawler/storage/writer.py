"""The one way into the database: a batch is a transaction, and may be written again."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sa

from tgecrawler.storage import records
from tgecrawler.storage.batch import (
    ASSESSMENT_COLUMNS,
    Batch,
    WriteResult,
    company_names,
    mention_rows,
    rejected_rows,
)
from tgecrawler.storage.engine import write_transaction
from tgecrawler.storage.models import COMPANIES, MENTION_COMPANIES, MENTIONS, SEEN
from tgecrawler.storage.retry import with_retries
from tgecrawler.storage.stories import (
    Stories,
    demote_originals,
    insert_mentions,
    move_alerts,
    read_stories,
)
from tgecrawler.storage.upsert import insert_into, insert_missing, select_in

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from sqlalchemy import Connection, Engine

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
    """

    def __init__(
        self,
        engine: Engine,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.engine = engine
        self.clock = clock
        self.sleep = sleep

    def write(self, batch: Batch) -> WriteResult:
        """Return what became of `batch`, once it is committed as a whole.

        A batch whose commit went through although its connection was lost is
        written again, and then reports no new rows and no alerts.

        Raises:
            DatabaseError: nothing of it was written.
            ValueError: a mention without an assessment.
        """
        now = self.clock()
        rows, names, rejected = mention_rows(batch, now), company_names(batch), rejected_rows(batch)
        return self._run(lambda connection: _write(connection, rows, names, rejected, now))

    def sync_companies(self, companies: Iterable[WatchedCompany]) -> None:
        """Insert or update the watchlist's companies; to be called once at the start."""
        listed = list(companies)
        self._run(lambda connection: records.write_companies(connection, listed))

    def record_sources(self, health: Iterable[SourceHealth]) -> None:
        """Insert or update what a run learnt of its sources."""
        listed = list(health)
        self._run(lambda connection: records.write_sources(connection, listed))

    def write_run(self, report: dict[str, Any]) -> None:
        """Insert or replace a run by its report."""
        self._run(lambda connection: records.write_run(connection, report))

    def _run(self, action: Callable[[Connection], T]) -> T:
        def attempt() -> T:
            with write_transaction(self.engine) as connection:
                return action(connection)

        return with_retries(attempt, url=self.engine.url, sleep=self.sleep)


def _write(
    connection: Connection,
    rows: dict[str, Row],
    names: dict[str, list[str]],
    rejected: list[Row],
    now: datetime,
) -> WriteResult:
    versions = _stored_versions(connection, rows)
    stories = read_stories(connection, rows, versions)
    outdated = {id_ for id_, version in versions.items() if version != rows[id_]["rules_version"]}
    insert_mentions(connection, rows, stories)
    _update_assessments(connection, [rows[id_] for id_ in sorted(outdated)])
    _write_companies(connection, {id_: names[id_] for id_ in stories.fresh | outdated}, outdated)
    demote_originals(connection, stories)
    alerts = move_alerts(connection, stories, now)
    _write_seen(connection, rows, stories)
    _write_rejected(connection, rejected)
    return WriteResult(
        outcomes={id_: _outcome(stories, id_) for id_ in rows},
        new_rows=len(stories.fresh),
        alerts=alerts,
    )


def _outcome(stories: Stories, id_: str) -> Any:
    return "stored" if stories.originals[id_] == id_ else "duplicate"


def _stored_versions(connection: Connection, ids: Collection[str]) -> dict[str, str]:
    query = sa.select(MENTIONS.c.id, MENTIONS.c.rules_version)
    return {row.id: row.rules_version for row in select_in(connection, query, MENTIONS.c.id, ids)}


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
