"""A PostgreSQL database's tables by pg_dump, and back by pg_restore in one transaction."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from contextlib import suppress
from typing import IO, TYPE_CHECKING

import sqlalchemy as sa

from tgecrawler.errors import ArgumentError, DatabaseError
from tgecrawler.storage import partitions, schema
from tgecrawler.storage.engine import WRITER_LOCK, create_engine, reading
from tgecrawler.storage.models import Base
from tgecrawler.storage.postgresql_tools import Tools
from tgecrawler.storage.schema import MIGRATION_LOCK

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sqlalchemy import Engine

REVISIONS = "alembic_version"
LOCK_WAIT = "60s"
"""How long a backup waits for a migration, and a restore for whoever reads."""

_BEGINS = b"PGDMP"
_PLAINLY = ("--no-owner", "--no-privileges", "--file=-")
_COPY = re.compile(
    rb"^COPY (\S+)\.alembic_version \(version_num\) FROM stdin;\n(\S+)\n", re.MULTILINE
)


def dump(engine: Engine, target: Path) -> str:
    """Write our tables as they are at this moment into an archive; return their revision.

    Raises:
        DatabaseError: pg_dump is lacking or failed, or what it wrote cannot be read back.
    """
    tools = Tools(engine)
    with reading(engine, "backup", primary=True) as connection:
        place = connection.scalar(sa.text("SELECT quote_ident(current_schema())"))
    names = [*Base.metadata.tables, REVISIONS, f"{partitions.TABLE}_*"]
    tools.run(
        "pg_dump",
        f"--dbname={tools.database}",
        "--format=custom",
        "--no-owner",
        "--no-privileges",
        f"--lock-wait-timeout={LOCK_WAIT}",
        f"--file={target}",
        # By pattern: a partition that another process makes now belongs to it as well.
        *(f"--table={place}.{name}" for name in names),
    )
    tools.run("pg_restore", f"--file={os.devnull}", str(target))
    return _revision(tools, target)[1]


def load(url: str, file: Path, *, force: bool) -> str:
    """Bring a database to what an archive holds; return the archive's revision.

    In one transaction, which other programs see as a whole or not at all.

    Raises:
        ArgumentError: the file is no archive, or there are tables and `force` is not given.
        DatabaseError: it failed, and the database is as it was.
    """
    with file.open("rb") as opened:
        if opened.read(len(_BEGINS)) != _BEGINS:
            raise ArgumentError(f"{file} is no backup of a PostgreSQL database")
    engine = create_engine(url)
    try:
        tools = Tools(engine)
        place, revision = _revision(tools, file)
        schema.refuse_newer(revision)
        with reading(engine, "backup", primary=True) as connection:
            here = connection.scalar(sa.text("SELECT quote_ident(current_schema())"))
            ours = {"names": [*Base.metadata.tables, REVISIONS], "part": partitions.NAMES}
            tables = list(connection.scalars(_OUR_TABLES, ours))
    finally:
        engine.dispose()
    if place != here:
        raise ArgumentError(f"{file} is of the schema {place}, and tables are to be in {here}")
    if tables and not force:
        raise ArgumentError("the database has tables already; --force replaces them")
    _load(tools, file, tables)
    return revision


def _revision(tools: Tools, file: Path) -> tuple[str, str]:
    """Return the schema in which an archive's tables are, and their revision."""
    said = tools.run("pg_restore", "--data-only", f"--table={REVISIONS}", "--file=-", str(file))
    found = _COPY.search(said)
    if not found:
        raise DatabaseError(f"{file} holds no tables of ours")
    return found[1].decode(), found[2].decode()


def _load(tools: Tools, file: Path, tables: Sequence[str]) -> None:
    """Let psql run what pg_restore says, and commit once that has come to its end.

    Not ``pg_restore --single-transaction --clean``: that drops what the archive has, and
    a newer schema has more, which hangs on it. A database whose connection ends before
    the last line, because we were killed, rolls back.
    """
    options = ("--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--file=-")
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as read_said:
        pipe, nowhere = subprocess.PIPE, subprocess.DEVNULL
        psql = tools.start(
            "psql",
            f"--dbname={tools.database}",
            *options,
            stdin=pipe,
            stdout=nowhere,
            stderr=said,
        )
        try:
            archive = tools.start("pg_restore", *_PLAINLY, str(file), stdout=pipe, stderr=read_said)
            try:
                whole = _pump(archive, psql, _before(tables))
            finally:
                _end(archive, archive.stdout)
        finally:
            _end(psql, psql.stdin)
        if psql.returncode:
            raise tools.failure("psql", _content(said))
        if not whole:
            raise tools.failure("pg_restore", _content(read_said))


def _pump(archive: subprocess.Popen[bytes], psql: subprocess.Popen[bytes], before: str) -> bool:
    """Hand psql all that it is to do; return whether that was the whole archive."""
    if psql.stdin is None or archive.stdout is None:
        raise RuntimeError("both were opened as pipes")
    try:
        psql.stdin.write(before.encode())
        shutil.copyfileobj(archive.stdout, psql.stdin)
        whole = archive.wait() == 0
        psql.stdin.write(b"COMMIT;\n" if whole else b"ROLLBACK;\n")
        psql.stdin.close()
    except BrokenPipeError:  # psql has met an error, and said so
        whole = False
    psql.wait()
    return whole


def _before(tables: Sequence[str]) -> str:
    """Return what comes first: nobody else writes, and what is there makes room."""
    drop = f"DROP TABLE {', '.join(tables)};\n" if tables else ""
    return (
        f"BEGIN;\nSET LOCAL lock_timeout = '{LOCK_WAIT}';\nSET LOCAL statement_timeout = 0;\n"
        f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK}), pg_advisory_xact_lock({WRITER_LOCK});\n"
        f"{drop}"
    )


def _end(process: subprocess.Popen[bytes], pipe: IO[bytes] | None) -> None:
    """End a program that runs on because something failed, and wait for it."""
    if process.poll() is None:
        process.kill()
    process.wait()
    if pipe:
        with suppress(BrokenPipeError):
            pipe.close()


def _content(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read()


_OUR_TABLES = sa.text(
    "SELECT oid::regclass::text FROM pg_class WHERE relkind IN ('r', 'p')"
    " AND relnamespace = current_schema()::regnamespace"
    " AND (relname = ANY(CAST(:names AS text[])) OR relname ~ :part) ORDER BY relname"
)
