"""What a transaction has to tell, in a table of its own until it is on the stream.

A row is written together with what it tells of, so that it is there exactly if that was
committed. Writers exclude each other until their commit, so that ids grow in the order of
commits: who reads on above the last id that he has seen misses none.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC
from typing import TYPE_CHECKING
from zlib import crc32

import sqlalchemy as sa

from tgecrawler.storage.models import OUTBOX
from tgecrawler.storage.upkeep import CHUNK

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from sqlalchemy import Connection

ALERT, EVENT, RESTORED = "alert", "event", "restored"
"""Kinds of rows. The last tells of nothing stored: see `renumber`."""

NEW, CHANGED = "new", "changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """An alert or event that is new, or says something else than before.

    ``was`` is the id under which it was told before, "" where that is the same.
    """

    kind: str
    ref: str
    change: str
    was: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxRow:
    """A row as stored."""

    id: int
    kind: str
    ref: str
    change: str
    was: str
    created_at: datetime

    @property
    def place(self) -> str:
        """The row's id on the stream: its number, and a mark of what it says.

        The mark tells whether an id on the stream is this row's, or was given to another
        row by a database of which an older state was restored since.
        """
        at = self.created_at.astimezone(UTC).isoformat()
        said = f"{self.kind} {self.ref} {self.change} {self.was} {at}"
        return f"{self.id}-{crc32(said.encode())}"


def announce(connection: Connection, news: Sequence[News], now: datetime) -> None:
    """Write what is to be told, in the order in which it is to be told."""
    if news:
        rows = [{**asdict(one), "created_at": now} for one in news]
        connection.execute(sa.insert(OUTBOX), rows)


def read_rows(
    connection: Connection, first: int = 0, *, limit: int | None = None
) -> list[OutboxRow]:
    """Return the rows from an id on, the lowest first; all of them without a limit."""
    query = sa.select(OUTBOX).where(OUTBOX.c.id >= first).order_by(OUTBOX.c.id).limit(limit)
    return [OutboxRow(**row._mapping) for row in connection.execute(query)]


def highest_id(connection: Connection) -> int:
    """Return the highest id of a row; 0 where there is none."""
    return connection.scalar(sa.select(sa.func.max(OUTBOX.c.id))) or 0


def renumber(
    connection: Connection, rows: Collection[OutboxRow], above: int, now: datetime
) -> OutboxRow:
    """Give rows new ids above a number, in the same order, and go on above them from then on.

    Before them goes a row of the kind "restored", which is returned: the first of the ids
    that are given anew.
    """
    start = max(above, highest_id(connection)) + 1
    mark = OutboxRow(id=start, kind=RESTORED, ref="", change="", was="", created_at=now)
    moved = [{**asdict(row), "id": start + 1 + place} for place, row in enumerate(rows)]
    delete_rows(connection, [row.id for row in rows])
    connection.execute(sa.insert(OUTBOX), [asdict(mark), *moved])
    if connection.dialect.name == "postgresql":  # SQLite goes on above the highest by itself
        beyond = "SELECT setval('outbox_id_seq', greatest(:top, last_value)) FROM outbox_id_seq"
        connection.execute(sa.text(beyond), {"top": start + len(moved)})
    return mark


def old_ids(connection: Connection, below: int, cut: datetime, limit: int) -> list[int]:
    """Return ids of rows below an id that were written before a moment, the lowest first."""
    old = sa.select(OUTBOX.c.id).where(OUTBOX.c.id < below, OUTBOX.c.created_at < cut)
    return list(connection.scalars(old.order_by(OUTBOX.c.id).limit(limit)))


def delete_rows(connection: Connection, ids: Sequence[int]) -> None:
    """Delete rows by id."""
    for start in range(0, len(ids), CHUNK):
        chosen = OUTBOX.c.id.in_(ids[start : start + CHUNK])
        connection.execute(sa.delete(OUTBOX).where(chosen))
