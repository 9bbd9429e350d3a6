"""Writes what polls have learnt of sources, soon after they learnt it."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Self

from scrapy import signals
from scrapy.exceptions import NotConfigured

from tgecrawler.errors import DatabaseError
from tgecrawler.extensions.store import Store
from tgecrawler.storage.records import SourceHealth

if TYPE_CHECKING:
    from scrapy.crawler import Crawler

logger = logging.getLogger(__name__)

EVERY_S = 2


class SourceRows:
    """Rows of ``sources`` that wait to be written; one each, however often it changes.

    Written every two seconds in a thread, and at the close. What the database
    refuses waits for the next time: without it, a source is read whole once more.
    """

    def __init__(self, crawler: Crawler) -> None:
        self.crawler = crawler
        self._waiting: dict[str, SourceHealth] = {}
        self._failing = False
        self._lock = asyncio.Lock()  # the last write waits for the one under way
        self._writing: asyncio.Task[None] | None = None

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        if not getattr(crawler.spider, "stores", False):
            raise NotConfigured
        rows = cls(crawler)
        crawler.signals.connect(rows.spider_opened, signal=signals.spider_opened)
        crawler.signals.connect(rows.spider_closed, signal=signals.spider_closed)
        return rows

    def spider_opened(self) -> None:
        self._writing = asyncio.ensure_future(self._write_for_ever())

    async def spider_closed(self) -> None:
        """Write what is left; by now the pipelines have committed all they will."""
        if self._writing is not None:
            self._writing.cancel()
            await asyncio.gather(self._writing, return_exceptions=True)
        await self._write()

    def note(self, record: SourceHealth) -> None:
        """Take what was learnt of a source, to be added to what waits."""
        waiting = self._waiting.get(record.slug)
        self._waiting[record.slug] = record if waiting is None else merge(waiting, record)

    async def _write_for_ever(self) -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                # a write that has begun is finished, also when the spider closes meanwhile
                await asyncio.shield(self._write())
            except Exception:  # of ours; the rows after these are to be written all the same
                logger.exception("database: the state of some sources is not written")

    async def _write(self) -> None:
        async with self._lock:
            await self._write_waiting()

    async def _write_waiting(self) -> None:
        rows, self._waiting = self._waiting, {}
        store = self.crawler.get_extension(Store)
        if not rows or store is None:
            return
        try:
            await asyncio.to_thread(store.writer.record_sources, rows.values())
        except DatabaseError as error:
            for slug, row in rows.items():
                later = self._waiting.get(slug)
                self._waiting[slug] = row if later is None else merge(row, later)
            if not self._failing:
                logger.error("database: the state of %d sources waits: %s", len(rows), error)
            self._failing = True
        else:
            self._failing = False


def merge(earlier: SourceHealth, later: SourceHealth) -> SourceHealth:
    """Return one record that says what the two say one after the other."""
    changes = {
        name: value
        for name in SourceHealth.__dataclass_fields__
        if (value := getattr(later, name)) is not None
    }
    if later.last_error_at is None:
        changes["last_error"] = earlier.last_error
    if later.last_success_at is None:
        changes["consecutive_failures"] += earlier.consecutive_failures
    for counted in ("polls", "not_modified"):
        changes[counted] += getattr(earlier, counted)
    return replace(earlier, **changes)
