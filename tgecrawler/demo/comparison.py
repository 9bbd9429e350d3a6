"""What must be the same in two databases, whoever wrote them and in what order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from tgecrawler.storage.engine import create_engine, reading
from tgecrawler.storage.engine_settings import EngineSettings
from tgecrawler.storage.models import (
    ALERT_COMPANIES,
    ALERTS,
    EVENT_COMPANIES,
    EVENT_MENTIONS,
    EVENTS,
    MENTION_COMPANIES,
    MENTION_TEXTS,
    MENTIONS,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

PLAIN = EngineSettings(program="demo", slow_query_ms=0)
# What tells when a row was written, or as which of all.
BY_ARRIVAL = frozenset(
    {"stored_at", "created_at", "changed_at", "latency_s", "position", "sequence", "month"}
)
TABLES = (
    MENTIONS,
    MENTION_TEXTS,
    MENTION_COMPANIES,
    ALERTS,
    ALERT_COMPANIES,
    EVENTS,
    EVENT_COMPANIES,
    EVENT_MENTIONS,
)

Rows = dict[tuple[Any, ...], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class TableComparison:
    """A table in two databases; `differing` are the keys of rows that are not the same."""

    name: str
    one: int
    other: int
    differing: tuple[tuple[Any, ...], ...]


def compare(one: str, other: str) -> list[TableComparison]:
    """Return how the tables of two databases compare.

    Raises:
        DatabaseError: either cannot be read.
    """
    left, right = rows_of(one), rows_of(other)
    return [_compared(table.name, left[table.name], right[table.name]) for table in TABLES]


def rows_of(url: str) -> dict[str, Rows]:
    """Return the rows of each table by their keys, without what depends on their arrival.

    Raises:
        DatabaseError: it cannot be read.
    """
    engine = create_engine(url, PLAIN)
    try:
        with reading(engine, "compare") as connection:
            return {table.name: _rows(connection, table) for table in TABLES}
    finally:
        engine.dispose()


def count(url: str, table: sa.Table) -> int:
    """Return how many rows a table has; 0 where there is no such table yet.

    Raises:
        DatabaseError: the database cannot be read.
    """
    engine = create_engine(url, PLAIN)
    try:
        with reading(engine, "count") as connection:
            if not sa.inspect(connection).has_table(table.name):
                return 0
            return int(connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0)
    finally:
        engine.dispose()


def keys_of(url: str, table: sa.Table) -> set[str]:
    """Return the ids of a table's rows.

    Raises:
        DatabaseError: the database cannot be read.
    """
    engine = create_engine(url, PLAIN)
    try:
        with reading(engine, "keys") as connection:
            return set(connection.scalars(sa.select(table.c.id)))
    finally:
        engine.dispose()


def _rows(connection: sa.Connection, table: sa.Table) -> Rows:
    compared = [column for column in table.c if column.name not in BY_ARRIVAL]
    keys = [column for column in table.primary_key if column.name not in BY_ARRIVAL]
    found: Rows = {}
    for row in connection.execute(sa.select(*compared)):
        values = dict(row._mapping)
        found[tuple(values[key.name] for key in keys)] = values
    return found


def _compared(name: str, one: Mapping[Any, Any], other: Mapping[Any, Any]) -> TableComparison:
    differing = sorted(key for key in {*one, *other} if one.get(key) != other.get(key))
    return TableComparison(name, len(one), len(other), tuple(differing))
