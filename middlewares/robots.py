"""Fetches nothing that a host's robots.txt forbids (RFC 9309)."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Self
from urllib.parse import urljoin, urlsplit

from scrapy import Request
from scrapy import exceptions as scrapy_exceptions
from scrapy.exceptions import IgnoreRequest, NotConfigured
from scrapy.http.request import NO_CALLBACK
from twisted.python.failure import Failure

from tgecrawler.domain.politeness import LONGEST_CRAWL_DELAY_S, parse_http_date
from tgecrawler.domain.robots_term import (
    LIFETIME,
    MOST_REDIRECTS,
    Availability,
    availability_of,
)
from tgecrawler.scheduling.host_gate import host_key
from tgecrawler.scheduling.host_lane import utc_now
from tgecrawler.scheduling.process_gate import gate_of_crawler
from tgecrawler.scheduling.resting import HostRestingError
from tgecrawler.scheduling.robots_book import RobotsAnswer, RobotsBook
from tgecrawler.sources.robots import TOKEN, parse_robots
from tgecrawler.spiders.failures import describe_failure

if TYPE_CHECKING:
    from datetime import datetime

    from scrapy.crawler import Crawler
    from scrapy.http import Response

    from tgecrawler.scheduling.host_gate import HostGate
    from tgecrawler.sources.robots import RobotsRules

logger = logging.getLogger(__name__)

SHORTEST_LIFETIME = timedelta(hours=1)
PRIORITY = 1000  # before whatever waits for it
FORBIDDEN = "robots.txt forbids this address"
# What the web does to a request; anything else that ends it is a fault of ours.
_EXPECTED = (
    IgnoreRequest,
    scrapy_exceptions.CannotResolveHostError,
    scrapy_exceptions.DownloadCancelledError,
    scrapy_exceptions.DownloadConnectionRefusedError,
    scrapy_exceptions.DownloadFailedError,
    scrapy_exceptions.DownloadTimeoutError,
    scrapy_exceptions.ResponseDataLossError,
    scrapy_exceptions.UnsupportedURLSchemeError,
)


class RobotsMiddleware:
    """Adapter around `RobotsBook`; replaces Scrapy's RobotsTxtMiddleware.

    Setting: ROBOTSTXT_OBEY; ROBOTSTXT_USER_AGENT, where it is set, is our product
    token. A request with ``dont_obey_robotstxt`` in its meta passes. Each origin
    (scheme, host and port) has a robots.txt of its own; its Crawl-delay goes to the gate.
    """

    def __init__(self, crawler: Crawler, gate: HostGate, token: str = TOKEN) -> None:
        self.crawler = crawler
        self.stats = crawler.stats
        self.gate = gate
        self.token = token
        self.book = RobotsBook(self._ask)

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        if not crawler.settings.getbool("ROBOTSTXT_OBEY"):
            raise NotConfigured
        token = str(crawler.settings.get("ROBOTSTXT_USER_AGENT") or TOKEN)
        return cls(crawler, gate_of_crawler(crawler), token)

    async def process_request(self, request: Request) -> None:
        if request.meta.get("dont_obey_robotstxt") or not request.url.startswith("http"):
            return
        copy = await self.book.copy_for(origin_of(request.url))
        if copy.rules is None:
            self.stats.inc_value("tge/robots/refused_unreachable")
            raise IgnoreRequest(f"robots.txt: {copy.reason}")
        if copy.failures:
            self.stats.inc_value("tge/robots/used_stale")
        if copy.rules.crawl_delay_s is not None:  # the gate forgets hosts, and this book does not
            self.gate.set_crawl_delay(host_key(request.url), copy.rules.crawl_delay_s)
        if not copy.rules.allows(request.url):
            self.stats.inc_value("robotstxt/forbidden")
            raise IgnoreRequest(FORBIDDEN)

    async def _ask(self, origin: str) -> RobotsAnswer:
        """Fetch a robots.txt, and say what its answer means.

        Raises:
            HostRestingError: the host is not asked at all now.
        """
        self.stats.inc_value("robotstxt/request_count")
        try:
            response = await self._fetch(f"{origin}/robots.txt")
        except HostRestingError:
            raise
        except Exception as error:
            return self._unreachable(origin, _reason_of(error))
        meaning = availability_of(response.status)
        if meaning is Availability.UNREACHABLE:
            return self._unreachable(origin, f"HTTP {response.status}")
        # a chain of redirects without an end is a robots.txt that is not there
        body = response.body if meaning is Availability.FOUND else b""
        rules = parse_robots(body, self.token)
        self._set_crawl_delay(origin, rules)
        return RobotsAnswer(rules, _fetched_at(response))

    async def _fetch(self, url: str) -> Response:
        """Return the answer at the end of at most `MOST_REDIRECTS` redirects."""
        engine = self.crawler.engine
        if engine is None:
            raise RuntimeError("the crawler has no engine yet")
        for _ in range(MOST_REDIRECTS + 1):
            response = await engine.download_async(_request_for(url))
            self.stats.inc_value("robotstxt/response_count")
            self.stats.inc_value(f"robotstxt/response_status_count/{response.status}")
            location = response.headers.get("Location")
            if availability_of(response.status) is not Availability.REDIRECTED or not location:
                break
            url = urljoin(url, location.decode("utf-8", errors="replace"))
        return response

    def _set_crawl_delay(self, origin: str, rules: RobotsRules) -> None:
        host, delay_s = host_key(origin), rules.crawl_delay_s or 0.0
        self.gate.set_crawl_delay(host, delay_s)
        if delay_s > LONGEST_CRAWL_DELAY_S:
            logger.warning(
                "%s asks for %g s between two requests in its robots.txt; %g s are kept",
                host,
                delay_s,
                LONGEST_CRAWL_DELAY_S,
            )

    def _unreachable(self, origin: str, reason: str) -> RobotsAnswer:
        self.stats.inc_value("tge/robots/unreachable")
        logger.debug("%s/robots.txt cannot be had: %s", origin, reason)
        return RobotsAnswer(None, utc_now(), reason)


def origin_of(url: str) -> str:
    """Return scheme, host and port of an address, without what may stand before an @."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2].lower()}"


def _request_for(url: str) -> Request:
    return Request(
        url,
        callback=NO_CALLBACK,
        priority=PRIORITY,
        meta={
            "kind": "robots",
            "dont_obey_robotstxt": True,
            "dont_redirect": True,  # redirects are followed here, and counted
            "cache_max_age_s": LIFETIME.total_seconds(),
        },
    )


def _fetched_at(response: Response) -> datetime:
    """Return from when the day counts: a copy from the cache is as old as its Date says.

    A host whose clock is wrong is asked again after `SHORTEST_LIFETIME` all the same.
    """
    now = utc_now()
    if "cached" not in response.flags or "not-modified" in response.flags:
        return now
    date = (response.headers.get("Date") or b"").decode("latin-1")
    told = parse_http_date(date, now) or now
    return min(max(told, now - LIFETIME + SHORTEST_LIFETIME), now)


def _reason_of(error: Exception) -> str:
    if not isinstance(error, _EXPECTED):
        logger.error("robots.txt: an unexpected error", exc_info=error)
    return describe_failure(Failure(error))  # type: ignore[no-untyped-call]
