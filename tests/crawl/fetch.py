"""``python fetch.py SETTINGS REQUESTS`` fetches one after the other, and prints what came of it.

A request is ``{"url": ..., "meta": {...}}``. The output is one JSON object:
``{"seen": [{...} a request], "stats": {...}}``.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

from scrapy import Request, Spider
from scrapy.crawler import CrawlerProcess

SEEN: list[dict[str, Any]] = []


class Fetcher(Spider):
    name = "fetcher"

    async def start(self) -> AsyncIterator[Any]:
        for wanted in json.loads(sys.argv[2]):
            started = time.monotonic()
            seen = await self.fetch(wanted)
            SEEN.append({**seen, "took_s": time.monotonic() - started})
            await asyncio.sleep(wanted.get("then_wait_s", 0))
        return
        yield

    async def fetch(self, wanted: dict[str, Any]) -> dict[str, Any]:
        request = Request(wanted["url"], meta=wanted.get("meta", {}), dont_filter=True)
        assert self.crawler.engine is not None
        try:
            response = await self.crawler.engine.download_async(request)
        except Exception as error:
            return {"error": type(error).__name__, "message": str(error)}
        return {
            "url": response.url,
            "status": response.status,
            "length": len(response.body),
            "flags": response.flags,
            "ip": str(response.ip_address),
            "protocol": response.protocol,
            "certified": response.certificate is not None,
            "latency_s": response.meta.get("download_latency"),
        }


def main() -> None:
    process = CrawlerProcess(json.loads(sys.argv[1]))
    crawler = process.create_crawler(Fetcher)
    process.crawl(crawler)
    process.start()
    stats = crawler.stats.get_stats() if crawler.stats else {}
    kept = {name: value for name, value in stats.items() if isinstance(value, int | float | str)}
    print(json.dumps({"seen": SEEN, "stats": kept}))


if __name__ == "__main__":
    main()
