"""A database made ready; without alembic where it is ready already.

Loading alembic and its scripts takes a third of a second and 10 MB, and nearly every
process meets a database of its own revision.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from tgecrawler.storage.engine import reading

if TYPE_CHECKING:
    from sqlalchemy import Engine

HEAD = "0006"
"""The newest revision; a test compares it with the scripts in ``migrations``."""


def ensure_schema(engine: Engine) -> None:
    """Bring an empty or older database to this version's schema; leave a current one alone.

    Raises:
        DatabaseError: the database is of a newer version, or migrating failed.
    """
    if _revision(engine) == HEAD:
        return
    from tgecrawler.storage import schema

    schema.ensure_schema(engine)


def _revision(engine: Engine) -> str:
    with reading(engine, "schema_revision", primary=True) as connection:
        if not sa.inspect(connection).has_table("alembic_version"):
            return ""
        rows = connection.exec_driver_sql("SELECT version_num FROM alembic_version")
        return ",".join(sorted(str(row[0]) for row in rows))
