"""Keeps every response as it crossed the wire."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Self

from scrapy import signals
from scrapy.exceptions import NotConfigured

from tgecrawler.archive.replay import FETCHED_AT
from tgecrawler.archive.warc import ArchivedResponse, WarcWriter, archive_path
from tgecrawler.errors import OptionError

if TYPE_CHECKING:
    from scrapy import Request
    from scrapy.crawler import Crawler
    from scrapy.http import Response
    from scrapy.statscollectors import StatsCollector

logger = logging.getLogger(__name__)


class ArchiveMiddleware:
    """Adapter around `WarcWriter`. Option: TGE_ARCHIVE.

    Stands nearest the downloader, where bodies are still compressed. A full
    disk is said once and counted; the crawl goes on. The answer to a HEAD is
    not kept: without a body, it would stand for the page in a replay.

    Raises:
        OptionError: nothing can be written in the folder.
    """

    def __init__(self, folder: Path, spider: str, stats: StatsCollector) -> None:
        self.stats = stats
        self._said = False
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.writer = WarcWriter(archive_path(folder, spider, datetime.now(UTC)))
        except OSError as error:
            raise OptionError(f"TGE_ARCHIVE: cannot write in {folder} ({error.strerror})") from None
        # one thread: records follow one another in the order of their responses
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="archive")

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        folder = str(crawler.settings.get("TGE_ARCHIVE") or "")
        if not folder:
            raise NotConfigured
        middleware = cls(Path(folder), crawler.spidercls.name, crawler.stats)
        crawler.signals.connect(middleware.spider_closed, signal=signals.spider_closed)
        return middleware

    async def process_response(self, request: Request, response: Response) -> Response:
        if request.method == "HEAD":
            return response
        loop, record = asyncio.get_running_loop(), _archived(request, response)
        try:
            written = await loop.run_in_executor(self._thread, self.writer.write, record)
        except (OSError, ValueError) as error:
            self._failed(error)
        else:
            self.stats.inc_value("tge/archive/responses")
            self.stats.inc_value("tge/archive/bytes", written)
        return response

    async def spider_closed(self) -> None:
        """Close the file behind the last record."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, self.writer.close)
        self._thread.shutdown()

    def _failed(self, error: Exception) -> None:
        self.stats.inc_value("tge/archive/failed")
        if not self._said:
            self._said = True
            logger.error("archive: %s is not complete: %s", self.writer.path, error)


def _archived(request: Request, response: Response) -> ArchivedResponse:
    headers = tuple(
        (name.decode("latin-1"), value.decode("latin-1"))
        for name, values in response.headers.items()
        for value in values
    )
    return ArchivedResponse(
        url=response.url,
        status=response.status,
        headers=headers,
        body=response.body,
        fetched_at=request.meta.get(FETCHED_AT) or datetime.now(UTC),
    )
