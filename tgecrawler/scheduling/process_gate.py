"""The gate of a process: its own, or one that it shares with all workers of a crawl."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tgecrawler.cache.opening import open_cache
from tgecrawler.scheduling.host_gate import gate_of_process

if TYPE_CHECKING:
    from scrapy.crawler import Crawler

    from tgecrawler.cache.tiered import TieredCache
    from tgecrawler.scheduling.host_gate import HostGate

TIER = "host"


class CachedRests:
    """Rests in the cache, so that the next run and other processes keep them as well."""

    def __init__(self, cache: TieredCache) -> None:
        self.cache = cache

    def load(self, host: str) -> bytes | None:
        """Return what was saved for a host."""
        return self.cache.get(TIER, host)

    def save(self, host: str, content: bytes, ttl_s: float) -> None:
        """Keep a host's record."""
        self.cache.set(TIER, host, content, ttl_s=ttl_s)


def gate_of_crawler(crawler: Crawler) -> HostGate:
    """Return the process's gate, at least as polite as the crawler's settings.

    With TGE_REDIS_URL all workers share one, unless the crawl reads an archive.
    """
    settings = crawler.settings
    gap_s = settings.getfloat("DOWNLOAD_DELAY")
    limit = max(1, settings.getint("CONCURRENT_REQUESTS_PER_DOMAIN"))
    if settings.get("TGE_REDIS_URL") and not settings.get("TGE_REPLAY"):
        from tgecrawler.scheduling.shared_gate import shared_gate_of_crawler  # loads Redis

        return shared_gate_of_crawler(crawler, gap_s, limit)
    gate = gate_of_process(gap_s, limit)
    if gate.memory.store is None and settings.getbool("HTTPCACHE_ENABLED"):
        gate.keep_rests_in(CachedRests(open_cache(settings)))
    return gate
