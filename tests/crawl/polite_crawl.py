"""Spiders in one process behind the project's own gate, robots.txt and retries.

``python polite_crawl.py JOB.json``: ``{"settings": {...}, "spiders": [[[url, kind], ...], ...]}``.
Prints one JSON object: for each spider its stats (those that are numbers) and what became
of each address.
"""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from scrapy import Request, Spider  # noqa: E402
from scrapy.core.downloader.handlers.http11 import HTTP11DownloadHandler  # noqa: E402
from scrapy.crawler import Crawler, CrawlerProcess  # noqa: E402
from scrapy.http import Response  # noqa: E402
from twisted.python.failure import Failure  # noqa: E402

from tgecrawler.scheduling.host_gate import host_key  # noqa: E402
from tgecrawler.scheduling.process_gate import gate_of_crawler  # noqa: E402
from tgecrawler.spiders.failures import describe_failure  # noqa: E402


class GatedHandler(HTTP11DownloadHandler):
    """Scrapy's handler behind the gate."""

    def __init__(self, crawler: Crawler) -> None:
        super().__init__(crawler)
        self.gate = gate_of_crawler(crawler)

    async def download_request(self, request: Request) -> Response:
        async with self.gate.turn(host_key(request.url)):
            return await super().download_request(request)


class Asking(Spider):
    """Asks for addresses, all at once, and notes what becomes of each."""

    name = "asking"
    handle_httpstatus_all = True

    def __init__(self, requests: list[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.requests = requests
        self.outcomes: dict[str, str] = {}

    async def start(self) -> AsyncIterator[Request]:
        for n, (url, kind) in enumerate(self.requests):
            yield Request(
                url,
                callback=self.answered,
                errback=self.failed,
                priority=-n,
                dont_filter=True,
                meta={"kind": kind, "handle_httpstatus_all": True},
            )

    def answered(self, response: Response) -> None:
        self.outcomes[response.url] = f"HTTP {response.status}"

    def failed(self, failure: Failure) -> None:
        self.outcomes[failure.request.url] = describe_failure(failure)  # type: ignore[attr-defined]


SETTINGS = {
    "DOWNLOAD_HANDLERS": {"http": GatedHandler},
    "DOWNLOADER_MIDDLEWARES": {
        "scrapy.downloadermiddlewares.robotstxt.RobotsTxtMiddleware": None,
        "scrapy.downloadermiddlewares.retry.RetryMiddleware": None,
        "middlewares.robots.RobotsMiddleware": 100,
        "middlewares.retry.RetryMiddleware": 550,
        "middlewares.politeness.PolitenessMiddleware": 940,
    },
    "ROBOTSTXT_OBEY": True,
    "DOWNLOAD_DELAY": 0,
    "DOWNLOAD_DELAY_JITTER": 0,
    # Scrapy's own slots would hide what the gate does
    "DOWNLOAD_SLOTS": {"127.0.0.1": {"concurrency": 16, "delay": 0}},
    "CONCURRENT_REQUESTS_PER_DOMAIN": 1,
    "RETRY_GIVE_UP_LOG_LEVEL": "DEBUG",
    "TELNETCONSOLE_ENABLED": False,
    "REMOTE_CONTROL_ENABLED": False,
    "LOG_LEVEL": "WARNING",
}


def main(job: dict[str, Any]) -> None:
    process = CrawlerProcess({**SETTINGS, **job["settings"]})
    crawlers = [process.create_crawler(Asking) for _ in job["spiders"]]
    for crawler, requests in zip(crawlers, job["spiders"], strict=True):
        process.crawl(crawler, requests=requests)
    process.start()
    found = [
        {
            "stats": {
                name: value
                for name, value in crawler.stats.get_stats().items()
                if isinstance(value, (int, float))
            },
            "outcomes": crawler.spider.outcomes,
        }
        for crawler in crawlers
    ]
    print(json.dumps(found))


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text("utf-8")))
