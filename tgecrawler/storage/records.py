"""The rows beside the mentions: companies, the health of sources, and runs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

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
    """What was learnt of one source; None stands for nothing learnt, and changes nothing.

    ``consecutive_failures`` counts those since its last success here; without a
    success they add to what the row has. ``polls`` and ``not_modified`` are
    added to the row's. ``settled`` is set once all of a body came to rest.
    """

    slug: str
    url: str
    owner: str
    tier: int
    last_success_at: datetime | None = None
    last_error: str = ""
    last_error_at: datetime | None = None
    consecutive_failures: int = 0
    polls: int = 0
    not_modified: int = 0
    settled: SettledBody | None = None
    polled_at: datetime | None = None
    next_poll_at: datetime | None = None
    changed_at: datetime | None = None
    whole_at: datetime | None = None
    unsettled_polls: int | None = None
    trusts_validators: bool | None = None
    history: str | None = None


class SettledBody(NamedTuple):
    """A body of which nothing is left to do, and the validators that came with it."""

    content_key: str
    etag: str = ""
    last_modified: str = ""


def write_companies(connection: Connection, companies: Iterable[WatchedCompany]) -> None:
    """Insert or update the watchlist's companies; none is deleted."""
    rows = {
        company.name: {"status": company.status, "priority": company.priority}
        for company in companies
    }
    cleaned = [clean_row(COMPANIES, {"name": name, **row}) for name, row in rows.items()]
    upsert(connection, COMPANIES, cleaned)


def write_sources(connection: Connection, health: Iterable[SourceHealth]) -> None:
    """Insert or update sources; what was not learnt stays."""
    for record in health:
        learnt = _learnt(record)
        row = clean_row(SOURCES, {"last_error": "", **learnt})
        insert = insert_into(connection, SOURCES).values(row)
        changes: dict[str, Any] = {
            name: insert.excluded[name] for name in learnt if name not in _COUNTED
        }
        changes |= {name: SOURCES.c[name] + insert.excluded[name] for name in _COUNTED}
        if record.last_success_at is None:
            failures = SOURCES.c.consecutive_failures + record.consecutive_failures
            changes["consecutive_failures"] = failures
        connection.execute(insert.on_conflict_do_update(index_elements=["slug"], set_=changes))


_COUNTED = ("polls", "not_modified")


def _learnt(record: SourceHealth) -> dict[str, Any]:
    """Return the columns that a record has something to say about."""
    row = {name: value for name, value in asdict(record).items() if value is not None}
    if record.last_error_at is None:
        del row["last_error"]
    if settled := row.pop("settled", None):
        row |= SettledBody(*settled)._asdict()
    return row


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
