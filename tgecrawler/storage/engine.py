"""Engines and transactions, the same to callers on SQLite and PostgreSQL."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from tgecrawler.errors import DatabaseError
from tgecrawler.storage.database import ATTACHED, Database, database_of
from tgecrawler.storage.drivers import make_engine, parse_url, statement_timeout
from tgecrawler.storage.engine_settings import EngineSettings
from tgecrawler.storage.error_line import database_error
from tgecrawler.storage.query_timing import QueryTiming, tell_watches
from tgecrawler.storage.replica import Replica, ReplicaUsage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import URL, Connection, Engine

    from tgecrawler.storage.pool import PoolUsage

__all__ = [
    "WRITER_LOCK",
    "create_engine",
    "database_error",
    "pool_usage",
    "query_timings",
    "reading",
    "replica_usage",
    "write_transaction",
]

WRITER_LOCK = 0x7467_6300
"""Key of the advisory lock under which PostgreSQL is written ("tgc" and a zero byte)."""

BESIDE_TIMEOUT_S = 2
"""How long a server is waited for to be asked for its lag or a plan; libpq takes no less."""


def create_engine(url: str, settings: EngineSettings | None = None) -> Engine:
    """Return an engine that has reached its database once.

    Its replica, where the settings name one, is reached when something is to be
    read from it.

    Args:
        url: ``sqlite:///path`` (relative to the working directory; folders are
            made) or ``postgresql://…``.

    Raises:
        DatabaseError: a URL is not of these, or the database cannot be used.
    """
    settings = settings or EngineSettings()
    parsed = parse_url(url)
    replica = _replica(parsed, settings)
    engine, beside = _engines(parsed, settings)
    database = Database(engine, beside, settings, replica)
    engine.update_execution_options(**{ATTACHED: database})
    if replica is not None:
        event.listen(engine, "engine_disposed", lambda _: replica.dispose())
    try:
        with engine.connect() as connection:
            connection.execute(sa.text("SELECT 1"))
    except (SQLAlchemyError, UnicodeError) as error:
        engine.dispose()
        raise database_error(error, parsed) from error
    return engine


@contextmanager
def reading(engine: Engine, name: str, *, primary: bool = False) -> Iterator[Connection]:
    """Yield a connection whose failures are told in one line (DatabaseError).

    It may be the replica's, and show the database as it was a while ago.

    Args:
        name: of the query, under which its duration is counted.
        primary: the newest rows must be seen.
    """
    database = database_of(engine)
    watch = database.watch(name)
    server = engine
    try:
        with database.connect_to_read(primary=primary) as connection:
            server = connection.engine
            connection.begin()  # here: what SQLite executes for it is no statement of the query
            watch.attach(connection)
            try:
                yield connection
            finally:
                watch.detach()
    except SQLAlchemyError as error:
        _note_lost(database, server, error)
        raise database_error(error, server.url) from error
    finally:
        database.stop(watch, server)


@contextmanager
def write_transaction(
    engine: Engine, name: str = "write", *, limited: bool = True
) -> Iterator[Connection]:
    """Yield a connection in a transaction that no other writer of ours is in.

    Commits at the end, rolls back on any exception. SQLite begins IMMEDIATE;
    PostgreSQL takes an advisory lock that ends with the transaction.

    Args:
        name: under which its duration is counted, the wait for its turn included.
        limited: False where a statement may take longer than the statement timeout.
    """
    database = database_of(engine)
    watch = database.watch(name, writes=True, logs=limited)
    try:
        with database.gauge.connect() as connection:
            connection = connection.execution_options(tge_write=True)
            with connection.begin():
                if connection.dialect.name == "postgresql":
                    connection.exec_driver_sql(_take_turn(database.settings, limited))
                watch.attach(connection)
                try:
                    yield connection
                finally:
                    watch.detach()
    finally:
        database.wrote()
        database.stop(watch)


def pool_usage(engine: Engine) -> PoolUsage:
    """Return how many of the engine's connections are in use."""
    return database_of(engine).gauge.usage()


def replica_usage(engine: Engine) -> ReplicaUsage | None:
    """Return the state of the engine's replica; None where it has none."""
    replica = database_of(engine).replica
    return replica.usage() if replica is not None else None


def query_timings(engine: Engine) -> dict[str, QueryTiming]:
    """Return how long the engine's named queries and transactions took, by name."""
    return database_of(engine).timings.table()


def _engines(url: URL, settings: EngineSettings) -> tuple[Engine, Engine]:
    """Return the engine with its pool, and one beside it that gives up soon."""
    engine = make_engine(url, settings)
    tell_watches(engine)
    hasty = replace(
        settings,
        connect_timeout_s=BESIDE_TIMEOUT_S,
        statement_timeout_s=BESIDE_TIMEOUT_S,
        lock_wait_s=BESIDE_TIMEOUT_S,
    )
    return engine, make_engine(url, hasty, pooled=False)


def _replica(primary: URL, settings: EngineSettings) -> Replica | None:
    if not settings.replica_url:
        return None
    try:
        url = parse_url(settings.replica_url)
    except DatabaseError as error:
        raise DatabaseError(f"TGE_DATABASE_REPLICA_URL: {error}") from None
    if "sqlite" in (primary.drivername, url.drivername):
        raise DatabaseError("TGE_DATABASE_REPLICA_URL is for PostgreSQL alone; leave it empty")
    # the primary stands ready in its place
    engine, beside = _engines(url, replace(settings, connect_timeout_s=BESIDE_TIMEOUT_S))
    return Replica(engine, beside, max_lag_s=settings.replica_max_lag_s)


def _take_turn(settings: EngineSettings, limited: bool) -> str:
    """Return the statements by which a transaction waits for its turn, in one round trip.

    The wait is bounded by the lock timeout alone, whose error is one that may pass.
    """
    after = statement_timeout(settings.statement_timeout_s if limited else 0, "LOCAL")
    return (
        f"SET LOCAL lock_timeout = {int(settings.lock_wait_s * 1_000)}; "
        f"{statement_timeout(0, 'LOCAL')}; "
        f"SELECT pg_advisory_xact_lock({WRITER_LOCK}); {after}"
    )


def _note_lost(database: Database, server: Engine, error: SQLAlchemyError) -> None:
    replica = database.replica
    lost = isinstance(error, DBAPIError) and error.connection_invalidated
    if replica is not None and server is replica.engine and lost:
        replica.failed(error)
