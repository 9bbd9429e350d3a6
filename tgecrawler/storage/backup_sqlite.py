"""A copy of an SQLite database by SQLite's own backup, out of it and into it."""

from __future__ import annotations

import gzip
import shutil
import sqlite3
import time
import zlib
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError as SQLAlchemyArgumentError

from tgecrawler.errors import ArgumentError
from tgecrawler.storage import schema
from tgecrawler.storage.engine import create_engine, database_error
from tgecrawler.storage.engine_settings import EngineSettings
from tgecrawler.storage.files import UNFINISHED, unfinished

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

PAGES_AT_ONCE = 2_000
BYTES_AT_ONCE = 1 << 20
PACKED_LEVEL = 1  # of 9, which takes five times as long for a tenth less

_PLAIN = b"SQLite format 3\0"
_PACKED = b"\x1f\x8b"
_BUSY_WAIT_S = 0.05
_LOCK_WAIT_S = EngineSettings().lock_wait_s
_BESIDE = ("-wal", "-shm", "-journal")


def copy_out(engine: Engine, target: Path, *, packed: bool) -> str:
    """Write the database as it is at this moment into a file; return its revision.

    Writers go on: what they add meanwhile stays in the write-ahead log until this ends.

    Raises:
        DatabaseError: there are no tables, or the copy failed or is not whole.
    """
    if not packed:
        return _copy_out(engine, target)
    with NamedTemporaryFile(dir=target.parent, prefix=f"{target.name}.", suffix=UNFINISHED) as file:
        revision = _copy_out(engine, Path(file.name))
        with (
            Path(file.name).open("rb") as plain,
            gzip.open(target, "wb", compresslevel=PACKED_LEVEL) as archive,
        ):
            shutil.copyfileobj(plain, archive, BYTES_AT_ONCE)
    with gzip.open(target, "rb") as archive:  # read back: it bears a sum of what it holds
        while archive.read(BYTES_AT_ONCE):
            pass
    return revision


def copy_in(url: str, file: Path, *, force: bool) -> str:
    """Bring a database to what a backup holds; return the backup's revision.

    A database that is there is changed in one transaction of SQLite's, which running
    programs see as a whole or not at all. A new one gets its name once it is whole.

    Raises:
        ArgumentError: the file is no backup, or there are tables and `force` is not given.
        DatabaseError: it failed, and the database is as it was.
    """
    path = _path_of(url)
    if path.is_file():
        if path.samefile(file):
            raise ArgumentError(f"{file} is the database itself")
        if not force and _has_tables(url):
            raise ArgumentError(f"the database {path} has tables already; --force replaces them")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _plain(file, path.parent) as plain, closing(_open(plain)) as source:
            revision = _checked(source, file)
            if path.is_file():
                _replace(source, path)
            else:
                _create(source, path)
            return revision
    except (sqlite3.Error, OSError) as error:
        raise database_error(error, sa.make_url(url)) from error


def _path_of(url: str) -> Path:
    try:
        database = sa.make_url(url).database
    except (SQLAlchemyArgumentError, ValueError):
        database = None
    if database in (None, "", ":memory:"):
        create_engine(url)  # says what is wrong with it
    return Path(str(database))


def _copy_out(engine: Engine, target: Path) -> str:
    try:
        with (
            closing(_open(Path(str(engine.url.database)))) as source,
            closing(sqlite3.connect(target, isolation_level=None)) as copy,
        ):
            # From here on the source is seen as it is now. Without that, the backup would
            # begin anew with every batch that another process commits.
            source.execute("BEGIN")
            revision = _revision(source)
            _fill(copy, source)
            if lines := _damage(copy, "quick_check"):
                raise sqlite3.DatabaseError(f"the copy is not whole ({lines})")
            return revision
    except sqlite3.Error as error:
        raise database_error(error, engine.url) from error


def _fill(copy: sqlite3.Connection, source: sqlite3.Connection) -> None:
    """Make a file that nobody else knows of yet into a copy that stands alone."""
    copy.execute("PRAGMA synchronous = OFF")  # it is synchronised as a whole, later
    copy.execute("PRAGMA journal_mode = OFF").fetchall()  # and thrown away where this fails
    source.backup(copy, pages=PAGES_AT_ONCE)
    copy.execute("PRAGMA journal_mode = DELETE").fetchall()


def _create(source: sqlite3.Connection, path: Path) -> None:
    with unfinished(path) as new:
        with closing(sqlite3.connect(new.path, isolation_level=None)) as copy:
            _fill(copy, source)
        # What a database of this name has left would be taken for this one's.
        for beside in _BESIDE:
            path.with_name(path.name + beside).unlink(missing_ok=True)
        new.finish()


def _replace(source: sqlite3.Connection, path: Path) -> None:
    deadline = time.monotonic() + _LOCK_WAIT_S

    def give_up(status: int, _remaining: int, _total: int) -> None:
        busy = status & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
        if busy and time.monotonic() > deadline:
            raise sqlite3.OperationalError("database is locked")

    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        # All pages in one step: a transaction that commits at its end.
        source.backup(database, pages=-1, progress=give_up, sleep=_BUSY_WAIT_S)
        database.execute("PRAGMA busy_timeout = 0")
        # Where somebody still reads what was there before, the log is cut back by the next writer.
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


@contextmanager
def _plain(file: Path, folder: Path) -> Iterator[Path]:
    """Yield the database that a backup is, or that is packed in it."""
    with file.open("rb") as opened:
        begin = opened.read(len(_PLAIN))
    if begin == _PLAIN:
        yield file
        return
    if not begin.startswith(_PACKED):
        raise ArgumentError(f"{file} is no backup of an SQLite database")
    with NamedTemporaryFile(dir=folder, prefix=f".{file.name}.", suffix=UNFINISHED) as plain:
        try:
            with gzip.open(file, "rb") as archive:
                shutil.copyfileobj(archive, plain, BYTES_AT_ONCE)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise ArgumentError(f"{file} is damaged ({error})") from error
        plain.flush()
        yield Path(plain.name)


def _checked(source: sqlite3.Connection, file: Path) -> str:
    """Return a backup's revision; ArgumentError where it is damaged or of something else."""
    try:
        lines = _damage(source, "integrity_check")
        revision = "" if lines else _revision(source)
    except sqlite3.DatabaseError as error:
        lines, revision = str(error), ""
    if not revision:
        raise ArgumentError(f"{file} is damaged, or no backup of ours ({lines or 'no tables'})")
    schema.refuse_newer(revision)
    return revision


def _damage(connection: sqlite3.Connection, look: str) -> str:
    (line,) = connection.execute(f"PRAGMA {look}(1)").fetchone()
    return "" if line == "ok" else " ".join(str(line).split())


def _revision(connection: sqlite3.Connection) -> str:
    return ",".join(row[0] for row in connection.execute("SELECT version_num FROM alembic_version"))


def _has_tables(url: str) -> bool:
    engine = create_engine(url)
    try:
        return bool(sa.inspect(engine).get_table_names())
    finally:
        engine.dispose()


def _open(path: Path) -> sqlite3.Connection:
    """Return a connection that changes nothing."""
    uri = f"{path.resolve().as_uri()}?mode=ro"
    return sqlite3.connect(uri, uri=True, isolation_level=None, timeout=_LOCK_WAIT_S)
