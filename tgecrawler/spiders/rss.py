"""Feeds: entries that are worth it lead to their article pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scrapy import Request

from tgecrawler.errors import SourceError
from tgecrawler.sources.feed import parse_feed
from tgecrawler.spiders.base import FEED_PRIORITY, TgeSpider, content_type_of, fetched_at
from tgecrawler.spiders.failures import describe_failure

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from scrapy.http import Response
    from twisted.python.failure import Failure


class RssSpider(TgeSpider):
    """Polls every feed of sources.yaml once."""

    name = "rss"

    async def start(self) -> AsyncIterator[Any]:
        for feed in self.sources.feeds:
            self.health.polled(feed.slug)
            yield Request(
                feed.url,
                callback=self.read_feed,
                errback=self.feed_failed,
                cb_kwargs={"source": feed},
                meta={"kind": "feed"},
                priority=FEED_PRIORITY,
                dont_filter=True,  # two rows may name one address; each is its own source
            )

    def read_feed(self, response: Response, source: Any) -> Iterator[Any]:
        """Take every entry of a feed."""
        try:
            feed = parse_feed(
                response.body, url=response.url, content_type=content_type_of(response)
            )
        except SourceError as error:
            self.health.failed(source.slug, str(error))
            return
        seen_at = fetched_at(response)
        self.health.succeeded(source.slug, seen_at, entries=len(feed.entries) + feed.without_link)
        if feed.recovered:
            self.crawler.stats.inc_value("tge/feed/recovered")
        if feed.without_link:
            self.ledger.settle("failed", feed.without_link)
            self.crawler.stats.inc_value("tge/feed/entries_without_link", feed.without_link)
        for entry in feed.entries:
            yield from self.take(source, entry, seen_at)

    def feed_failed(self, failure: Failure) -> None:
        """Book a feed that could not be had."""
        source = failure.request.cb_kwargs["source"]  # type: ignore[attr-defined]
        self.health.failed(source.slug, describe_failure(failure))
