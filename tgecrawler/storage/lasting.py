"""Rows that reach the database in the end: written, kept until it is back, or put aside."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tgecrawler.domain.outage import Outage
from tgecrawler.errors import DatabaseError, SpoolError, SpoolFullError
from tgecrawler.storage.batch import Batch, ids_of, joined, row_count
from tgecrawler.storage.bisection import Commit, write_in_parts
from tgecrawler.storage.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

    from tgecrawler.storage.aside import Aside
    from tgecrawler.storage.batch import WriteResult
    from tgecrawler.storage.bisection import Parts, Refused
    from tgecrawler.storage.spool import Spool, SpoolFile

logger = logging.getLogger(__name__)

DRAIN_ROWS = 2_000  # of the spool that one transaction writes; new rows wait meanwhile
NOTHING = Batch()


@dataclass(slots=True)
class Fate:
    """What became of rows. Each is in one of the batches.

    Attributes:
        commits: in the database.
        refused: put aside, one row each.
        kept: on disk, and written later.
        held: neither, for the spool is full: to be handed in again.
        given_up: neither, and never will be by this run: the next one reads their entries.
    """

    commits: list[Commit] = field(default_factory=list)
    refused: list[Batch] = field(default_factory=list)
    kept: Batch = NOTHING
    held: Batch = NOTHING
    given_up: Batch = NOTHING

    def give_up(self, batch: Batch) -> None:
        """Add to what is given up."""
        self.given_up = joined([batch, self.given_up])


class LastingWriter:
    """A `Writer` that finds refused rows and outlasts a database that is away.

    Blocking, and not for several threads at once.

    Args:
        spool: where batches wait; None for nowhere: then they are given up.
        clock: of seconds, monotonic.
        sleep: waits for a number of seconds between the attempts at a transaction.
        announces: as of a `Writer`.
    """

    def __init__(
        self,
        engine: Engine,
        aside: Aside,
        spool: Spool | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        announces: bool = False,
    ) -> None:
        self.engine = engine
        self.aside = aside
        self.spool = spool
        self.clock = clock
        self.writer = Writer(engine, sleep=sleep, announces=announces)
        # While it is away, one attempt tells as much as eight.
        self.impatient = Writer(engine, sleep=sleep, attempts=1, announces=announces)
        self.outage = Outage()
        self._full = False
        self._drained = 0

    @property
    def waiting_rows(self) -> int:
        """How many rows are on disk, to be written by this process."""
        return self.spool.rows if self.spool is not None else 0

    @property
    def present(self) -> Writer:
        """The writer that tries as often as is worth it at present."""
        return self.impatient if self.outage.lasts else self.writer

    def wait_s(self) -> float | None:
        """Return how long until `drain` is worth a call: 0 = now, None = nothing waits."""
        if not self.waiting_rows and not self._full:
            return None
        return self.outage.wait_s(self.clock())

    def write(self, batch: Batch, *, closing: bool = False) -> Fate:
        """Write a batch, or keep it; while the database is away, keep it without asking.

        Args:
            closing: it is the last chance: ask once more, and keep it also in a spool
                that is full.
        """
        if self.outage.wait_s(self.clock()) and not closing:
            fate = Fate()
            self._keep(batch, fate, beyond=False)
            return fate
        return self._written(write_in_parts(self._attempt, batch), closing=closing)

    def drain(self) -> Fate:
        """Write the oldest of what is on disk, as much as makes one transaction."""
        if self.spool is None:
            return Fate()
        files, batch = self._oldest(self.spool)
        if not files:
            return Fate()
        parts = write_in_parts(self._attempt, batch)
        fate = self._taken(parts)
        if parts.error is not None:
            self._note_away(parts.error)
        else:
            self._let_go(self.spool, files, fate)
            self._drained += row_count(batch)
            self._note_back()
        if self._drained and not self.spool.files:
            logger.info("database: %d rows of the spool are written", self._drained)
            self._drained = 0
        return fate

    def recover(self) -> int:
        """Write all that dead processes have left; return how many mentions that was.

        Raises:
            DatabaseError: the database is away.
        """
        mentions = 0
        if self.spool is None:
            return mentions
        if rows := self._adopt(self.spool):
            logger.info("database: %d rows of an earlier run are in the spool", rows)
        while self.spool.files:
            files, batch = self._oldest(self.spool)
            if not files:
                break
            parts = write_in_parts(self.writer.write, batch)
            fate = self._taken(parts)
            mentions += sum(len(commit.batch.mentions) for commit in fate.commits)
            if parts.error is not None:
                raise parts.error
            self._let_go(self.spool, files, fate)
        if rows:
            logger.info("database: %d mentions of the spool are written", mentions)
        return mentions

    def abandon(self) -> None:
        """Leave what is on disk alone for the rest of this run: it cannot be dealt with."""
        if self.spool is not None:
            self.spool.leave(self.spool.files)

    def close(self) -> None:
        """Leave to others what is still on disk."""
        if self.spool is not None:
            self.spool.close()

    def _attempt(self, batch: Batch) -> WriteResult:
        if self.outage.lasts:
            # A connection to a server that was made read-only, or a file that was, stays so.
            self.engine.dispose()
        return self.present.write(batch)

    def _written(self, parts: Parts, *, closing: bool) -> Fate:
        fate = self._taken(parts)
        if parts.error is None:
            self._note_back()
        else:
            if self.spool is not None:
                self._note_away(parts.error)
            self._keep(parts.left, fate, beyond=closing, error=parts.error)
        return fate

    def _taken(self, parts: Parts) -> Fate:
        """Return the fate of what was committed or refused; the latter is put aside."""
        fate = Fate(commits=parts.commits)
        for refused in parts.refused:
            if self._put_aside(refused):
                fate.refused.append(refused.batch)
            else:
                fate.give_up(refused.batch)
        return fate

    def _put_aside(self, refused: Refused) -> bool:
        entry_id = ids_of(refused.batch)[0]
        try:
            new = self.aside.put(refused.batch, refused.reason)
        except SpoolError as error:
            logger.error("database: %s: %s; %s", entry_id, refused.reason, error)
            return False
        logger.log(
            logging.ERROR if new else logging.DEBUG,
            "database: put aside in %s: %s: %s",
            self.aside.path,
            entry_id,
            refused.reason,
            exc_info=refused.fault,
        )
        return True

    def _let_go(self, spool: Spool, files: list[SpoolFile], fate: Fate) -> None:
        """Remove files whose rows are settled; others are left to the next process."""
        if row_count(fate.given_up):
            spool.leave(files)
        else:
            spool.remove(files)

    def _keep(
        self, batch: Batch, fate: Fate, *, beyond: bool, error: DatabaseError | None = None
    ) -> None:
        rows = row_count(batch)
        if self.spool is None:
            logger.error("database: %d rows are left for the next run: %s", rows, error)
            fate.give_up(batch)
            return
        try:
            self.spool.keep(batch, beyond=beyond)
        except SpoolFullError as full:
            if not self._full:
                logger.error("database: %s; the crawl waits until the database is back", full)
            self._full = True
            fate.held = batch
        except SpoolError as unusable:
            logger.error("database: %d rows are left for the next run: %s", rows, unusable)
            self.outage.ended()  # each batch is worth an attempt when nothing else saves it
            fate.give_up(batch)
        else:
            fate.kept = batch

    def _note_away(self, error: DatabaseError) -> None:
        if self.outage.failed(self.clock()) and self.spool is not None:
            where = self.spool.folder
            logger.error("database: %s; rows wait in %s until it is back", error, where)

    def _note_back(self) -> None:
        self._full = False
        if not self.outage.ended() or self.spool is None:
            return
        self._adopt(self.spool)  # what processes left that died while it was away
        waiting = self.spool.rows
        logger.info("database: it is back; %d rows of the spool are to be written", waiting)

    def _adopt(self, spool: Spool) -> int:
        try:
            return spool.adopt()
        except SpoolError as error:
            logger.error("database: what other processes left is not written: %s", error)
            return 0

    def _oldest(self, spool: Spool) -> tuple[list[SpoolFile], Batch]:
        """Return the oldest files that make one transaction, and their rows as one batch."""
        files: list[SpoolFile] = []
        batches: list[Batch] = []
        rows = 0
        for file in spool.files:
            rows += file.rows
            if files and rows > DRAIN_ROWS:
                break
            batch = spool.load(file)
            if batch is None:
                continue
            if batches and batch.rules_version != batches[0].rules_version:
                break
            files.append(file)
            batches.append(batch)
        return files, joined(batches) if batches else NOTHING
