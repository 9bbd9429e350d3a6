"""Connections for work that takes minutes, where a query of a list may take a second."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import sqlalchemy as sa

from tgecrawler.storage.engine import reading

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Engine


CHUNK = 500
"""Values in one IN list of a DELETE: SQLite before 3.32 takes 999 variables in a statement."""


@contextmanager
def reading_at_length(engine: Engine) -> Iterator[Connection]:
    """Yield a connection for reading whose statements may take as long as they take."""
    with reading(engine, "upkeep", primary=True) as connection:
        lift_timeout(connection)
        yield connection


def lift_timeout(connection: Connection) -> None:
    """Let the statements of this transaction take as long as they take."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("SET LOCAL statement_timeout = 0"))
