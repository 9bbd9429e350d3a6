"""A crawl with leased requests: ``leased_crawl.py BASE REDIS_URL STORED MODE [NAME=VALUE]…``.

Goes through the tree of ``tests/bench/tree_server.py``, keeps its items in batches, as the
project does, and writes their numbers to the file STORED, a line each. Prints its stats as
JSON at the end. MODE says what the pages are reached by, see `TreeSpider.kind_of`; with
``plain`` it is a crawl with scrapy-redis and without leases.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from plain_scrapy_redis import settings_for
from scrapy import Request, Spider
from scrapy.crawler import CrawlerProcess
from scrapy.http import Response
from scrapy.linkextractors import LinkExtractor

from tgecrawler.scheduling.leased_scheduler import LeasedScheduler

BATCH = 20
COMMIT_EVERY_S = 0.3
LINKS = LinkExtractor()


class QuickScheduler(LeasedScheduler):
    """Tries again sooner, so that a test need not wait."""

    retry_s = 0.2


class TreeSpider(Spider):
    name = "tree"

    def __init__(self, base: str = "", mode: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.base = base
        self.mode = mode

    async def start(self) -> AsyncIterator[Any]:
        yield self.request(0)

    def request(self, number: int) -> Request:
        return Request(f"{self.base}/{self.kind_of(number)}/{number}", cb_kwargs={"n": number})

    def kind_of(self, number: int) -> str:
        """Return how a page is reached: slowly, or through redirects and refusals too."""
        if self.mode == "mixed" and number % 10 in (3, 6):
            return "hop" if number % 10 == 3 else "flaky"
        return "slow" if self.mode in ("mixed", "plain", "slow") else "t"

    def parse(self, response: Response, n: int) -> Iterator[Any]:
        if self.mode == "failing" and n % 7 == 3:
            raise ZeroDivisionError(f"page {n}\nis bad")
        if self.crawler.settings["TGE_REDIS_URL"]:
            self.crawler.engine.scheduler.hold(response.request)
        yield {"number": n, "request": response.request}
        for link in LINKS.extract_links(response):
            number = int(link.url.rpartition("/")[2])
            yield self.request(number)


class Keeping:
    """Writes items in batches, and lets go of their requests then."""

    @classmethod
    def from_crawler(cls, crawler: Any) -> Keeping:
        keeping = cls()
        keeping.crawler = crawler
        keeping.kept = []
        keeping.path = Path(crawler.settings["STORED"])
        return keeping

    def open_spider(self) -> None:
        self.task = asyncio.create_task(self.commit_for_ever())

    def process_item(self, item: Any) -> Any:
        self.kept.append(item)
        if len(self.kept) >= BATCH:
            self.commit()
        return item

    async def commit_for_ever(self) -> None:
        while True:
            await asyncio.sleep(COMMIT_EVERY_S)
            self.commit()

    def commit(self) -> None:
        kept, self.kept = self.kept, []
        with self.path.open("a") as file:
            file.write("".join(f"{item['number']}\n" for item in kept))
        for item in kept if self.crawler.settings["TGE_REDIS_URL"] else ():
            self.crawler.engine.scheduler.release(item["request"])

    def close_spider(self) -> None:
        self.task.cancel()
        self.commit()


def main() -> None:
    base, redis_url, stored, mode = sys.argv[1:5]
    leased = {
        "SCHEDULER": f"{__name__}.QuickScheduler",
        "TGE_REDIS_URL": redis_url,
        "TGE_QUEUE_PER_HOST": 0,
    }
    settings: dict[str, Any] = {
        **(settings_for(redis_url) if mode == "plain" else leased),
        "ITEM_PIPELINES": {Keeping: 100},
        "STORED": stored,
        "CONCURRENT_REQUESTS": 16,
        "CONCURRENT_REQUESTS_PER_DOMAIN": 16,
        "DOWNLOAD_DELAY": 0,
        "TELNETCONSOLE_ENABLED": False,
        "REMOTE_CONTROL_ENABLED": False,
        "LOG_LEVEL": "INFO",
        "LOG_FORMAT": "%(levelname)s %(name)s: %(message)s",
        "RETRY_TIMES": 3,
    } | dict(argument.split("=", 1) for argument in sys.argv[5:])
    process = CrawlerProcess(settings)
    crawler = process.create_crawler(TreeSpider)
    process.crawl(crawler, base=base, mode=mode)
    process.start()
    stats = crawler.stats.get_stats()
    print(json.dumps({name: value for name, value in stats.items() if type(value) in (int, str)}))


if __name__ == "__main__":
    sys.modules["leased_crawl"] = sys.modules["__main__"]
    main()
