"""Scrapy with nothing behind it: what fetching the same feeds and pages takes at the least.

The settings are those that our own crawl is tuned by; links are found by a pattern, pages are
thrown away.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar

from scrapy import Request, Spider

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from scrapy.http import Response

_LINK = re.compile(rb"<item>.*?<link>([^<]+)</link>", re.DOTALL)


class BareSpider(Spider):
    """``-a feeds=URL,URL``: fetches feeds and every page that they link to."""

    name = "bare"
    custom_settings: ClassVar[dict[str, Any]] = {
        "ROBOTSTXT_OBEY": True,
        "CONCURRENT_REQUESTS": 32,
        "CONCURRENT_REQUESTS_PER_DOMAIN": 1,
        "CONCURRENT_ITEMS": 8,
        # with 0 Scrapy 2.19 takes all waiting requests of a host before the first one counts
        "DOWNLOAD_DELAY": 0.001,
        "COOKIES_ENABLED": False,
        "METAREFRESH_ENABLED": False,
        "REFERER_ENABLED": False,
        "TELNETCONSOLE_ENABLED": False,
        "REMOTE_CONTROL_ENABLED": False,
        "LOG_LEVEL": "ERROR",
        "STATS_DUMP": False,
        "LOGSTATS_INTERVAL": 0,
    }
    feeds = ""

    async def start(self) -> AsyncIterator[Any]:
        for url in self.feeds.split(","):
            yield Request(url, callback=self.read_feed, priority=100)

    def read_feed(self, response: Response) -> Iterator[Request]:
        for link in _LINK.findall(response.body):
            yield response.follow(link.decode(), callback=self.drop_page)

    def drop_page(self, response: Response) -> None:
        self.crawler.stats.inc_value("bare/pages")
