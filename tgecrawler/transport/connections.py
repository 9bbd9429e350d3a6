"""Connections and name look-ups, counted where they happen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import aiohttp

if TYPE_CHECKING:
    from types import SimpleNamespace

    from scrapy.statscollectors import StatsCollector


class ConnectionCounter:
    """Counts into ``tge/connections/`` what the client tells its traces.

    ``opened`` and ``reused`` add up to the requests that were sent.
    ``dns_hits`` and ``dns_misses`` are names told from memory, and by the
    resolver. The context of each request is its `Attempt`.
    """

    def __init__(self, stats: StatsCollector) -> None:
        self.stats = stats

    @property
    def trace(self) -> aiohttp.TraceConfig:
        """The trace to build a session with."""
        trace = aiohttp.TraceConfig()
        trace.on_connection_create_end.append(self._opened)
        trace.on_connection_reuseconn.append(self._reused)
        trace.on_request_headers_sent.append(self._sent)
        trace.on_dns_cache_hit.append(self._known_name)
        trace.on_dns_cache_miss.append(self._unknown_name)
        return trace

    async def _opened(self, session: Any, context: SimpleNamespace, parameters: Any) -> None:
        self.stats.inc_value("tge/connections/opened")

    async def _reused(self, session: Any, context: SimpleNamespace, parameters: Any) -> None:
        self.stats.inc_value("tge/connections/reused")

    async def _sent(self, session: Any, context: SimpleNamespace, parameters: Any) -> None:
        context.trace_request_ctx.turn.sent()

    async def _known_name(self, session: Any, context: SimpleNamespace, parameters: Any) -> None:
        self.stats.inc_value("tge/connections/dns_hits")

    async def _unknown_name(self, session: Any, context: SimpleNamespace, parameters: Any) -> None:
        self.stats.inc_value("tge/connections/dns_misses")
