"""The monthly partitions of ``mention_texts`` on PostgreSQL; SQLite has none, and needs none."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

TABLE = "mention_texts"
MONTHS_AHEAD = 2
"""Months after the present one whose partitions are there already."""

_MONTHS = sa.text(
    "SELECT child.relname FROM pg_inherits"
    " JOIN pg_class child ON child.oid = inhrelid"
    f" WHERE inhparent = '{TABLE}'::regclass ORDER BY child.relname"
)


def month_of(moment: datetime) -> date:
    """Return the first day of a moment's month; of UTC, if the moment is."""
    return date(moment.year, moment.month, 1)


def next_month(month: date) -> date:
    """Return the first day of the month after."""
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)


def months(connection: Connection) -> list[date]:
    """Return the months that have a partition, the oldest first."""
    if connection.dialect.name != "postgresql":
        return []
    names = connection.scalars(_MONTHS)
    return [date(int(year), int(month), 1) for *_, year, month in (n.split("_") for n in names)]


def ensure_months(connection: Connection, month: date, ahead: int = MONTHS_AHEAD) -> None:
    """Make the partitions of a month and of those after it that are not there yet."""
    if connection.dialect.name != "postgresql":
        return
    there = months(connection)
    for _ in range(ahead + 1):
        if month not in there:
            _create(connection, month)
        month = next_month(month)


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
