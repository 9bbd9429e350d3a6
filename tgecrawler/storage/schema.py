"""The schema's revisions, driven from Python: no ini file, no log lines of alembic's own."""

from __future__ import annotations

from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy.exc import SQLAlchemyError

from tgecrawler.errors import DatabaseError
from tgecrawler.storage.engine import database_error, write_transaction
from tgecrawler.storage.models import Base

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from importlib.resources.abc import Traversable

    from sqlalchemy import Connection, Engine


def ensure_schema(engine: Engine) -> None:
    """Bring an empty or older database to this version's schema; leave a current one alone.

    Safe when several processes start together: one migrates, the others wait.

    Raises:
        DatabaseError: the database is of a newer version, or migrating failed.
    """
    with _config() as config:
        if current(engine) != _head(config):
            _migrate(engine, config, command.upgrade, "head")


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Bring the schema up to ``revision`` in one transaction; DatabaseError if that fails."""
    with _config() as config:
        _migrate(engine, config, command.upgrade, revision)


def downgrade(engine: Engine, revision: str) -> None:
    """Bring the schema down to ``revision`` ("base" drops all tables and their rows)."""
    with _config() as config:
        _migrate(engine, config, command.downgrade, revision)


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
        differences = compare_metadata(MigrationContext.configure(connection), Base.metadata)
    if differences:
        listed = "; ".join(str(difference) for difference in differences)
        raise DatabaseError(f"the schema is not that of the models: {listed}")


def _migrate(
    engine: Engine, config: Config, run: Callable[[Config, str], None], revision: str
) -> None:
    try:
        with write_transaction(engine, "migrate", limited=False) as connection:
            # Looked at again under the lock: another process may have been quicker.
            _refuse_newer(config, _revision(connection))
            config.attributes["connection"] = connection
            run(config, revision)
    except CommandError as error:
        raise DatabaseError(f"cannot migrate to {revision!r}: {error}") from error
    except SQLAlchemyError as error:
        raise database_error(error, engine.url) from error


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
