"""Gives each mention its identity, and marks what was told before."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from tgecrawler.domain.fingerprint import text_key, url_key
from tgecrawler.extensions.store import Store
from tgecrawler.items import Mention

if TYPE_CHECKING:
    from scrapy.crawler import Crawler
    from scrapy.statscollectors import StatsCollector


class DedupPipeline:
    """Adapter around `domain.fingerprint`.

    A copy is marked and goes on: it is stored as a witness of its original.
    Which of two is the original, the database decides when both are there, so
    that the order in which they came does not matter.
    """

    def __init__(self, known: dict[str, str], stats: StatsCollector) -> None:
        self.known = known
        self.stats = stats

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        store = crawler.get_extension(Store)
        return cls(store.known_stories() if store else {}, crawler.stats)

    def process_item(self, item: Any) -> Any:
        if not isinstance(item, Mention):
            return item
        keys = {"same_url": url_key(item.canonical_url), "same_text": text_key(item.text)}
        told_in = {why: self.known.get(key, "") for why, key in keys.items() if key}
        copy_of = next((entry_id for entry_id in told_in.values() if entry_id), "")
        for why, entry_id in told_in.items():
            if entry_id:
                self.stats.inc_value(f"tge/dedup/{why}")
        for key in filter(None, keys.values()):
            self.known.setdefault(key, copy_of or item.entry_id)
        return replace(item, url_key=keys["same_url"], text_key=keys["same_text"], copy_of=copy_of)
