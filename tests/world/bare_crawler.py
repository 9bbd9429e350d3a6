"""``python bare_crawler.py URLS.json HOURS``: bare Scrapy as many would write it.

It polls each feed every quarter of an hour with its validators, one request per host and
second, and knows nothing of Retry-After, crawl-delay or back-off. The tests show with it
that the simulated world sees what a crawler does wrong.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from scrapy import Request, Spider
from scrapy.crawler import CrawlerProcess
from scrapy.http import Response

EVERY_S = 900
SETTINGS = {
    "ASYNCIO_EVENT_LOOP": "warped_loop.WarpedLoop",
    "CONCURRENT_ITEMS": 8,
    "CONCURRENT_REQUESTS": 100,
    "CONCURRENT_REQUESTS_PER_DOMAIN": 1,
    "DOWNLOAD_DELAY": 1.0,
    "RANDOMIZE_DOWNLOAD_DELAY": False,
    "DOWNLOAD_TIMEOUT": 15,
    "ROBOTSTXT_OBEY": True,
    "TELNETCONSOLE_ENABLED": False,
    "LOG_LEVEL": "CRITICAL",
}


class BareCrawler(Spider):
    name = "bare"
    handle_httpstatus_list = (304,)

    async def start(self) -> AsyncIterator[Any]:
        self.validators: dict[str, dict[str, str]] = {}
        urls = json.loads(Path(sys.argv[1]).read_text())
        for _ in range(round(float(sys.argv[2]) * 3600 / EVERY_S)):
            for url in urls:
                headers = self.validators.get(url, {})
                yield Request(url, headers=headers, cb_kwargs={"feed": url}, dont_filter=True)
            await asyncio.sleep(EVERY_S)

    def parse(self, response: Response, feed: str) -> None:
        pairs = (("ETag", "If-None-Match"), ("Last-Modified", "If-Modified-Since"))
        told = {ask: response.headers.get(tell) for tell, ask in pairs}
        self.validators[feed] = {name: value.decode() for name, value in told.items() if value}


if __name__ == "__main__":
    process = CrawlerProcess(SETTINGS)
    process.crawl(BareCrawler)
    process.start()
