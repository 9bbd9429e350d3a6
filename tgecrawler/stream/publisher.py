"""Brings what is in the outbox on to the stream, each row once, whoever does it and dies."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tgecrawler.storage import outbox
from tgecrawler.storage.engine import reading, write_transaction
from tgecrawler.storage.event_queries import read_events
from tgecrawler.storage.queries import read_alerts
from tgecrawler.storage.retry import with_retries
from tgecrawler.stream.messages import STREAM, BrokenMessageError, decode, encode, number_of
from tgecrawler.stream.stream_scripts import APPEND, HELD, LAST

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from redis import Redis
    from sqlalchemy import Connection, Engine

    from tgecrawler.storage.outbox import OutboxRow

logger = logging.getLogger(__name__)

AT_ONCE = 250
"""Messages that go in one step: Redis answers nobody else meanwhile, which is a few ms."""

TOLD_KEPT = timedelta(days=1)
"""For how long rows stay that were told: a Redis that was emptied is told them once more."""

DELETED_AT_ONCE = 5_000

MOST_MENDS = 3
"""In one call: more mean that another database has the same stream, which mends it as often."""

MOST_NUMBER = 2**62
"""Rows are numbered far below; ids of the stream may be above, where others write to it."""


@dataclass(frozen=True, slots=True)
class _Sent:
    """Whether messages were taken, and the last id of the stream after that."""

    taken: bool
    last: str


class Publisher:
    """Tells what is in the outbox; blocking, and not for several threads at once.

    The stream itself says how far it was told: a message bears the number of its row, and
    messages are added only behind the last id that they were read after. So any number of
    publishers may run at a time, and one that dies leaves nothing half done: the rows that
    it did not come to are still above the stream's last id.

    Args:
        engine: of ``storage.engine.create_engine``, with its schema in place.
        most_messages: that the stream keeps, about; the oldest go first.
        clock: returns the present moment, aware UTC.
    """

    def __init__(
        self,
        engine: Engine,
        client: Redis,
        most_messages: int,
        *,
        key: str = STREAM,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.engine = engine
        self.client = client
        self.most_messages = most_messages
        self.key = key
        self.clock = clock
        self.mended = 0

    def publish(self) -> int:
        """Tell all rows that wait; return how many this call has told.

        Raises:
            DatabaseError, redis.RedisError, OSError: either is away; what is not told yet
                waits for the next call, of whatever process.
        """
        told = mends = 0
        last = self._last()
        while True:
            with reading(self.engine, "outbox", primary=True) as connection:
                rows, fits = _waiting(connection, last)
                messages = _messages(connection, rows) if fits else []
            if not fits:
                if mends == MOST_MENDS:
                    return told
                self._mend()
                mends += 1
                last = self._last()
                continue
            if not rows:
                return told
            sent = self._append(last, messages)
            last = sent.last
            told += len(rows) if sent.taken else 0

    def forget(self) -> int:
        """Delete rows that were told a while ago; return how many.

        Raises:
            DatabaseError, redis.RedisError, OSError: as of `publish`.
        """
        last, cut = self._last(), self.clock() - TOLD_KEPT
        with reading(self.engine, "outbox", primary=True) as connection:
            _, fits = _waiting(connection, last)
            # Below the last one: by that row the stream is known to be this database's.
            below = number_of(last) if fits else 0
            ids = outbox.old_ids(connection, below, cut, DELETED_AT_ONCE)
        if ids:
            self._write("forget_told", lambda connection: outbox.delete_rows(connection, ids))
        return len(ids)

    def _last(self) -> str:
        return str(LAST.run_blocking(self.client, [self.key]).decode())

    def _append(self, last: str, messages: Sequence[tuple[str, list[bytes | str]]]) -> _Sent:
        parts: list[Any] = [last, self.most_messages]
        for place, fields in messages:
            parts += [place, len(fields), *fields]
        taken, found = APPEND.run_blocking(self.client, [self.key], parts)
        return _Sent(bool(taken), found.decode())

    def _mend(self) -> None:
        """Go on above a last id of the stream that is none of this database's.

        Of the rows at hand, those that are not on the stream get ids above it, and a first
        message of the kind "restored" ties the two together again.

        It goes on to the stream within the transaction: of two publishers that have found
        the same, the second one then finds all in order. Where the commit fails after it,
        the next one mends anew.
        """

        def mend(connection: Connection) -> int | None:
            last = self._last()
            if _waiting(connection, last)[1]:
                return None
            if (above := number_of(last)) > MOST_NUMBER:
                raise RuntimeError(f"no number is left above {last}; DEL {self.key} begins anew")
            untold = self._untold(outbox.read_rows(connection))
            mark = outbox.renumber(connection, untold, above, self.clock())
            if not self._append(last, [(mark.place, encode(mark, None))]).taken:
                raise _MovedError
            return len(untold)

        try:
            count = self._write("mend_outbox", mend)
        except _MovedError:
            return
        if count is not None:
            self.mended += 1
            logger.error(
                "stream: its last message is none of this database's: an older state of the"
                " database was restored, or something else writes to %s. Message ids go on above"
                " it, %d that were not told with them; what was told since that state may be"
                " told again",
                self.key,
                count,
            )

    def _untold(self, rows: Sequence[OutboxRow]) -> list[OutboxRow]:
        """Return those of all rows that are not on the stream, and were not cut off its begin."""
        begins_at = self._begins_at()
        found: list[OutboxRow] = []
        for start in range(0, len(rows), AT_ONCE):
            some = rows[start : start + AT_ONCE]
            held = HELD.run_blocking(self.client, [self.key], [row.place for row in some])
            found += [
                row
                for row, is_there in zip(some, held, strict=True)
                if not is_there and row.created_at >= begins_at and row.kind != outbox.RESTORED
            ]
        return found

    def _begins_at(self) -> datetime:
        """Return when the oldest message was committed that the stream still has."""
        entries: Any = self.client.xrange(self.key, count=1)
        try:
            return decode(*entries[0]).at
        except (IndexError, BrokenMessageError):
            return datetime.min.replace(tzinfo=UTC)

    def _write(self, name: str, action: Callable[[Connection], Any]) -> Any:
        def attempt() -> Any:
            with write_transaction(self.engine, name) as connection:
                return action(connection)

        return with_retries(attempt, url=self.engine.url, sleep=time.sleep, attempts=1)


class _MovedError(Exception):
    """Another publisher has written to the stream meanwhile."""


def _waiting(connection: Connection, last: str) -> tuple[list[OutboxRow], bool]:
    """Return the next rows above the stream's last id, and whether that id is a row's of here."""
    if last == "0-0":
        return outbox.read_rows(connection, limit=AT_ONCE), True
    if number_of(last) > MOST_NUMBER:
        return [], False
    rows = outbox.read_rows(connection, number_of(last), limit=AT_ONCE + 1)
    return rows[1:], bool(rows) and rows[0].place == last


def _messages(
    connection: Connection, rows: Sequence[OutboxRow]
) -> list[tuple[str, list[bytes | str]]]:
    """Return the message of each row: its id and its fields, of what is stored at present."""
    alerts = read_alerts(connection, {row.ref for row in rows if row.kind == outbox.ALERT})
    events = read_events(connection, {row.ref for row in rows if row.kind == outbox.EVENT})
    found = []
    for row in rows:
        told = alerts.get(row.ref) if row.kind == outbox.ALERT else events.get(row.ref)
        found.append((row.place, encode(row, told.as_json() if told else None)))
    return found
