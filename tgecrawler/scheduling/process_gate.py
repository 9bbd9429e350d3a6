"""The one gate of a process, and where it keeps the rests of hosts."""

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
    """Return the process's gate, at least as polite as the crawler's settings."""
    settings = crawler.settings
    gate = gate_of_process(
        settings.getfloat("DOWNLOAD_DELAY"),
        max(1, settings.getint("CONCURRENT_REQUESTS_PER_DOMAIN")),
    )
    if gate.memory.store is None and settings.getbool("HTTPCACHE_ENABLED"):
        gate.keep_rests_in(CachedRests(open_cache(settings)))
    return gate
