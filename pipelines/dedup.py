"""Gives each mention its identity, and marks what was told before."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self

from tgecrawler.addon import runtime_of
from tgecrawler.dedup.memory import MemoryIndex
from tgecrawler.domain.fingerprint import text_key, url_key
from tgecrawler.domain.near_duplicate import make_fingerprint
from tgecrawler.errors import NearIndexError, OptionError
from tgecrawler.extensions.store import Store
from tgecrawler.items import Mention

if TYPE_CHECKING:
    from collections.abc import Container

    from scrapy.crawler import Crawler
    from scrapy.statscollectors import StatsCollector

    from tgecrawler.dedup.index import NearCopy, NearIndex
    from tgecrawler.dedup.redis import RedisIndex

logger = logging.getLogger(__name__)

# Copies of a story come within days; what says the same a month later is another story.
COPIES_WITHIN = timedelta(days=7)


class DedupPipeline:
    """Adapter around `domain.fingerprint` and `domain.near_duplicate`. Option: TGE_REDIS_URL.

    A copy is marked and goes on: it is stored as a witness of its original.
    Which of two is the original, the database decides when both are there, so
    that the order in which they came does not matter.
    """

    def __init__(
        self,
        known: dict[str, str],
        index: NearIndex,
        ordinary: Container[str],
        stats: StatsCollector,
    ) -> None:
        self.known = known
        self.index = index
        self.ordinary = ordinary
        self.stats = stats
        self._index_failed = False

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        runtime, store = runtime_of(crawler), crawler.get_extension(Store)
        index: NearIndex
        if url := str(runtime.options["TGE_REDIS_URL"]):
            index = shared = _shared_index(url)
            with suppress(NearIndexError):  # said, and counted, with the first mention
                shared.load_once(store.fingerprints() if store else ())
        else:
            index = memory = MemoryIndex(COPIES_WITHIN)
            memory.load(store.fingerprints() if store else ())
        known = store.known_stories() if store else {}
        return cls(known, index, runtime.ordinary, crawler.stats)

    async def process_item(self, item: Any) -> Any:
        if not isinstance(item, Mention):
            return item
        keys = {"same_url": url_key(item.canonical_url), "same_text": text_key(item.text)}
        project, token = (item.traits.project, item.traits.token) if item.traits else ("", "")
        fingerprint = make_fingerprint(
            item.title, item.summary, item.text, self.ordinary, project=project, token=token
        )
        near = await self._near(item, fingerprint)
        told_in = {why: self.known.get(key, "") for why, key in keys.items() if key}
        told_in["near_copy"] = near[0].id if near else ""
        copy_of = next((entry_id for entry_id in told_in.values() if entry_id), "")
        for why, entry_id in told_in.items():
            if entry_id:
                self.stats.inc_value(f"tge/dedup/{why}")
        for key in filter(None, keys.values()):
            self.known.setdefault(key, copy_of or item.entry_id)
        return replace(
            item,
            url_key=keys["same_url"],
            text_key=keys["same_text"],
            fingerprint=fingerprint,
            near=tuple((copy.id, copy.similarity) for copy in near),
            copy_of=copy_of,
        )

    async def _near(self, item: Mention, fingerprint: bytes) -> list[NearCopy]:
        told_at = item.published_at or item.seen_at
        if isinstance(self.index, MemoryIndex):  # quicker than a thread would be
            return self.index.match_and_add(item.entry_id, fingerprint, told_at)
        try:
            return await asyncio.to_thread(
                self.index.match_and_add, item.entry_id, fingerprint, told_at
            )
        except NearIndexError as error:
            # Same address and same text are still found, by the database.
            self.stats.inc_value("tge/dedup/index_failed")
            if not self._index_failed:
                self._index_failed = True
                logger.error("TGE_REDIS_URL: near copies are not found while %s", error)
            return []


def _shared_index(url: str) -> RedisIndex:
    from tgecrawler.dedup.redis import RedisIndex  # 5 MB that most processes need not load

    try:
        return RedisIndex.at(url, COPIES_WITHIN)
    except ValueError as error:  # repeats nothing of the address, which may hold a password
        raise OptionError(f"TGE_REDIS_URL: {error}") from None
