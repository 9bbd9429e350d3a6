"""Backups that are whole or not there, of a database that is written meanwhile.

What an engine needs is in ``backup_sqlite`` and ``backup_postgresql``.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tgecrawler.errors import ArgumentError
from tgecrawler.storage import backup_postgresql, backup_sqlite
from tgecrawler.storage.engine import create_engine
from tgecrawler.storage.files import unfinished
from tgecrawler.storage.readiness import ensure_schema
from tgecrawler.storage.vacuum import analyze

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Engine

PACKED = ".gz"


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """A backup that was written and read back, or that was restored."""

    file: Path
    size_bytes: int
    revision: str
    took_s: float


def back_up(engine: Engine, file: Path, *, force: bool = False) -> Backup:
    """Write the database as it is at this moment to a file; crawls go on meanwhile.

    Args:
        file: of SQLite a database itself, compressed where the name ends in .gz; of
            PostgreSQL an archive of pg_dump.
        force: also where there is a file already, which is replaced once all is written.

    Raises:
        ArgumentError: there is a file already, or none can be written there.
        DatabaseError: it failed, and there is no backup.
    """
    began_at = time.monotonic()
    _refuse_existing(file, force=force)
    try:
        with unfinished(file) as new:
            if engine.dialect.name == "postgresql":
                revision = backup_postgresql.dump(engine, new.path)
            else:
                revision = backup_sqlite.copy_out(engine, new.path, packed=file.suffix == PACKED)
            _refuse_existing(file, force=force)
            new.finish()
    except OSError as error:
        raise ArgumentError(f"cannot write {file}: {error.strerror or error}") from error
    return _backup(file, revision, began_at)


def restore(url: str, file: Path, *, force: bool = False) -> Backup:
    """Bring a database to what a backup holds, and to this version's schema.

    Until the last moment the database is as it was, also where it is then killed.

    Args:
        url: of the database; that of another engine's backup is refused.
        force: also where there are tables already, which are replaced.

    Raises:
        ArgumentError: there are tables already, or the file is no backup for this engine.
        DatabaseError: it failed, and the database is as it was.
    """
    began_at = time.monotonic()
    if not file.is_file():
        raise ArgumentError(f"there is no file {file}")
    if url.startswith("sqlite"):
        revision = backup_sqlite.copy_in(url, file, force=force)
    else:
        revision = backup_postgresql.load(url, file, force=force)
    engine = create_engine(url)
    try:
        ensure_schema(engine)
        analyze(engine)
    finally:
        engine.dispose()
    return _backup(file, revision, began_at)


def _backup(file: Path, revision: str, began_at: float) -> Backup:
    size_bytes, took_s = file.stat().st_size, time.monotonic() - began_at
    return Backup(file=file, size_bytes=size_bytes, revision=revision, took_s=took_s)


def _refuse_existing(file: Path, *, force: bool) -> None:
    if file.exists() and not force:
        raise ArgumentError(f"there is a file {file} already; --force replaces it")
