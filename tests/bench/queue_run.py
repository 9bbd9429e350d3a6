"""One worker's crawl of the tree: ``queue_run.py WHICH BASE REDIS_URL PAGES`` prints JSON.

WHICH is ``memory``, Scrapy's own scheduler, ``plain``, scrapy-redis, or ``leased``. Told are
the pages, the moments of the first and the last (epoch seconds), and the CPU time between.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import plain_scrapy_redis
from scrapy import Request, Spider
from scrapy.crawler import CrawlerProcess
from scrapy.http import Response

WHICH, BASE, REDIS_URL = sys.argv[1:4]
TAKEN: dict[str, Any] = {"pages": 0}
SCHEDULERS: dict[str, dict[str, Any]] = {
    # first in, first out, as the others have it
    "memory": {"SCHEDULER_MEMORY_QUEUE": "scrapy.squeues.FifoMemoryQueue"},
    "plain": plain_scrapy_redis.settings_for(REDIS_URL),
    "leased": {
        "SCHEDULER": "tgecrawler.scheduling.leased_scheduler.LeasedScheduler",
        "TGE_REDIS_URL": REDIS_URL,
        "TGE_QUEUE_PER_HOST": 0,
    },
}


def cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


class Tree(Spider):
    name = "tree"

    async def start(self) -> AsyncIterator[Any]:
        yield Request(f"{BASE}/t/0")

    def parse(self, response: Response) -> Iterator[Any]:
        if not TAKEN["pages"]:
            TAKEN.update(first_at=time.time(), cpu_s=cpu_s())
        TAKEN["pages"] += 1
        TAKEN.update(last_at=time.time(), cpu_at_last_s=cpu_s())
        yield {"url": response.url}
        for link in response.css("a::attr(href)").getall():
            yield response.follow(link)


def main() -> None:
    process = CrawlerProcess(
        {
            "CONCURRENT_REQUESTS": 32,
            "CONCURRENT_REQUESTS_PER_DOMAIN": 32,
            "CONCURRENT_ITEMS": 8,
            "DOWNLOAD_DELAY": 0,
            "COOKIES_ENABLED": False,
            "TELNETCONSOLE_ENABLED": False,
            "REMOTE_CONTROL_ENABLED": False,
            "ASYNCIO_EVENT_LOOP": "uvloop.Loop",
            "LOG_LEVEL": "ERROR",
            **SCHEDULERS[WHICH],
        }
    )
    process.crawl(Tree)
    process.start()
    if TAKEN["pages"]:
        TAKEN["cpu_s"] = TAKEN.pop("cpu_at_last_s") - TAKEN["cpu_s"]
    print(json.dumps(TAKEN))


if __name__ == "__main__":
    main()
