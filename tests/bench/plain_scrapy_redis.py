"""scrapy-redis 0.9.1 as far as Scrapy 2.19 needs it changed to run it at all: for comparison.

Its behaviour is kept: a request is popped when it is begun, and pickled; each question is
a round trip in the event loop.
"""

from __future__ import annotations

from typing import Any

from scrapy_redis import dupefilter, scheduler


class Scheduler(scheduler.Scheduler):
    """Without the arguments and methods that Scrapy has deprecated, and never blocking."""

    def open(self, spider: Any) -> None:
        spider.log = spider.logger.info
        super().open(spider)

    def enqueue_request(self, request: Any) -> bool:
        if not request.dont_filter and self.df.request_seen(request):
            self.stats.inc_value("dupefilter/filtered")
            return False
        self.queue.push(request)
        self.stats.inc_value("scheduler/enqueued/redis")
        return True

    def next_request(self) -> Any:
        request = self.queue.pop(0)
        if request:
            self.stats.inc_value("scheduler/dequeued/redis")
        return request


class DupeFilter(dupefilter.RFPDupeFilter):
    """With the crawler's fingerprints."""

    @classmethod
    def from_spider(cls, spider: Any) -> Any:
        filter_ = super().from_spider(spider)
        filter_.crawler = spider.crawler
        return filter_

    def request_fingerprint(self, request: Any) -> bytes:
        return self.crawler.request_fingerprinter.fingerprint(request)


def settings_for(redis_url: str) -> dict[str, Any]:
    """Return what a crawl with it needs."""
    return {
        "SCHEDULER": f"{__name__}.Scheduler",
        "DUPEFILTER_CLASS": f"{__name__}.DupeFilter",
        "SCHEDULER_PERSIST": True,
        "REDIS_URL": redis_url,
    }
