"""Writes mentions and verdicts in batches, off the event loop."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from scrapy import signals
from scrapy.exceptions import NotConfigured

from tgecrawler.addon import runtime_of
from tgecrawler.domain.batching import PendingRows
from tgecrawler.drops import EntryDropped
from tgecrawler.extensions.ledger import EntryLedger
from tgecrawler.extensions.report import RunReport
from tgecrawler.extensions.store import Store
from tgecrawler.items import Mention
from tgecrawler.storage.batch import Rejected

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scrapy.crawler import Crawler

    from tgecrawler.storage.bisection import Commit
    from tgecrawler.storage.lasting import Fate

logger = logging.getLogger(__name__)

# Full batches that may gather while one is written, and are then written as one; beyond
# them, the crawl waits for the database.
BATCHES_AHEAD = 4

Row = Mention | Rejected


class DatabasePipeline:
    """Adapter around `Store.write`. Options: TGE_DATABASE_BATCH_…, TGE_SPOOL_….

    One writer at a time takes what has gathered, once it is enough or old
    enough, and at once what a busy crawl brought while it wrote. An item that
    has passed is not yet stored: its outcome is booked after the commit. While
    the database is away, rows wait on disk and their entries stay open; what is
    still there at the close is pending, and the next run writes it. A row that
    the database refuses is put aside, and has failed.

    So a body's validators are settled by commits alone. They could be by rows on
    disk as well, which are as safe, but the row of ``sources`` that bears them
    goes to the same database, and a body that is read once more costs little.
    """

    def __init__(
        self, store: Store, ledger: EntryLedger, report: RunReport, pending: PendingRows[Row]
    ) -> None:
        self.store = store
        self.ledger = ledger
        self.report = report
        self.pending = pending
        self._on_disk: set[str] = set()  # entries of this run that are open, and in the spool
        self._held = False
        self._closing = False

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        store, ledger, report = map(crawler.get_extension, (Store, EntryLedger, RunReport))
        if store is None or ledger is None or report is None:
            raise NotConfigured
        options = runtime_of(crawler).options
        size = int(options["TGE_DATABASE_BATCH_SIZE"])
        pending: PendingRows[Row] = PendingRows(
            most_rows=size,
            longest_wait_s=float(options["TGE_DATABASE_BATCH_AGE_S"]),
            most_taken=BATCHES_AHEAD * size,
        )
        pipeline = cls(store, ledger, report, pending)
        crawler.signals.connect(pipeline.item_dropped, signal=signals.item_dropped)
        return pipeline

    def open_spider(self) -> None:
        self._changed = asyncio.Event()
        self._written = asyncio.Event()
        self._writing = asyncio.ensure_future(self._write_batches())

    async def process_item(self, item: Any) -> Any:
        if isinstance(item, Mention):
            self._add(item)
            while self._is_behind():
                self._written.clear()
                await self._written.wait()
        return item

    def item_dropped(self, item: Any, exception: BaseException, spider: Any) -> None:
        """Note a verdict, so that the page is not fetched again for the same one."""
        if not isinstance(item, Mention) or not isinstance(exception, EntryDropped):
            return
        if not exception.remember:
            return
        if self._is_behind():  # nothing holds up verdicts, and one forgotten costs a page
            self.report.stats.inc_value("tge/database/verdicts_forgotten")
            return
        self._add(
            Rejected(
                id=item.entry_id,
                outcome=exception.outcome,
                rules_version=spider.verdict_version,
                seen_at=item.seen_at,
            )
        )

    async def close_spider(self) -> None:
        self._closing = True
        self._changed.set()
        await self._writing

    def _add(self, row: Row) -> None:
        self.pending.add(row, time.monotonic())
        self._changed.set()

    def _is_behind(self) -> bool:
        return len(self.pending.rows) > self.pending.most_taken

    async def _write_batches(self) -> None:
        while not (self._closing and not self.pending.rows):
            wait_s, drain_in_s = self._wait_s(), self.store.lasting.wait_s()
            if wait_s == 0 or (self._closing and self.pending.rows):
                await self._write(self.pending.take())
                self._written.set()
            elif drain_in_s == 0:
                await self._drain()
            else:
                await self._wait(wait_s, drain_in_s)
        await self._drain_the_rest()

    def _wait_s(self) -> float | None:
        """Return how long until a batch is to be written: 0 = now, None = there is none."""
        if self._held:  # the spool is full, and the database may be back by then
            return self.store.lasting.wait_s() or 0.0
        return self.pending.wait_s(time.monotonic())

    async def _wait(self, *waits_s: float | None) -> None:
        self._changed.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(min((w for w in waits_s if w is not None), default=None)):
                await self._changed.wait()

    async def _write(self, rows: Sequence[Row]) -> None:
        mentions = [row for row in rows if isinstance(row, Mention)]
        rejected = [row for row in rows if isinstance(row, Rejected)]
        started = time.perf_counter()
        try:
            fate = await asyncio.to_thread(
                self.store.write, mentions, rejected, closing=self._closing
            )
        except Exception:  # the writer must outlive a fault of ours, and say it
            logger.exception("database: %d rows are left for the next run", len(rows))
            self._fail(mentions, again=True)
            return
        for commit in fate.commits:
            self.report.batch_written(commit.batch.mentions, commit.result, commit.took_s)
            for mention in commit.batch.mentions:
                self.ledger.close(mention.entry_id, commit.result.outcomes[mention.entry_id])
        self._note_rest(fate)
        self.pending.committed(time.perf_counter() - started)

    def _note_rest(self, fate: Fate) -> None:
        """Book what of a batch did not get into the database."""
        for batch in fate.refused:
            self.report.stats.inc_value("tge/database/rows_put_aside")
            self._fail(batch.mentions)
        self._fail(fate.given_up.mentions, again=True)
        self._on_disk |= {mention.entry_id for mention in fate.kept.mentions}
        self.report.stats.inc_value("tge/database/mentions_spooled", len(fate.kept.mentions))
        held: list[Row] = [*fate.held.mentions, *fate.held.rejected]
        self._held = bool(held)
        self.pending.put_back(held, time.monotonic())

    async def _drain(self) -> None:
        try:
            fate = await asyncio.to_thread(self.store.drain)
        except Exception:
            logger.exception("database: the spool is left for the next run")
            self.store.lasting.abandon()
            return
        for commit in fate.commits:
            self._note_drained(commit.batch.mentions, commit)
        for batch in fate.refused:
            self.report.stats.inc_value("tge/database/rows_put_aside")
            self._fail([one for one in batch.mentions if one.entry_id in self._on_disk])
            self._on_disk -= {one.entry_id for one in batch.mentions}

    def _note_drained(self, mentions: Sequence[Mention], commit: Commit) -> None:
        # Of what a dead process has left, this run's ledger knows nothing. What was written
        # before the database went away again is written twice, and booked once.
        own = [one for one in mentions if one.entry_id in self._on_disk]
        self._on_disk -= {one.entry_id for one in own}
        self.report.batch_written(own, commit.result, commit.took_s)
        self.report.stats.inc_value("tge/database/mentions_recovered", len(mentions))
        for mention in own:
            self.ledger.close(mention.entry_id, commit.result.outcomes[mention.entry_id])

    async def _drain_the_rest(self) -> None:
        """Write what is on disk if the database is there; else leave it to the next run."""
        if self.store.lasting.waiting_rows:
            await self._drain()
        while self.store.lasting.wait_s() == 0:
            await self._drain()
        if rest := self.store.lasting.waiting_rows:
            logger.error("database: %d rows are left on disk; the next run writes them", rest)
        self.report.stats.set_value("tge/database/rows_on_disk", rest)
        for entry_id in self._on_disk:
            self.ledger.close(entry_id, "pending")

    def _fail(self, mentions: Sequence[Mention], *, again: bool = False) -> None:
        if not mentions:
            return
        self.report.batch_failed(len(mentions))
        for mention in mentions:
            self.ledger.close(mention.entry_id, "failed", again=again)
