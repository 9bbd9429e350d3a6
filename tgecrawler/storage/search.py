"""Text search over alerts by each engine's own index: GIN on PostgreSQL, FTS5 on SQLite.

The index stands outside the models, which both engines share: migration 0004 makes it,
and ``missing_parts`` tells where it is gone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from tgecrawler.domain.search_words import PREFIX_MARK, asked_words
from tgecrawler.storage.models import ALERTS

if TYPE_CHECKING:
    from sqlalchemy import Connection

PARTS = {
    "postgresql": ("ix_alerts_words",),
    "sqlite": (
        "alert_search",
        "alert_search_delete",
        "alert_search_insert",
        "alert_search_update",
    ),
}
_NAMES = {
    "postgresql": "SELECT indexname FROM pg_indexes WHERE tablename = 'alerts'",
    "sqlite": "SELECT name FROM sqlite_master WHERE name LIKE 'alert_search%'",
}


def missing_parts(connection: Connection) -> list[str]:
    """Return the names of what the text search needs and the database lacks."""
    dialect = connection.dialect.name
    found = set(connection.scalars(sa.text(_NAMES[dialect])))
    return [part for part in PARTS[dialect] if part not in found]


def find(
    connection: Connection, alerts: sa.Select[*tuple[Any, ...]], query: str
) -> tuple[sa.Select[*tuple[Any, ...]], sa.ColumnElement[int]]:
    """Return a selection from ``alerts`` cut to those with every word of a query.

    Beside it the column that gives an alert's position there: ordered by that one,
    SQLite stops at the rows asked for instead of sorting all that it finds.
    """
    words = asked_words(query)
    if connection.dialect.name == "postgresql":
        return alerts.where(_says(words)), ALERTS.c.position
    position = _SEARCH.c.rowid
    asked = " ".join(_quoted(word) for word in words) or '""'
    joined = alerts.join(_SEARCH, position == ALERTS.c.position)
    return joined.where(sa.literal_column("alert_search").bool_op("MATCH")(asked)), position


_SEARCH = sa.table("alert_search", sa.column("rowid", sa.BigInteger))


def _says(words: list[str]) -> sa.ColumnElement[bool]:
    # Words are letters and digits alone, so that none can be taken for an operator.
    asked = " & ".join(word.replace(PREFIX_MARK, f":{PREFIX_MARK}") for word in words)
    simple: sa.ColumnElement[str] = sa.literal_column("'simple'")
    vector = sa.func.to_tsvector(simple, ALERTS.c.words)
    return vector.bool_op("@@")(sa.func.to_tsquery(simple, asked))


def _quoted(word: str) -> str:
    mark = PREFIX_MARK if word.endswith(PREFIX_MARK) else ""
    return f'"{word.removesuffix(PREFIX_MARK)}"{mark}'
