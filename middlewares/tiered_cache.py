"""Scrapy's HTTP cache, which hides no failure of a host behind an older copy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scrapy.downloadermiddlewares.httpcache import HttpCacheMiddleware

if TYPE_CHECKING:
    from scrapy import Request, Spider


class TieredCacheMiddleware(HttpCacheMiddleware):
    """Stands in the place of HttpCacheMiddleware (900), with storage and policy of `cache.http`.

    Scrapy's own answers a failed connection with the older copy, so that it is
    neither tried again nor counted against its source.
    """

    def process_exception(
        self, request: Request, exception: Exception, spider: Spider | None = None
    ) -> None:
        # Scrapy leaves the older response there for the answer, which never came
        request.meta.pop("cached_response", None)
