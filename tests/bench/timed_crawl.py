"""One crawl that tells its own cost: ``timed_crawl.py WHICH SITE COUNT [NAME=VALUE …]``.

WHICH is ``ours``: ``scrapy crawl articles`` with the project's settings; ``stock``: a spider
that fetches the same pages with the same settings and reads nothing, on Scrapy's own
components alone; or ``bare``: the same, on the project's download handler.

The last line is JSON: CPU and wall seconds between the response after the first `WARM` and the
spider's close, and the responses in between. With ``PROFILE=PATH`` among the settings,
also the CPU by part of the program, and a profile is left there.
"""

from __future__ import annotations

import cProfile
import json
import pstats
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import scrapy
from scrapy import signals
from scrapy.cmdline import execute
from scrapy.crawler import Crawler
from scrapy.utils.project import get_project_settings

PARTS = (
    "tgecrawler/sources/glance", "tgecrawler/domain/page_gate", "tgecrawler", "pipelines",
    "middlewares", "trafilatura", "htmldate", "lxml", "scrapy", "twisted", "aiohttp", "sqlalchemy",
    "asyncio", "uvloop", "re2", "w3lib", "parsel",
)  # fmt: skip
BARE: dict[str, Any] = {
    "ADDONS": {}, "EXTENSIONS": {}, "ITEM_PIPELINES": {}, "DOWNLOADER_MIDDLEWARES": {},
    "LOG_FORMATTER": "scrapy.logformatter.LogFormatter", "COMMANDS_MODULE": "",
    "SPIDER_MODULES": ["timed_crawl"], "HTTPCACHE_ENABLED": False, "SPIDER_MIDDLEWARES": {},
}  # fmt: skip
_HTTP11 = "scrapy.core.downloader.handlers.http11.HTTP11DownloadHandler"
STOCK = BARE | {"DOWNLOAD_HANDLERS": {"http": _HTTP11, "https": _HTTP11}}
# Responses before the clock starts: what is imported, compiled and connected once is no part
# of a rate. Robots.txt, a sitemap, and pages with five announcements among them.
WARM = 102


class BareSpider(scrapy.Spider):
    name = "bare"

    async def start(self) -> AsyncIterator[Any]:
        for number in range(int(self.count)):
            yield scrapy.Request(f"{self.site}/p/{number}", dont_filter=True)

    def parse(self, response: Any) -> None:
        if len(response.body) < 1000:
            raise ValueError(response.url)


class Clock:
    """An extension that takes the time, and profiles where asked to."""

    def __init__(self, crawler: Crawler) -> None:
        self.crawler = crawler
        self.profile = (
            cProfile.Profile(time.process_time) if crawler.settings.get("PROFILE") else None
        )
        self.met = 0
        crawler.signals.connect(self.met_response, signal=signals.response_downloaded)
        crawler.signals.connect(self.closed, signal=signals.spider_closed)

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Clock:
        return cls(crawler)

    def met_response(self) -> None:
        self.met += 1
        if self.met != WARM:
            return
        self.crawler.signals.disconnect(self.met_response, signal=signals.response_downloaded)
        self.cpu_s, self.wall_s = time.process_time(), time.perf_counter()
        if self.profile:
            self.profile.enable()

    def closed(self) -> None:
        if self.profile:
            self.profile.disable()
            self.profile.dump_stats(self.crawler.settings["PROFILE"])
        stats = self.crawler.stats.get_stats()
        told = {
            "cpu_s": time.process_time() - self.cpu_s,
            "wall_s": time.perf_counter() - self.wall_s,
            "responses": stats.get("downloader/response_count", 0) - WARM,
            "outcomes": {key.rpartition("/")[2]: n for key, n in stats.items()
                         if key.startswith("tge/outcome/")},
            "profile": _parts(self.profile) if self.profile else {},
        }  # fmt: skip
        print(json.dumps(told), flush=True)


def _parts(profile: cProfile.Profile) -> dict[str, float]:
    """Return the seconds spent in each part; what C code takes goes to its caller."""
    seconds: Counter[str] = Counter()
    for (file, _, name), (_, _, own_s, _, callers) in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        if file == "~" and callers:
            for (caller, *_), counted in callers.items():
                seconds[_part(caller, name)] += counted[2]
        else:
            seconds[_part(file, name)] += own_s
    return dict(seconds.most_common(14))


def _part(file: str, name: str) -> str:
    found = next((part for part in PARTS if f"/{part}" in file), "")
    return found or (name if file == "~" else Path(file).stem)


def main() -> None:
    which, site, count, *given = sys.argv[1:]
    settings = get_project_settings()
    if which != "ours":
        settings.setdict(STOCK if which == "stock" else BARE, priority="cmdline")
    extensions = {**settings.getdict("EXTENSIONS"), "timed_crawl.Clock": 1000}
    settings.set("EXTENSIONS", extensions, priority="cmdline")
    spider = (
        ["articles"] if which == "ours" else ["bare", "-a", f"site={site}", "-a", f"count={count}"]
    )
    options = [part for setting in given for part in ("-s", setting)]
    execute(["scrapy", "crawl", *spider, *options], settings)


if __name__ == "__main__":
    sys.modules["timed_crawl"] = sys.modules["__main__"]
    main()
