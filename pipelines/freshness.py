"""Lets go of mentions that turn out to be too old once their page is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from tgecrawler.domain.freshness import AgeLimit
from tgecrawler.drops import EntryDropped
from tgecrawler.items import Mention

if TYPE_CHECKING:
    from scrapy.crawler import Crawler


class FreshnessPipeline:
    """Adapter around `AgeLimit.excludes`. Option: TGE_MAX_AGE_DAYS.

    The spider asks the same of the feed's date before it fetches anything; this
    is for entries that only their page dates.
    """

    def __init__(self, limit: AgeLimit) -> None:
        self.limit = limit

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        return cls(getattr(crawler.spider, "age_limit", AgeLimit()))

    def process_item(self, item: Any) -> Any:
        if isinstance(item, Mention) and self.limit.excludes(item.published_at, item.seen_at):
            raise EntryDropped(
                f"too old: {item.published_at:%Y-%m-%d} {item.url}", outcome="too_old"
            )
        return item
