"""The rows beside the mentions: companies, the health of sources, and runs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

import sqlalchemy as sa

from tgecrawler.storage.cleaning import clean_row
from tgecrawler.storage.models import COMPANIES, RUNS, SOURCES
from tgecrawler.storage.upsert import insert_into, upsert

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection


class WatchedCompany(Protocol):
    """What the database keeps of a company of the watchlist."""

    @property
    def name(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def priority(self) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceHealth:
    """What a run learnt of one source.

    ``consecutive_failures`` counts those of this run since its last success
    there; without a success they add to what the row has.
    """

    slug: str
    url: str
    owner: str
    tier: int
    last_success_at: datetime | None = None
    last_error: str = ""
    last_error_at: datetime | None = None
    consecutive_failures: int = 0
    etag: str | None = None
    last_modified: str | None = None


def write_companies(connection: Connection, companies: Iterable[WatchedCompany]) -> None:
    """Insert or update the watchlist's companies; none is deleted."""
    rows = {
        company.name: {"status": company.status, "priority": company.priority}
        for company in companies
    }
    cleaned = [clean_row(COMPANIES, {"name": name, **row}) for name, row in rows.items()]
    upsert(connection, COMPANIES, cleaned)


def write_sources(connection: Connection, health: Iterable[SourceHealth]) -> None:
    """Insert or update the health of sources; what a run did not learn stays."""
    rows = {record.slug: clean_row(SOURCES, asdict(record)) for record in health}
    if not rows:
        return
    insert = insert_into(connection, SOURCES)
    new, old = insert.excluded, SOURCES.c
    changes: dict[str, Any] = {name: new[name] for name in ("url", "owner", "tier")}
    for name in ("last_success_at", "last_error_at", "etag", "last_modified"):
        changes[name] = sa.func.coalesce(new[name], old[name])
    changes["last_error"] = sa.case(
        (new.last_error_at.is_(None), old.last_error), else_=new.last_error
    )
    changes["consecutive_failures"] = sa.case(
        (new.last_success_at.is_(None), old.consecutive_failures + new.consecutive_failures),
        else_=new.consecutive_failures,
    )
    statement = insert.on_conflict_do_update(index_elements=["slug"], set_=changes)
    connection.execute(statement, list(rows.values()))


def write_run(connection: Connection, report: dict[str, Any]) -> None:
    """Insert or replace a run by its report (shape: the run report as JSON)."""
    run = report["run"]
    finished = run.get("finished_at")
    row = {
        "id": run["id"],
        "spider": run["spider"],
        "started_at": datetime.fromisoformat(run["started_at"]),
        "finished_at": datetime.fromisoformat(finished) if finished else None,
        "reason": run.get("reason") or "",
        "report": report,
    }
    upsert(connection, RUNS, [clean_row(RUNS, row)])
