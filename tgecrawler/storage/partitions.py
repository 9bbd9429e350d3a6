"""The monthly partitions of ``mention_texts`` on PostgreSQL; SQLite has none, and needs none."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

TABLE = "mention_texts"
NAMES = f"^{TABLE}_[0-9]{{4}}_[0-9]{{2}}$"
"""What partitions are called, as a regular expression of PostgreSQL's."""

MONTHS_AHEAD = 2
"""Months after the present one whose partitions are there already."""

_MONTHS = sa.text(
    "SELECT child.relname FROM pg_inherits"
    " JOIN pg_class child ON child.oid = inhrelid"
    f" WHERE inhparent = '{TABLE}'::regclass ORDER BY child.relname"
)

_DETACHED = sa.text(
    "SELECT relname FROM pg_class WHERE NOT relispartition AND relkind = 'r'"
    f" AND relname ~ '{NAMES}'"
    " AND relnamespace = current_schema()::regnamespace ORDER BY relname"
)


def month_of(moment: datetime) -> date:
    """Return the first day of a moment's month; of UTC, if the moment is."""
    return date(moment.year, moment.month, 1)


def next_month(month: date) -> date:
    """Return the first day of the month after."""
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)


def months_from(month: date, ahead: int = MONTHS_AHEAD) -> list[date]:
    """Return a month and those after it that are to have a partition."""
    found = [month]
    for _ in range(ahead):
        found.append(next_month(found[-1]))
    return found


def months(connection: Connection) -> list[date]:
    """Return the months that have a partition, the oldest first."""
    if connection.dialect.name != "postgresql":
        return []
    names = connection.scalars(_MONTHS)
    return [date(int(year), int(month), 1) for *_, year, month in (n.split("_") for n in names)]


def detached(connection: Connection) -> list[str]:
    """Return the names of tables that were partitions and hang on nothing any more."""
    if connection.dialect.name != "postgresql":
        return []
    return list(connection.scalars(_DETACHED))


def ensure_months(connection: Connection, month: date, ahead: int = MONTHS_AHEAD) -> None:
    """Make the partitions of a month and of those after it that are not there yet."""
    if connection.dialect.name != "postgresql":
        return
    there = months(connection)
    for wanted in months_from(month, ahead):
        if wanted not in there:
            _create(connection, wanted)


def name_of(month: date) -> str:
    """Return the name of a month's partition."""
    return f"{TABLE}_{month:%Y_%m}"


def _create(connection: Connection, month: date) -> None:
    # Made apart and then attached: readers of other months are not locked out for it.
    name = name_of(month)
    connection.execute(sa.text(f"CREATE TABLE {name} (LIKE {TABLE} INCLUDING ALL)"))
    connection.execute(
        sa.text(
            f"ALTER TABLE {TABLE} ATTACH PARTITION {name}"
            f" FOR VALUES FROM ('{month}') TO ('{next_month(month)}')"
        )
    )


def row_count(connection: Connection, month: date) -> int:
    """Return how many rows a month's partition has, by the server's last estimate if it has one."""
    estimate = sa.text("SELECT reltuples::bigint FROM pg_class WHERE oid = CAST(:name AS regclass)")
    rows = connection.scalar(estimate, {"name": name_of(month)})
    if rows is None or rows < 0:  # never analysed, so there are few
        rows = connection.scalar(sa.text(f"SELECT count(*) FROM {name_of(month)}"))
    return int(rows or 0)


def drop_month(connection: Connection, month: date, *, wait_s: float) -> None:
    """Drop a month's partition with all its rows, at once however many they are.

    Args:
        wait_s: for the readers of the table. Whoever comes meanwhile waits behind.
    """
    name = name_of(month)
    connection.execute(sa.text(f"SET LOCAL lock_timeout = {int(wait_s * 1_000)}"))
    connection.execute(sa.text(f"ALTER TABLE {TABLE} DETACH PARTITION {name}"))
    connection.execute(sa.text(f"DROP TABLE {name}"))
