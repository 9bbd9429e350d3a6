"""Leaves a host alone for as long as it asks."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Self

from scrapy import signals
from scrapy.exceptions import NotConfigured

from tgecrawler.scheduling.host_gate import host_key
from tgecrawler.scheduling.process_gate import gate_of_crawler
from tgecrawler.scheduling.resting import HostRestingError

if TYPE_CHECKING:
    from scrapy import Request
    from scrapy.crawler import Crawler
    from scrapy.http import Response
    from scrapy.statscollectors import StatsCollector

    from tgecrawler.scheduling.host_gate import HostGate

logger = logging.getLogger(__name__)

_OF_A_REST = ("Retry-After", "Date")


class PolitenessMiddleware:
    """Adapter around `HostGate`: learns from answers, and refuses what would wait too long.

    Stands between the cache and the network, since a page from the cache asks no
    host. The gap and the turns themselves are kept where a request leaves, in the
    download handler. What came back is heard of by the signal response_downloaded:
    it is sent in the same breath in which the handler returns, before the next
    request wakes up, and not for what came from the cache.
    """

    def __init__(self, gate: HostGate, stats: StatsCollector) -> None:
        self.gate = gate
        self.stats = stats

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        if crawler.settings.get("TGE_REPLAY"):
            raise NotConfigured  # an archive needs no rest
        middleware = cls(gate_of_crawler(crawler), crawler.stats)
        crawler.signals.connect(middleware.downloaded, signal=signals.response_downloaded)
        crawler.signals.connect(middleware.write_down, signal=signals.spider_closed)
        return middleware

    def process_request(self, request: Request) -> None:
        self.gate.refuse_resting(host_key(request.url))

    def process_exception(self, request: Request, exception: Exception) -> None:
        if isinstance(exception, HostRestingError):  # also one that waited for its turn
            self.stats.inc_value("tge/politeness/refused")

    def downloaded(self, response: Response, request: Request) -> None:
        """Let the gate learn from an answer."""
        self.write_down()
        headers = {
            name: (response.headers.get(name) or b"").decode("latin-1") for name in _OF_A_REST
        }
        host = host_key(request.url)
        if self.gate.answered(host, response.status, headers):
            self.stats.inc_value("tge/politeness/rests")
            self.stats.inc_value(f"tge/politeness/rests/{response.status}")
            until = self.gate.rests_until(host)
            logger.info("%s", HostRestingError(host, until, response.status) if until else host)

    def write_down(self) -> None:
        """Write down what the gate has counted, for all crawlers of the process.

        After each answer: whoever reports at the close may be called before us.
        """
        self.stats.set_value("tge/politeness/turns", self.gate.turns)
        self.stats.set_value("tge/politeness/waits_s", round(self.gate.waits_s, 3))
        self.stats.set_value("tge/politeness/violations", self.gate.violations)
