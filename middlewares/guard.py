"""Stops every request that must not be sent, redirects among them, and bounds the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from tgecrawler.domain.addresses import refuse_url
from tgecrawler.transport.refusal import count_refusal
from tgecrawler.transport.sizes import most_bytes_of

if TYPE_CHECKING:
    from scrapy import Request
    from scrapy.crawler import Crawler
    from scrapy.statscollectors import StatsCollector


class GuardMiddleware:
    """Adapter around `refuse_url`. Option: TGE_ALLOW_PRIVATE_NETWORKS.

    Stands nearest the engine, before anything is asked on a request's behalf
    (robots.txt, the cache). A redirect comes back as a new request and passes
    here again. Under TGE_REPLAY nothing is connected to, and addresses pass.

    Sets ``request.meta["download_maxsize"]`` by the request's kind: whoever
    reads or unpacks the body keeps to it.
    """

    def __init__(self, *, allow_private: bool, most_bytes: int, stats: StatsCollector) -> None:
        self.allow_private = allow_private
        self.most_bytes = most_bytes
        self.stats = stats

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        settings = crawler.settings
        private = settings.getbool("TGE_ALLOW_PRIVATE_NETWORKS") or bool(settings["TGE_REPLAY"])
        most_bytes = settings.getint("DOWNLOAD_MAXSIZE")
        return cls(allow_private=private, most_bytes=most_bytes, stats=crawler.stats)

    def process_request(self, request: Request) -> None:
        """Let a request pass.

        Raises:
            RequestRefused: it must not be sent.
        """
        if reason := refuse_url(request.url, allow_private=self.allow_private):
            raise count_refusal(reason, self.stats)
        request.meta["download_maxsize"] = most_bytes_of(request.meta, self.most_bytes)
