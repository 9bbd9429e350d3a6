"""The schema's revisions, driven from Python: no ini file, no log lines of alembic's own."""

from __future__ import annotations

import re
import time
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy.exc import SQLAlchemyError

from tgecrawler.errors import DatabaseError
from tgecrawler.storage import search
from tgecrawler.storage.engine import database_error, write_transaction
from tgecrawler.storage.models import Base

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.resources.abc import Traversable

    from alembic.script import Script
    from sqlalchemy import Connection, Engine


MIGRATION_LOCK = 0x7467_6301
"""Key of the advisory lock under which PostgreSQL is migrated; the writer's is another."""

LOCK_POLL_S = 0.1

# What SQLite's full-text search keeps for itself, and what partitions are called.
_NOT_IN_MODELS = re.compile(r"alert_search(_\w+)?|mention_texts_\d{4}_\d\d|ix_alerts_words")


def ensure_schema(engine: Engine) -> None:
    """Bring an empty or older database to this version's schema; leave a current one alone.

    Safe when several processes start together: one migrates, the others wait.

    Raises:
        DatabaseError: the database is of a newer version, or migrating failed.
    """
    with _config() as config:
        if current(engine) != _head(config):
            _migrate(engine, config, "head")


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Bring the schema up to ``revision``; DatabaseError if that fails.

    Each step is a transaction of its own, but for those that build indexes on
    PostgreSQL while others write: a build that is cut short is begun anew.
    """
    with _config() as config:
        _migrate(engine, config, revision)


def downgrade(engine: Engine, revision: str) -> None:
    """Bring the schema down to ``revision`` ("base" drops all tables and their rows)."""
    with _config() as config:
        _migrate(engine, config, revision, down=True)


def current(engine: Engine) -> str:
    """Return the database's revision; "" for a database without our tables."""
    try:
        with engine.connect() as connection:
            return _revision(connection)
    except SQLAlchemyError as error:
        raise database_error(error, engine.url) from error


def check(engine: Engine) -> None:
    """Compare the database with the models; DatabaseError lists what differs."""
    with _config() as config:
        revision, head = current(engine), _head(config)
        _refuse_newer(config, revision)
    if revision != head:
        found = revision or "none"
        raise DatabaseError(f"the schema is of revision {found}, not {head}: scrapy db upgrade")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_name": _in_models})
        differences = compare_metadata(context, Base.metadata)
        missing = search.missing_parts(connection)
    listed = [*map(str, differences), *(f"no {part}" for part in missing)]
    if listed:
        raise DatabaseError(f"the schema is not that of the models: {'; '.join(listed)}")


def refuse_newer(revision: str) -> None:
    """Raise DatabaseError for a revision that this version does not know."""
    with _config() as config:
        _refuse_newer(config, revision)


def _in_models(name: str | None, _kind: str, _parents: object) -> bool:
    return name is None or not _NOT_IN_MODELS.fullmatch(name)


def _migrate(engine: Engine, config: Config, revision: str, *, down: bool = False) -> None:
    run = command.downgrade if down else command.upgrade
    try:
        with _migrating(engine) as found:
            for script, target in _steps(config, found, revision, down=down):
                with _step_connection(engine, script) as connection:
                    config.attributes["connection"] = connection
                    run(config, target)
    except CommandError as error:
        raise DatabaseError(f"cannot migrate to {revision!r}: {error}") from error
    except SQLAlchemyError as error:
        raise database_error(error, engine.url) from error


def _steps(config: Config, found: str, revision: str, *, down: bool) -> list[tuple[Script, str]]:
    """Return the scripts to run one after the other, each with the revision that it leads to."""
    _refuse_newer(config, found)
    scripts = ScriptDirectory.from_config(config)
    asked = scripts.get_revision(revision) if revision != "base" else None
    if revision != "base" and asked is None:
        raise CommandError(f"no revision {revision!r}")
    end = asked.revision if asked else "base"
    if down:
        path = list(scripts.iterate_revisions(found, end)) if found else []
        return [(script, str(script.down_revision or "base")) for script in path]
    path = list(scripts.iterate_revisions(end, found or "base"))
    return [(script, script.revision) for script in reversed(path)]


@contextmanager
def _step_connection(engine: Engine, script: Script) -> Iterator[Connection]:
    """Yield a connection in a transaction without other writers, or in none where that is due."""
    if engine.dialect.name == "postgresql" and getattr(script.module, "concurrent", False):
        with _unlimited(engine) as connection:
            yield connection
    else:
        with write_transaction(engine, "migrate", limited=False) as connection:
            yield connection


@contextmanager
def _migrating(engine: Engine) -> Iterator[str]:
    """Let one process migrate at a time; yield the revision that it finds.

    On SQLite each step's transaction sees to that. On PostgreSQL the lock is asked for
    again and again: who waited for it inside a statement would hold up the building of
    indexes, which waits for every statement that began before.
    """
    if engine.dialect.name != "postgresql":
        yield current(engine)
        return
    with _unlimited(engine) as connection:
        while not connection.scalar(sa.select(sa.func.pg_try_advisory_lock(MIGRATION_LOCK))):
            time.sleep(LOCK_POLL_S)
        # Looked at under the lock: another process may have been quicker.
        yield _revision(connection)  # the lock ends with the connection


@contextmanager
def _unlimited(engine: Engine) -> Iterator[Connection]:
    """Yield a connection outside of transactions whose statements may take what they need.

    It is none of the pool's: in one of a single connection nothing would be left for the steps.
    """
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.detach()
        connection.execute(sa.text("SET statement_timeout = 0"))
        yield connection


def _revision(connection: Connection) -> str:
    return ",".join(MigrationContext.configure(connection).get_current_heads())


def _head(config: Config) -> str:
    return ScriptDirectory.from_config(config).get_current_head() or ""


def _refuse_newer(config: Config, revision: str) -> None:
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if revision and revision not in known:
        raise DatabaseError(
            f"the database is of a newer version (revision {revision}); upgrade tgecrawler"
        )


@contextmanager
def _config() -> Iterator[Config]:
    """Yield a configuration whose scripts are real files, also out of a zipped package."""
    scripts = files("tgecrawler.storage") / "migrations"
    with TemporaryDirectory(prefix="tge-migrations-") as unpacked:
        folder = scripts if isinstance(scripts, Path) else Path(unpacked)
        if folder is not scripts:
            _unpack(scripts, folder)
        config = Config()
        # A percent sign in the path would start an interpolation.
        config.set_main_option("script_location", str(folder).replace("%", "%%"))
        config.set_main_option("path_separator", "os")
        yield config


def _unpack(folder: Traversable, target: Path) -> None:
    target.mkdir(exist_ok=True)
    for child in folder.iterdir():
        if child.is_dir():
            _unpack(child, target / child.name)
        else:
            (target / child.name).write_bytes(child.read_bytes())
