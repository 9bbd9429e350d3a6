"""Follows redirects without a Referer header, and says nothing about that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from scrapy.downloadermiddlewares.redirect import BaseRedirectMiddleware, RedirectMiddleware

if TYPE_CHECKING:
    from scrapy import Request
    from scrapy.crawler import Crawler
    from scrapy.http import Response


class WithoutReferrer(BaseRedirectMiddleware):
    """No request bears a referrer, so nothing looks for Scrapy's RefererMiddleware.

    Scrapy's own look for it when the engine starts, and warn at each start where it is off.
    """

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        middleware = cls(crawler.settings)
        middleware.crawler = crawler
        return middleware

    def handle_referer(self, request: Request, response: Response) -> None:
        request.headers.pop("Referer", None)


class UnreferredRedirectMiddleware(WithoutReferrer, RedirectMiddleware):
    """Stands in the place of RedirectMiddleware (600), and follows as it does."""
