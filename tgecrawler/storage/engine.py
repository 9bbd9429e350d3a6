"""Engines and transactions, the same to callers on SQLite and PostgreSQL."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

import orjson
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from tgecrawler.errors import DatabaseError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import URL, Connection, Engine
    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.pool import ConnectionPoolEntry

EXAMPLES = "write sqlite:///var/tge.db or postgresql://user@host/name"
DRIVERS = {
    "sqlite": "sqlite",
    "sqlite+pysqlite": "sqlite",
    "postgres": "postgresql+psycopg2",
    "postgresql": "postgresql+psycopg2",
    "postgresql+psycopg2": "postgresql+psycopg2",
}
LOCK_WAIT_S = 30.0
"""How long a writer waits for another. A batch of 500 takes 0.1 s; a migration takes longest."""

WAL_RETRY_S = 0.01

WRITER_LOCK = 0x7467_6300
"""Key of the advisory lock under which PostgreSQL is written ("tgc" and a zero byte)."""

POSTGRESQL_DEFAULTS: dict[str, str | int] = {
    "application_name": "tgecrawler",
    "connect_timeout": 10,
    # A server that vanished without a word is noticed after about a minute.
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}


def _to_json(value: object) -> str:
    return orjson.dumps(value).decode()


ENGINE_ARGUMENTS: dict[str, Any] = {
    "json_serializer": _to_json,  # writes null for NaN and infinity, which PostgreSQL refuses
    "json_deserializer": orjson.loads,
    "hide_parameters": True,  # whole articles in a traceback help nobody
}


def create_engine(url: str, *, lock_wait_s: float = LOCK_WAIT_S) -> Engine:
    """Return an engine that has reached its database once.

    Args:
        url: ``sqlite:///path`` (relative to the working directory; folders are
            made) or ``postgresql://…``.
        lock_wait_s: how long a writing transaction waits for its turn.

    Raises:
        DatabaseError: the URL is not of these, or the database cannot be used.
    """
    parsed = _parsed(url)
    engine = _sqlite(parsed, lock_wait_s) if parsed.drivername == "sqlite" else _postgresql(parsed)
    engine.update_execution_options(tge_lock_wait_s=lock_wait_s)
    try:
        with engine.connect() as connection:
            connection.execute(sa.text("SELECT 1"))
    except (SQLAlchemyError, UnicodeError) as error:
        engine.dispose()
        raise database_error(error, parsed) from error
    return engine


@contextmanager
def write_transaction(engine: Engine) -> Iterator[Connection]:
    """Yield a connection in a transaction that no other writer of ours is in.

    Commits at the end, rolls back on any exception. SQLite begins IMMEDIATE;
    PostgreSQL takes an advisory lock that ends with the transaction.
    """
    with engine.connect() as connection:
        connection = connection.execution_options(tge_write=True)
        with connection.begin():
            if connection.dialect.name == "postgresql":
                wait_ms = int(connection.get_execution_options()["tge_lock_wait_s"] * 1_000)
                connection.execute(sa.text(f"SET LOCAL lock_timeout = {wait_ms}"))
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(WRITER_LOCK)))
            yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Yield a connection whose failures are told in one line (DatabaseError)."""
    try:
        with engine.connect() as connection:
            yield connection
    except SQLAlchemyError as error:
        raise database_error(error, engine.url) from error


def database_error(error: BaseException, url: URL) -> DatabaseError:
    """Return ``error`` as one line that names the database and bears no password."""
    cause = getattr(error, "orig", None) or error
    line = " ".join(str(cause).strip().splitlines()[:1]) or type(cause).__name__
    place = url.database if url.drivername == "sqlite" else url.render_as_string()
    message = f"the database {place} cannot be used: {line}"
    for secret in _secrets(url):
        message = message.replace(secret, "***")
    return DatabaseError(message)


def _secrets(url: URL) -> list[str]:
    found = [value for name, value in url.query.items() if "pass" in name]
    texts = [text for text in [url.password, *found] if isinstance(text, str) and text]
    return [form for text in texts for form in (text, quote(text, safe=""), quote_plus(text))]


def _parsed(url: str) -> URL:
    try:
        parsed = sa.make_url(url)
    except (ArgumentError, ValueError):
        # The text is not shown: it may hold a password in a place where nobody looks.
        raise DatabaseError(f"the database URL cannot be read; {EXAMPLES}") from None
    driver = DRIVERS.get(parsed.drivername)
    if driver is None:
        raise DatabaseError(f"no database engine {parsed.drivername!r}; {EXAMPLES}")
    return parsed.set(drivername=driver)


def _sqlite(url: URL, lock_wait_s: float) -> Engine:
    _prepare_file(url)
    engine = sa.create_engine(url, **ENGINE_ARGUMENTS)

    @event.listens_for(engine, "connect")
    def _configure(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        # sqlite3 would begin transactions by itself, and never IMMEDIATE ones.
        connection.isolation_level = None
        connection.execute(f"PRAGMA busy_timeout = {int(lock_wait_s * 1_000)}")
        _enter_wal(connection, lock_wait_s)
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


def _postgresql(url: URL) -> Engine:
    connect_args: dict[str, Any] = {
        name: value for name, value in POSTGRESQL_DEFAULTS.items() if name not in url.query
    }
    engine = sa.create_engine(
        url,
        connect_args=connect_args,
        pool_pre_ping=True,
        # Without it each row of an ON CONFLICT is a round trip: 1,500 rows/s, not 4,000.
        executemany_mode="values_plus_batch",
        **ENGINE_ARGUMENTS,
    )

    @event.listens_for(engine, "connect")
    def _configure(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        # In another zone the earliest times fall before the year 1, which Python lacks.
        cursor = connection.cursor()
        cursor.execute("SET TIME ZONE 'UTC'")
        cursor.close()
        connection.commit()

    return engine
