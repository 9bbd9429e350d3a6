"""Engines of SQLAlchemy, set up for SQLite or PostgreSQL."""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import NullPool

from tgecrawler.errors import DatabaseError
from tgecrawler.storage.error_line import database_error

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, Engine
    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.pool import ConnectionPoolEntry

    from tgecrawler.storage.engine_settings import EngineSettings

EXAMPLES = "write sqlite:///var/tge.db or postgresql://user@host/name"
DRIVERS = {
    "sqlite": "sqlite",
    "sqlite+pysqlite": "sqlite",
    "postgres": "postgresql+psycopg2",
    "postgresql": "postgresql+psycopg2",
    "postgresql+psycopg2": "postgresql+psycopg2",
}
WAL_RETRY_S = 0.01

# A server that vanished without a word is noticed after about a minute.
KEEPALIVES = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}


def _to_json(value: object) -> str:
    return orjson.dumps(value).decode()


ENGINE_ARGUMENTS: dict[str, Any] = {
    "json_serializer": _to_json,  # writes null for NaN and infinity, which PostgreSQL refuses
    "json_deserializer": orjson.loads,
    "hide_parameters": True,  # whole articles in a traceback help nobody
}


def parse_url(url: str) -> URL:
    """Return a database's address with the driver that it is read by.

    Raises:
        DatabaseError: it is none, or of no engine that we know.
    """
    try:
        parsed = sa.make_url(url)
    except (ArgumentError, ValueError):
        # The text is not shown: it may hold a password in a place where nobody looks.
        raise DatabaseError(f"the database URL cannot be read; {EXAMPLES}") from None
    driver = DRIVERS.get(parsed.drivername)
    if driver is None:
        raise DatabaseError(f"no database engine {parsed.drivername!r}; {EXAMPLES}")
    return parsed.set(drivername=driver)


def make_engine(url: URL, settings: EngineSettings, *, pooled: bool = True) -> Engine:
    """Return an engine that has not connected yet; folders of an SQLite file are made.

    Args:
        url: of `parse_url`.
        pooled: False makes each connection anew and closes it after use.
    """
    arguments = ENGINE_ARGUMENTS | (_pool(settings) if pooled else {"poolclass": NullPool})
    if url.drivername == "sqlite":
        return _sqlite(url, settings, arguments)
    return _postgresql(url, settings, arguments)


def _pool(settings: EngineSettings) -> dict[str, Any]:
    return {
        "pool_size": settings.pool_size,
        "max_overflow": settings.pool_overflow,
        "pool_timeout": settings.pool_timeout_s,
        "pool_reset_on_return": "rollback",
    }


def _sqlite(url: URL, settings: EngineSettings, arguments: dict[str, Any]) -> Engine:
    _prepare_file(url)
    engine = sa.create_engine(url, **arguments)

    @event.listens_for(engine, "connect")
    def _configure(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        # sqlite3 would begin transactions by itself, and never IMMEDIATE ones.
        connection.isolation_level = None
        connection.execute(f"PRAGMA busy_timeout = {int(settings.lock_wait_s * 1_000)}")
        _enter_wal(connection, settings.lock_wait_s)
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("tge_write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _enter_wal(connection: DBAPIConnection, wait_s: float) -> None:
    """Switch to write-ahead logging; of processes that do so together, one is refused at once.

    SQLite does not apply its busy timeout there, for fear of a deadlock.
    """
    deadline = time.monotonic() + wait_s
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            if not busy or time.monotonic() > deadline:
                raise
            time.sleep(WAL_RETRY_S)
        else:
            return


def _prepare_file(url: URL) -> None:
    if url.database in (None, "", ":memory:"):
        # Each thread would have a database of its own.
        raise DatabaseError("a database in memory cannot be used; write sqlite:///var/tge.db")
    path = Path(str(url.database))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise database_error(error, url) from error
    target = path if path.exists() else path.parent
    effective = os.access in os.supports_effective_ids
    if not os.access(target, os.W_OK, effective_ids=effective):
        raise DatabaseError(f"the database {path} cannot be used: {target} is not writable")


def _postgresql(url: URL, settings: EngineSettings, arguments: dict[str, Any]) -> Engine:
    defaults = KEEPALIVES | {
        "application_name": settings.application_name,
        "connect_timeout": settings.connect_timeout_s,
    }
    if "poolclass" not in arguments:
        # a server that was restarted is noticed before a query is sent to it
        arguments |= {"pool_pre_ping": True, "pool_recycle": settings.pool_recycle_s}
    engine = sa.create_engine(
        url,
        connect_args={name: value for name, value in defaults.items() if name not in url.query},
        # Without it each row of an ON CONFLICT is a round trip: 1,500 rows/s, not 4,000.
        executemany_mode="values_plus_batch",
        **arguments,
    )

    @event.listens_for(engine, "connect")
    def _configure(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        # In another zone the earliest times fall before the year 1, which Python lacks.
        cursor.execute(f"SET TIME ZONE 'UTC'; {statement_timeout(settings.statement_timeout_s)}")
        cursor.close()
        connection.commit()

    return engine


def statement_timeout(seconds: float, scope: str = "SESSION") -> str:
    """Return the statement that bounds those after it on PostgreSQL; 0 lifts the bound."""
    return f"SET {scope} statement_timeout = {int(seconds * 1_000)}"
