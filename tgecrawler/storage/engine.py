"""Engines and transactions, the same to callers on SQLite and PostgreSQL."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from tgecrawler.storage.drivers import make_engine, parse_url, statement_timeout
from tgecrawler.storage.engine_settings import EngineSettings
from tgecrawler.storage.failures import database_error

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Engine

__all__ = ["WRITER_LOCK", "create_engine", "database_error", "reading", "write_transaction"]

WRITER_LOCK = 0x7467_6300
"""Key of the advisory lock under which PostgreSQL is written ("tgc" and a zero byte)."""


def create_engine(url: str, settings: EngineSettings | None = None) -> Engine:
    """Return an engine that has reached its database once.

    Args:
        url: ``sqlite:///path`` (relative to the working directory; folders are
            made) or ``postgresql://…``.

    Raises:
        DatabaseError: the URL is not of these, or the database cannot be used.
    """
    settings = settings or EngineSettings()
    parsed = parse_url(url)
    engine = make_engine(parsed, settings)
    engine.update_execution_options(tge_settings=settings)
    try:
        with engine.connect() as connection:
            connection.execute(sa.text("SELECT 1"))
    except (SQLAlchemyError, UnicodeError) as error:
        engine.dispose()
        raise database_error(error, parsed) from error
    return engine


@contextmanager
def write_transaction(engine: Engine, *, limited: bool = True) -> Iterator[Connection]:
    """Yield a connection in a transaction that no other writer of ours is in.

    Commits at the end, rolls back on any exception. SQLite begins IMMEDIATE;
    PostgreSQL takes an advisory lock that ends with the transaction.

    Args:
        limited: False where a statement may take longer than the statement timeout.
    """
    with engine.connect() as connection:
        connection = connection.execution_options(tge_write=True)
        with connection.begin():
            if connection.dialect.name == "postgresql":
                settings = connection.get_execution_options()["tge_settings"]
                connection.exec_driver_sql(_take_turn(settings, limited))
            yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Yield a connection whose failures are told in one line (DatabaseError)."""
    try:
        with engine.connect() as connection:
            yield connection
    except SQLAlchemyError as error:
        raise database_error(error, engine.url) from error


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
