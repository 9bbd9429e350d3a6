"""What a database's failure means: it passes, the database is away, or it refuses the rows.

Rows that are refused are looked for and put aside, so only what is surely not
the rows' fault counts as "away": a database that stays away holds up the crawl.
"""

from __future__ import annotations

import sqlite3
from typing import Literal

from sqlalchemy.exc import DBAPIError, SQLAlchemyError, TimeoutError

FailureKind = Literal["passing", "away", "refused"]
"""``passing`` is worth a retry within seconds, ``away`` only once somebody has mended it."""

PASSING_STATES = {
    "40001",  # serialization_failure
    "40P01",  # deadlock_detected
    "55P03",  # lock_not_available: lock_timeout
    "53300",  # too_many_connections
    "57P01",  # admin_shutdown
    "57P02",  # crash_shutdown
    "57P03",  # cannot_connect_now
    "57014",  # query_canceled: a statement timeout, of a server that is overloaded
    "57P05",  # idle_session_timeout
    "25P03",  # idle_in_transaction_session_timeout
}
CONNECTION_CLASS = "08"

AWAY_CLASSES = {
    "28",  # invalid_authorization: a password that was changed
    "3D",  # invalid_catalog_name: no such database
    "3F",  # invalid_schema_name
    "53",  # insufficient_resources: disk full (53100), out of memory
    "57",  # operator_intervention
    "58",  # system_error: the server's own input and output
    "F0",  # config_file_error
    "XX",  # internal_error: corrupted data or index
}
AWAY_STATES = {
    "25006",  # read_only_sql_transaction: a standby, or a server that was made read-only
    "42501",  # insufficient_privilege
    "42P01",  # undefined_table: being migrated, or by a newer version
    "42703",  # undefined_column
}

SQLITE_PASSING = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
SQLITE_REFUSED = {
    sqlite3.SQLITE_CONSTRAINT,
    sqlite3.SQLITE_MISMATCH,
    sqlite3.SQLITE_RANGE,
    sqlite3.SQLITE_TOOBIG,
    sqlite3.SQLITE_ERROR,  # but for the missing tables below
}
SQLITE_MISSING = ("no such table", "no such column", "has no column")


def kind_of(error: SQLAlchemyError) -> FailureKind:
    """Return what a failed transaction means for the rows of it."""
    if isinstance(error, TimeoutError):  # of the pool: all connections are in use
        return "passing"
    if not isinstance(error, DBAPIError):
        return "refused"
    if error.connection_invalidated:
        return "passing"
    if isinstance(error.orig, sqlite3.Error):
        return _kind_on_sqlite(error.orig)
    return _kind_on_postgresql(error)


def _kind_on_sqlite(error: sqlite3.Error) -> FailureKind:
    # Python's own refusal to bind a value has no code of SQLite's.
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_MISMATCH) & 0xFF
    if code in SQLITE_PASSING:
        return "passing"
    if code == sqlite3.SQLITE_ERROR and any(text in str(error) for text in SQLITE_MISSING):
        return "away"
    return "refused" if code in SQLITE_REFUSED else "away"


def _kind_on_postgresql(error: DBAPIError) -> FailureKind:
    state = getattr(error.orig, "pgcode", None)
    if state is None:  # libpq's own failures have no state: no connection was made
        return "passing" if type(error).__name__ == "OperationalError" else "refused"
    if state in PASSING_STATES or state.startswith(CONNECTION_CLASS):
        return "passing"
    return "away" if state in AWAY_STATES or state[:2] in AWAY_CLASSES else "refused"
