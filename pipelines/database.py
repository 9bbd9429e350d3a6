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
from tgecrawler.errors import DatabaseError
from tgecrawler.extensions.ledger import EntryLedger
from tgecrawler.extensions.report import RunReport
from tgecrawler.extensions.store import Store
from tgecrawler.items import Mention
from tgecrawler.storage.batch import Rejected

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scrapy.crawler import Crawler

logger = logging.getLogger(__name__)

# Full batches that may gather while one is written, and are then written as one; beyond
# them, the crawl waits for the database.
BATCHES_AHEAD = 4

Row = Mention | Rejected


class DatabasePipeline:
    """Adapter around `Store.write`. Options: TGE_DATABASE_BATCH_SIZE, TGE_DATABASE_BATCH_AGE_S.

    One writer at a time takes what has gathered, once it is enough or old
    enough, and at once what a busy crawl brought while it wrote. An item that
    has passed is not yet stored: its outcome is booked after the commit. A batch
    that the database refuses for good is booked as failed and not remembered, so
    that the next run reads its entries again.
    """

    def __init__(
        self, store: Store, ledger: EntryLedger, report: RunReport, pending: PendingRows[Row]
    ) -> None:
        self.store = store
        self.ledger = ledger
        self.report = report
        self.pending = pending
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
            while len(self.pending.rows) > self.pending.most_taken:
                self._written.clear()
                await self._written.wait()
        return item

    def item_dropped(self, item: Any, exception: BaseException, spider: Any) -> None:
        """Note a verdict, so that the page is not fetched again for the same one."""
        if isinstance(item, Mention) and isinstance(exception, EntryDropped) and exception.remember:
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

    async def _write_batches(self) -> None:
        while not (self._closing and not self.pending.rows):
            wait_s = self.pending.wait_s(time.monotonic())
            if wait_s == 0 or (self._closing and self.pending.rows):
                started = time.perf_counter()
                await self._write(self.pending.take())
                self.pending.committed(time.perf_counter() - started)
                self._written.set()
                continue
            self._changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._changed.wait()

    async def _write(self, rows: Sequence[Row]) -> None:
        mentions = [row for row in rows if isinstance(row, Mention)]
        rejected = [row for row in rows if isinstance(row, Rejected)]
        started = time.perf_counter()
        try:
            result = await asyncio.to_thread(self.store.write, mentions, rejected)
        except DatabaseError as error:
            logger.error("database: %d rows are left for the next run: %s", len(rows), error)
            self._give_up(mentions)
        except Exception:  # the writer must outlive a fault of ours, and say it
            logger.exception("database: %d rows are left for the next run", len(rows))
            self._give_up(mentions)
        else:
            self.report.batch_written(mentions, result, time.perf_counter() - started)
            for mention in mentions:
                self.ledger.close(mention.entry_id, result.outcomes[mention.entry_id])

    def _give_up(self, mentions: Sequence[Mention]) -> None:
        self.report.batch_failed(len(mentions))
        for mention in mentions:
            self.ledger.close(mention.entry_id, "failed")
