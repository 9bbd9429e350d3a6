"""``python archive_crawl.py SETTINGS URLS`` prints what a spider saw, and the stats."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import AsyncIterator
from typing import Any

from scrapy import Request, Spider
from scrapy.crawler import CrawlerProcess
from scrapy.http import Response

SEEN: dict[str, Any] = {}


class Looker(Spider):
    name = "looker"

    async def start(self) -> AsyncIterator[Request]:
        for url in json.loads(sys.argv[2]):
            yield Request(url)

    def parse(self, response: Response) -> Any:
        moment = response.meta.get("fetched_at")
        SEEN[response.url] = {
            "status": response.status,
            "kind": type(response).__name__,
            "body": hashlib.sha256(response.body).hexdigest(),
            "length": len(response.body),
            "text": getattr(response, "text", "")[:20],
            "headers": [
                [name.decode(), [value.decode("latin-1") for value in values]]
                for name, values in sorted(response.headers.items())
            ],
            "fetched_at": moment and moment.isoformat(),
        }
        if response.url.endswith("/tagged") and "again" not in response.meta:
            yield response.request.replace(
                headers={"If-None-Match": response.headers["ETag"]},
                url=f"{response.url}#again",
                meta={"again": True},
                callback=self.parse_again,
                dont_filter=True,
            )

    def parse_again(self, response: Response) -> None:
        SEEN["again"] = {"status": response.status, "length": len(response.body)}


def main() -> None:
    process = CrawlerProcess(json.loads(sys.argv[1]))
    crawler = process.create_crawler(Looker)
    process.crawl(crawler)
    process.start()
    stats = crawler.stats.get_stats() if crawler.stats else {}
    ours = {key: value for key, value in stats.items() if key.startswith(("tge/", "log_count/"))}
    print(json.dumps({"seen": SEEN, "stats": ours}))


if __name__ == "__main__":
    main()
