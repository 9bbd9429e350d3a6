"""``python handler_run.py HANDLER LOOP BASE PAGES`` fetches pages; prints what it cost as JSON."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

from scrapy import Request, Spider
from scrapy.core.downloader.handlers._aiohttp import AiohttpDownloadHandler
from scrapy.crawler import CrawlerProcess
from scrapy.http import Response

HANDLER, LOOP, BASE, PAGES = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
WARM = 20  # pages before the clock starts: imports, connections
TAKEN: dict[str, Any] = {"pages": 0}


def cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


class LazyAiohttpHandler(AiohttpDownloadHandler):
    """Scrapy's, built with the first request: before, there is no loop for its session."""

    lazy = True


class Pages(Spider):
    name = "pages"

    async def start(self) -> AsyncIterator[Any]:
        for number in range(PAGES + WARM):
            yield Request(f"{BASE}/packed/{number}", meta={"kind": "article"})

    def parse(self, response: Response) -> None:
        TAKEN["pages"] += 1
        if TAKEN["pages"] == WARM:
            TAKEN.update(cpu_s=cpu_s(), at=time.monotonic())
        elif TAKEN["pages"] == PAGES + WARM:
            TAKEN.update(cpu_s=cpu_s() - TAKEN["cpu_s"], took_s=time.monotonic() - TAKEN["at"])


def main() -> None:
    settings: dict[str, Any] = {
        "DOWNLOAD_HANDLERS": {"http": HANDLER, "https": HANDLER},
        "TGE_ALLOW_PRIVATE_NETWORKS": True,
        "CONCURRENT_REQUESTS": 16,
        "CONCURRENT_REQUESTS_PER_DOMAIN": 16,
        "CONCURRENT_ITEMS": 8,
        "COOKIES_ENABLED": False,
        "TELNETCONSOLE_ENABLED": False,
        "REMOTE_CONTROL_ENABLED": False,
        "LOG_LEVEL": "ERROR",
    }
    if LOOP == "uvloop":
        settings["ASYNCIO_EVENT_LOOP"] = "uvloop.Loop"
    process = CrawlerProcess(settings)
    process.crawl(Pages)
    process.start()
    print(json.dumps(TAKEN))


if __name__ == "__main__":
    main()
