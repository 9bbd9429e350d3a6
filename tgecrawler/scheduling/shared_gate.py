"""One gate for all workers of a crawl: ten of them are as polite as one.

Each process keeps its own queue before each host, and the head of it asks Redis for the
turn. Gap, crawl-delay and limit are the politest that any worker has told; rests and
strikes are common. Whoever has a turn says every few seconds that it lives: the host of
a worker that was killed is free again after `EXPIRY_S`.

While Redis is away nobody asks any host: all wait, and go on `SETTLE_S` after it is
back, when whoever still runs has said so. The same holds where it has lost its keys.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from scrapy import signals

from tgecrawler.errors import OptionError
from tgecrawler.redis_link import connect_async
from tgecrawler.scheduling.gate_rounds import GateRounds
from tgecrawler.scheduling.host_gate import PATIENCE_S, HostGate
from tgecrawler.scheduling.shared_lane import SharedLane

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from redis.asyncio import Redis
    from scrapy.crawler import Crawler

    from tgecrawler.scheduling.host_lane import HostLane

PREFIX = "{tge:1:gate}:"  # braces: in a cluster all keys lie on one node


class SharedHostGate(HostGate):
    """Gives out turns that Redis grants; see `HostGate`, whose interface it has.

    What `rests_until` and `refuse_resting` say is what this process has heard of; a
    turn asks Redis. Counts are this process's own.

    Args:
        client: belongs to the gate, which closes it.
        gives_up: see `GateRounds`.
    """

    def __init__(
        self,
        client: Redis,
        gap_s: float = 1.0,
        *,
        limit: int = 1,
        patience_s: float = PATIENCE_S,
        prefix: str = PREFIX,
        gives_up: Callable[[], bool] = lambda: False,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        super().__init__(gap_s, limit=limit, patience_s=patience_s, jitter=jitter)
        self.rounds = GateRounds(client, prefix, known_lanes=self._shared_lanes, gives_up=gives_up)

    def set_crawl_delay(self, host: str, delay_s: float) -> None:
        """Keep a robots.txt's delay, and tell the others of it; see `HostGate`."""
        before_s = self._lane(host).state.crawl_delay_s
        super().set_crawl_delay(host, delay_s)
        if delay_s != before_s:
            self._tell(self._lane(host))

    async def close(self) -> None:
        """Give back all turns and end."""
        await self.rounds.close()

    def _make_lane(self, host: str) -> SharedLane:
        return SharedLane(
            *(host, self.gap_s, self.limit, self.patience_s),
            rounds=self.rounds,
            jitter=self._jitter,
        )

    def _shared_lanes(self) -> Iterator[SharedLane]:
        return (lane for lane in self._lanes.values() if isinstance(lane, SharedLane))

    def _keep(self, lane: HostLane) -> None:
        self._tell(lane)

    def _tell(self, lane: HostLane) -> None:
        if isinstance(lane, SharedLane):
            lane.kept += 1
            self.rounds.tell(lane)


_open: dict[str, SharedHostGate] = {}
_crawlers: dict[str, set[Crawler]] = {}


def shared_gate_of_crawler(crawler: Crawler, gap_s: float, limit: int) -> SharedHostGate:
    """Return the process's gate at the crawler's TGE_REDIS_URL, at least as polite as asked.

    It is closed when the engine of the last crawler that uses it has stopped.

    Raises:
        OptionError: TGE_REDIS_URL cannot be read.
    """
    url = str(crawler.settings["TGE_REDIS_URL"])
    if url not in _open:
        crawlers = _crawlers[url] = set()
        _open[url] = SharedHostGate(
            _connect(url),
            gap_s,
            limit=limit,
            gives_up=lambda: not any(one.crawling for one in crawlers),
        )
    gate = _open[url]
    gate.tighten(gap_s, limit)
    if crawler not in _crawlers[url]:
        _crawlers[url].add(crawler)

        async def leave() -> None:
            _crawlers[url].discard(crawler)
            if not _crawlers[url] and _open.pop(url, None) is gate:
                await gate.close()

        crawler.signals.connect(leave, signal=signals.engine_stopped, weak=False)
    return gate


def _connect(url: str) -> Redis:
    try:
        return connect_async(url)
    except ValueError as error:
        raise OptionError(f"TGE_REDIS_URL: {error}") from None
