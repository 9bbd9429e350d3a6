"""The shared level in one SQLite file, for the processes of one machine."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tgecrawler.cache.level import Gone, LevelError, TierSize
from tgecrawler.cache.sqlite_file import connect, file_id, is_damaged, put_aside

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from tgecrawler.cache.level import Key, Stored, Usage

STEP_ENTRIES, MOST_STEPS = 32, 16
"""Entries that one write drops at once, and how often: no look-up waits for a long clean-up."""

MOST_AT_ONCE_BYTES = 1_000_000  # by which an eviction goes below the bound
CHECK_EVERY = 64  # writes; so many of another process may pass the bound unseen
ROW_BYTES = 10_000  # of pages that a small entry may begin, in the tables and their indexes
STEP_PAGES = 64  # given back to the disk by one write, where the file itself is too large
GONE_KEPT = 1_000  # announcements; who has missed more forgets everything


class SqliteLevel:
    """See `SharedLevel`. WAL with synchronous NORMAL: a crash loses the last writes at most.

    Readers wait for no writer: they have a connection of their own. A damaged
    file is put aside, said once, and begun anew. The bound is held against the
    pages in use; the file is as large as they ever were, and is cut back step
    by step where the bound was lowered.
    """

    def __init__(self, path: Path, most_bytes: int) -> None:
        self.path = path
        self.most_bytes = most_bytes
        self.evictions = 0
        self._reader: sqlite3.Connection | None = None
        self._writer: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._heard_id: int | None = None
        self._room_bytes = 0  # known to be left below the bound
        self._writes = 0  # since that was known
        self._reading = threading.Lock()
        self._writing = threading.Lock()
        self._opening = threading.Lock()

    def read(self, key: Key, now_s: float) -> tuple[bytes, bytes] | None:
        with self._read() as db:
            row: tuple[bytes, bytes] | None = db.execute(
                "SELECT head, body FROM entries JOIN bodies USING (id)"
                " WHERE tier = ? AND key = ? AND gone_s > ?",
                (*key, now_s),
            ).fetchone()
        return row

    def write(self, key: Key, stored: Stored, now_s: float) -> None:
        size = len(stored.head) + len(stored.body)
        with self._write() as db:
            (row_id,) = db.execute(
                "INSERT INTO entries(tier, key, head, size, uses, used_s, gone_s)"
                " VALUES (?, ?, ?, ?, 1, ?, ?) ON CONFLICT(tier, key) DO UPDATE SET"
                " head = excluded.head, size = excluded.size, uses = uses + 1,"
                " used_s = excluded.used_s, gone_s = excluded.gone_s RETURNING id",
                (*key, stored.head, size, now_s, stored.gone_s),
            ).fetchone()
            db.execute("INSERT OR REPLACE INTO bodies VALUES (?, ?)", (row_id, stored.body))
            db.execute("DELETE FROM tags WHERE id = ?", (row_id,))
            db.executemany("INSERT OR IGNORE INTO tags VALUES (?, ?)", _pairs(row_id, stored.tags))
            self._make_room(db, size, now_s)

    def write_head(self, key: Key, head: bytes, gone_s: float, now_s: float) -> bool:
        with self._write() as db:
            done = db.execute(
                "UPDATE entries SET head = ?, gone_s = ?, used_s = ?, uses = uses + 1"
                " WHERE tier = ? AND key = ?",
                (head, gone_s, now_s, *key),
            )
            return done.rowcount == 1

    def drop(self, gone: Gone, now_s: float) -> int:
        with self._write() as db:
            wheres, values = _where(gone)
            dropped = db.execute(f"DELETE FROM entries{wheres}", values).rowcount  # noqa: S608
            db.execute(
                "INSERT INTO gone(tag, tier, key) VALUES (?, ?, ?)", (gone.tag, gone.tier, gone.key)
            )
            db.execute("DELETE FROM gone WHERE id <= (SELECT max(id) FROM gone) - ?", (GONE_KEPT,))
        return int(dropped)

    def heard(self) -> Sequence[Gone]:
        self._follow_file()
        with self._read() as db:
            first, last = db.execute("SELECT min(id), max(id) FROM gone").fetchone()
            known, self._heard_id = self._heard_id, last or 0
            if known is None or known == (last or 0):
                return []
            if first is None or first > known + 1 or last < known:
                return [Gone()]
            rows = db.execute("SELECT tag, tier, key FROM gone WHERE id > ?", (known,))
            return [Gone(*row) for row in rows]

    def record(self, usage: Usage) -> None:
        uses = [(uses, used_s, *key) for key, (uses, used_s) in usage.uses.items()]
        counts = [(*place, number) for place, number in usage.counts.items()]
        with self._write() as db:
            db.executemany(
                "UPDATE entries SET uses = uses + ?, used_s = max(used_s, ?)"
                " WHERE tier = ? AND key = ?",
                uses,
            )
            db.executemany(
                "INSERT INTO counts VALUES (?, ?, ?)"
                " ON CONFLICT(tier, name) DO UPDATE SET number = number + excluded.number",
                counts,
            )

    def counts(self) -> Mapping[tuple[str, str], float]:
        with self._read() as db:
            rows = db.execute("SELECT tier, name, number FROM counts")
            return {(tier, name): number for tier, name, number in rows}

    def hottest(self, limit: int) -> Sequence[Key]:
        with self._read() as db:
            return db.execute(
                "SELECT tier, key FROM entries ORDER BY uses DESC, used_s DESC LIMIT ?", (limit,)
            ).fetchall()

    def sizes(self) -> Mapping[str, TierSize]:
        with self._read() as db:
            rows = db.execute("SELECT tier, count(*), sum(size) FROM entries GROUP BY tier")
            return {tier: TierSize(entries, size) for tier, entries, size in rows}

    def used_bytes(self) -> int:
        with self._read() as db:
            return _used_bytes(db)

    def close(self) -> None:
        with self._reading, self._writing:
            for connection in (self._reader, self._writer):
                if connection is not None:
                    connection.close()
            self._reader = self._writer = None

    def _make_room(self, db: sqlite3.Connection, size: int, now_s: float) -> None:
        """Drop what is over, and the least recently used where the bound is met.

        Looked into only where what was written since may have met it; also after
        some writes, since other processes write as well.
        """
        self._room_bytes -= size + ROW_BYTES
        self._writes += 1
        if self._room_bytes > 0 and self._writes < CHECK_EVERY:
            return
        self._writes = 0
        db.execute(
            "DELETE FROM entries WHERE id IN"
            " (SELECT id FROM entries WHERE gone_s <= ? ORDER BY gone_s LIMIT ?)",
            (now_s, STEP_ENTRIES),
        )
        if _used_bytes(db) > self.most_bytes - ROW_BYTES:
            self._evict(db)
        self._cut_back(db)
        self._room_bytes = self.most_bytes - _used_bytes(db)

    def _evict(self, db: sqlite3.Connection) -> None:
        """Drop the least recently used, a little more than must be, so that it lasts a while."""
        wanted_bytes = self.most_bytes - min(self.most_bytes // 100, MOST_AT_ONCE_BYTES)
        for _ in range(MOST_STEPS):
            if _used_bytes(db) <= wanted_bytes:
                return
            dropped = db.execute(
                "DELETE FROM entries WHERE id IN (SELECT id FROM entries ORDER BY used_s LIMIT ?)",
                (STEP_ENTRIES,),
            )
            self.evictions += dropped.rowcount

    def _cut_back(self, db: sqlite3.Connection) -> None:
        """Give free pages back to the disk where the file itself is too large."""
        if _pragma(db, "page_count") * _pragma(db, "page_size") > self.most_bytes:
            for _ in range(STEP_PAGES):
                # one page each: sqlite3 ends the statement after its first step
                db.execute("PRAGMA incremental_vacuum(1)")

    @contextmanager
    def _read(self) -> Iterator[sqlite3.Connection]:
        with self._reading, self._surviving():
            if self._reader is None:
                self._reader = self._open()
            yield self._reader

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        with self._writing, self._surviving():
            if self._writer is None:
                self._writer = self._open()
            db = self._writer
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:  # a full disk has rolled back already
                    db.execute("ROLLBACK")
                raise

    @contextmanager
    def _surviving(self) -> Iterator[None]:
        """Turn what SQLite raises into LevelError, and put a damaged file aside."""
        try:
            yield
        except sqlite3.Error as error:
            if is_damaged(error):
                self._begin_anew(error)
            raise LevelError(f"{self.path}: {error}") from error

    def _open(self) -> sqlite3.Connection:
        with self._opening:
            connection = connect(self.path)
            found = file_id(self.path)
            if found != self._file:  # the other connection, if any, is in a file put aside
                self._reader = self._writer = None
            self._file = found
        return connection

    def _follow_file(self) -> None:
        """Let go of a file that another process has put aside, or that somebody has removed."""
        if self._file is not None and file_id(self.path) != self._file:
            with self._opening:
                self._reader = self._writer = None

    def _begin_anew(self, error: sqlite3.Error) -> None:
        """Let go of a damaged file; put it aside unless another process did so before."""
        with self._opening:
            if file_id(self.path) == self._file:
                put_aside(self.path, str(error))
            # a connection may be in use by another thread: it is closed when that lets it go
            self._reader = self._writer = None
            self._file = None


def _where(gone: Gone) -> tuple[str, list[str]]:
    """Return the condition of what is named, and its values."""
    conditions = {
        "id IN (SELECT id FROM tags WHERE tag = ?)": gone.tag,
        "tier = ?": gone.tier,
        "key = ?": gone.key,
    }
    named = {condition: value for condition, value in conditions.items() if value is not None}
    return (" WHERE " + " AND ".join(named) if named else ""), list(named.values())


def _pairs(row_id: int, tags: tuple[str, ...]) -> list[tuple[int, str]]:
    return [(row_id, tag) for tag in tags]


def _used_bytes(db: sqlite3.Connection) -> int:
    pages = _pragma(db, "page_count") - _pragma(db, "freelist_count")
    return pages * _pragma(db, "page_size")


def _pragma(db: sqlite3.Connection, name: str) -> int:
    return int(db.execute(f"PRAGMA {name}").fetchone()[0])
