"""Room that deleted rows took, given back or made ready for others."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from tgecrawler.storage.engine import database_error
from tgecrawler.storage.models import Base
from tgecrawler.storage.upkeep import lift_timeout

if TYPE_CHECKING:
    from sqlalchemy import Engine


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """What the database took, in bytes: of SQLite the file, of PostgreSQL our tables."""

    before_bytes: int
    after_bytes: int


def vacuum(engine: Engine) -> Sizes:
    """Return the sizes before and after a vacuum, which takes minutes on a large database.

    SQLite writes the file anew, for which it needs as much room again; writers wait.
    PostgreSQL lets others read and write; it keeps the room for rows to come, and counts
    the rows anew, by which it plans its queries.

    Raises:
        DatabaseError: it failed, and the rows are as they were.
    """
    work = _vacuum_postgresql if engine.dialect.name == "postgresql" else _vacuum_sqlite
    try:
        before_bytes = size_bytes(engine)
        work(engine)
        return Sizes(before_bytes=before_bytes, after_bytes=size_bytes(engine))
    except (SQLAlchemyError, sqlite3.Error) as error:
        raise database_error(error, engine.url) from error


def analyze(engine: Engine) -> None:
    """Let PostgreSQL count rows that came all at once, before queries are planned by no counts."""
    if engine.dialect.name == "postgresql":
        with engine.begin() as connection:
            lift_timeout(connection)
            for table in Base.metadata.sorted_tables:
                connection.execute(sa.text(f"ANALYZE {table.name}"))


def _vacuum_sqlite(engine: Engine) -> None:
    # The driver's own connection: ours begins a transaction, and VACUUM is of none.
    with closing(engine.raw_connection()) as connection:
        cursor = connection.cursor()
        # The text search keeps what was deleted until its parts are merged. Its rows are found
        # by alerts.position, a column; a vacuum may give other numbers to hidden row ids alone.
        cursor.execute("INSERT INTO alert_search (alert_search) VALUES ('optimize')")
        cursor.execute("VACUUM")
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        cursor.close()


def _vacuum_postgresql(engine: Engine) -> None:
    with engine.connect() as connection:
        connection = connection.execution_options(isolation_level="AUTOCOMMIT")
        connection.execute(sa.text("SET statement_timeout = 0"))
        try:
            for table in Base.metadata.sorted_tables:
                connection.execute(sa.text(f"VACUUM (ANALYZE) {table.name}"))
        finally:
            connection.execute(sa.text("RESET statement_timeout"))


def size_bytes(engine: Engine) -> int:
    """Return what the database takes."""
    query = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
    values: dict[str, list[str]] = {}
    if engine.dialect.name == "postgresql":
        # A partitioned table has no pages of its own.
        query = (
            "SELECT sum(pg_total_relation_size(oid))::bigint FROM pg_class WHERE"
            " oid = ANY(CAST(:names AS regclass[])) OR oid IN (SELECT inhrelid FROM pg_inherits"
            " WHERE inhparent = ANY(CAST(:names AS regclass[])) AND relkind = 'r')"
        )
        values = {"names": [table.name for table in Base.metadata.sorted_tables]}
    with engine.connect() as connection:
        return int(connection.execute(sa.text(query), values).scalar_one())
