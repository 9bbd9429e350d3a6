"""The shared filter of duplicates as Scrapy knows one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from scrapy_redis.dupefilter import RFPDupeFilter

from tgecrawler.redis_link import connect
from tgecrawler.scheduling.queue_upkeep import BUCKETS_STEP, SEEN_S, queue_prefix
from tgecrawler.scheduling.seen_scripts import BUCKETS, FORGET, FORGET_BUCKETS, SEE, digest_of

if TYPE_CHECKING:
    from redis import Redis
    from scrapy import Request, Spider
    from scrapy.crawler import Crawler


class SharedDupeFilter(RFPDupeFilter):  # type: ignore[misc]
    """Knows what any worker of a spider has asked for; for a scheduler that is not leased.

    `tgecrawler.scheduling.leased_scheduler.LeasedScheduler` looks into the same memory in
    the scripts of its queue. This one waits for Redis with each request.

    Differs from its base: the crawler's own fingerprints, so that a single process would
    filter the same; a bounded age and an eighth of the memory; closing forgets nothing.

    Args:
        key: prefix of the spider's queue; see `queue_prefix`.
        crawler: whose fingerprinter and stats are used.
    """

    def __init__(
        self,
        server: Redis,
        key: str,
        debug: bool = False,
        *,
        crawler: Crawler,
        seen_s: float = SEEN_S,
    ) -> None:
        super().__init__(server, key, debug)
        self.crawler = crawler
        self.seen_ms = int(seen_s * 1000)
        self._see, self._forget, self._forget_buckets = (
            server.register_script(source) for source in (SEE, FORGET, FORGET_BUCKETS)
        )

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        settings = crawler.settings
        name = crawler.spider.name if crawler.spider is not None else crawler.spidercls.name
        return cls(
            connect(settings["TGE_REDIS_URL"]),
            queue_prefix(name),
            settings.getbool("DUPEFILTER_DEBUG"),
            crawler=crawler,
            seen_s=settings.getfloat("TGE_QUEUE_SEEN_DAYS", SEEN_S / 86_400) * 86_400,
        )

    @classmethod
    def from_spider(cls, spider: Spider) -> Self:
        """Return the filter of a spider; how the scheduler of scrapy-redis asks for one."""
        return cls.from_crawler(spider.crawler)

    def request_fingerprint(self, request: Request) -> bytes:
        """Return the crawler's own fingerprint of a request."""
        fingerprinter: Any = self.crawler.request_fingerprinter  # set before any request is made
        fingerprint: bytes = fingerprinter.fingerprint(request)
        return fingerprint

    def request_seen(self, request: Request) -> bool:
        """Return whether a request is known; from then on it is.

        Raises:
            redis.RedisError: Redis does not answer.
        """
        digest = digest_of(self.request_fingerprint(request))
        (known,) = self._see(keys=[self.key], args=[self.seen_ms, digest])
        return bool(known)

    def forget(self, request: Request) -> None:
        """Let a request be made again."""
        digest = digest_of(self.request_fingerprint(request))
        self._forget(keys=[self.key], args=[self.seen_ms, digest])

    def open(self) -> None:
        """Do nothing: there is nothing to open."""

    def close(self, reason: str = "") -> None:
        """Disconnect; unlike with the base, other workers still need what is known."""
        self.server.close()

    def clear(self) -> None:
        """Forget everything, for all workers."""
        for first in range(0, BUCKETS, BUCKETS_STEP):
            args = [self.seen_ms, first, first + BUCKETS_STEP - 1]
            self._forget_buckets(keys=[self.key], args=args)

    def log(self, request: Request, spider: Spider) -> Any:
        """Tell of a duplicate, as Scrapy's own filter does: in the stats as well."""
        super().log(request, spider)
        self.crawler.stats.inc_value("dupefilter/filtered")
