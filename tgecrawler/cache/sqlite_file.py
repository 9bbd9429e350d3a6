"""The file of the shared level on SQLite: its schema, and what is done with a damaged one."""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from tgecrawler.cache.level import LevelError

if TYPE_CHECKING:
    from pathlib import Path

logger = logging.getLogger(__name__)

SCHEMA_VERSION = 1
BUSY_WAIT_S = 0.5
"""How long another process's write is waited for: a look-up may stand in an event loop."""

_WAL_RETRY_S = 0.01
_WAL_MOST_BYTES = 16 * 2**20
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

# Bodies have a table of their own: to renew a head must not write the body again.
_SCHEMA = """
CREATE TABLE entries(
    id INTEGER PRIMARY KEY, tier TEXT NOT NULL, key TEXT NOT NULL, head BLOB NOT NULL,
    size INTEGER NOT NULL, uses INTEGER NOT NULL, used_s REAL NOT NULL, gone_s REAL NOT NULL,
    UNIQUE(tier, key));
CREATE INDEX entries_used ON entries(used_s);
CREATE INDEX entries_gone ON entries(gone_s);
CREATE TABLE bodies(
    id INTEGER PRIMARY KEY REFERENCES entries(id) ON DELETE CASCADE, body BLOB NOT NULL);
CREATE TABLE tags(
    id INTEGER NOT NULL REFERENCES entries(id) ON DELETE CASCADE, tag TEXT NOT NULL,
    PRIMARY KEY(id, tag)) WITHOUT ROWID;
CREATE INDEX tags_tag ON tags(tag);
CREATE TABLE counts(
    tier TEXT NOT NULL, name TEXT NOT NULL, number REAL NOT NULL,
    PRIMARY KEY(tier, name)) WITHOUT ROWID;
CREATE TABLE gone(id INTEGER PRIMARY KEY AUTOINCREMENT, tag TEXT, tier TEXT, key TEXT)
"""


class OtherVersionError(Exception):
    """A file that another version of the cache wrote."""


def connect(path: Path) -> sqlite3.Connection:
    """Return a connection to a file that has the schema; the file is made where there is none.

    Raises:
        LevelError: it cannot be opened; a file that is damaged or of another version is
            put aside first, and a new one is begun.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        before = file_id(path)
        try:
            return _connect(path)
        except (sqlite3.DatabaseError, OtherVersionError) as error:
            if isinstance(error, sqlite3.DatabaseError) and not is_damaged(error):
                raise
            if file_id(path) == before:  # else another process has begun anew already
                put_aside(path, str(error))
            return _connect(path)
    except (sqlite3.Error, OSError, OtherVersionError) as error:
        raise LevelError(f"{path}: {error}", rests=True) from error


def is_damaged(error: sqlite3.Error) -> bool:
    """Return whether an error tells of a damaged file, which will not mend by itself."""
    return (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF in _DAMAGED


def put_aside(path: Path, why: str) -> None:
    """Rename a file that cannot be read, and say so; an older one aside is overwritten."""
    aside = path.with_name(f"{path.name}.damaged")
    logger.warning("cache: %s cannot be read (%s); begun anew, the old one is %s", path, why, aside)
    for end in ("-wal", "-shm"):  # they belong to the old file, and would damage the new one
        with suppress(FileNotFoundError):
            path.with_name(path.name + end).unlink()
    with suppress(FileNotFoundError):
        os.replace(path, aside)


def file_id(path: Path) -> tuple[int, int] | None:
    """Return what tells a file from another of its name; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=BUSY_WAIT_S, isolation_level=None, check_same_thread=False
    )
    try:
        if _version(connection) == 0:  # it works before the first table, and takes a lock
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        _enter_wal(connection)
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA journal_size_limit = {_WAL_MOST_BYTES}")
        _ensure_schema(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _enter_wal(connection: sqlite3.Connection) -> None:
    """Switch to write-ahead logging; SQLite applies no busy timeout to that."""
    deadline = time.monotonic() + BUSY_WAIT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(_WAL_RETRY_S)
        else:
            return


def _ensure_schema(connection: sqlite3.Connection) -> None:
    if _version(connection) == SCHEMA_VERSION:
        connection.execute("SELECT 1 FROM entries, bodies LIMIT 1").fetchone()  # is it readable?
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = _version(connection)  # another process may have been first
        if version not in (0, SCHEMA_VERSION):
            raise OtherVersionError(f"it is of version {version}, not {SCHEMA_VERSION}")
        if version == 0:
            for statement in _SCHEMA.split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
