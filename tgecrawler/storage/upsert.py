"""Statements for many rows: INSERT … ON CONFLICT on either engine, and lists to look up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from sqlalchemy import Connection
    from sqlalchemy.dialects import postgresql


def insert_into(connection: Connection, table: sa.Table) -> postgresql.Insert | sqlite.Insert:
    """Return the INSERT of the connection's engine, which knows ON CONFLICT."""
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql  # loaded by its engine, 2 MB otherwise

        return postgresql.insert(table)
    return sqlite.insert(table)


def insert_missing(connection: Connection, table: sa.Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert the rows whose key is not there yet; the others stay as they are."""
    if rows:
        connection.execute(insert_into(connection, table).on_conflict_do_nothing(), rows)


def upsert(
    connection: Connection, table: sa.Table, rows: Sequence[dict[str, Any]], *columns: str
) -> None:
    """Insert the rows; where the primary key is there, set `columns` (default: all given)."""
    if not rows:
        return
    insert = insert_into(connection, table)
    keys = [column.name for column in table.primary_key]
    names = columns or tuple(name for name in rows[0] if name not in keys)
    changes = {name: insert.excluded[name] for name in names}
    connection.execute(insert.on_conflict_do_update(index_elements=keys, set_=changes), rows)


def select_in(
    connection: Connection,
    query: sa.Select[*tuple[Any, ...]],
    column: sa.ColumnElement[Any],
    values: Collection[str],
) -> Iterator[sa.Row[*tuple[Any, ...]]]:
    """Yield the rows of `query` in which `column` is one of `values`.

    All values go as one parameter, so that the statement is the same for any number
    of them and is compiled once.
    """
    if not values:
        return
    ordered = sorted(values)
    if connection.dialect.name == "postgresql":
        yield from connection.execute(query.where(column == sa.any_(_ARRAY)), {"among": ordered})
    else:
        listed = {"among": orjson.dumps(ordered).decode()}
        yield from connection.execute(query.where(column.in_(_LISTED)), listed)


_ARRAY = sa.type_coerce(sa.bindparam("among"), sa.ARRAY(sa.String))
_EACH = sa.func.json_each(sa.bindparam("among", type_=sa.String)).table_valued("value")
_LISTED = sa.select(_EACH.c.value)
