"""One gate for all requests of a process: each host is asked in turn, and not too soon.

Spiders, crawlers and the fetching of robots.txt share it, so that a host sees one
crawler and not as many as run. It holds one event loop's requests; it is not
for several threads.
"""

from __future__ import annotations

import random
import time
from contextlib import asynccontextmanager
from functools import lru_cache
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tgecrawler.domain.politeness import retry_after_of
from tgecrawler.scheduling.host_lane import HostLane, utc_now
from tgecrawler.scheduling.rest_store import RestMemory

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from datetime import datetime

    from tgecrawler.scheduling.host_lane import Turn
    from tgecrawler.scheduling.rest_store import RestStore

PATIENCE_S = 20.0  # a longer rest refuses a request instead of holding it
LANES_KEPT = 1024  # hosts known before the idle ones are looked for


class HostGate:
    """Gives out turns, host by host, in the order of asking.

    Args:
        gap_s: least time from one start to the next on a host, in seconds.
        limit: requests that may run on a host at the same time.
        patience_s: a request for a host that rests longer is refused.
        store: keeps rests for the next run and for other processes; None = nowhere.
        jitter: returns numbers from 0 to 1.
    """

    def __init__(
        self,
        gap_s: float = 1.0,
        *,
        limit: int = 1,
        patience_s: float = PATIENCE_S,
        store: RestStore | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.gap_s = gap_s
        self.limit = limit
        self.patience_s = patience_s
        self.memory = RestMemory(store)
        self.turns = 0
        self.waits_s = 0.0
        self.violations = 0
        self._jitter = jitter
        self._lanes: dict[str, HostLane] = {}
        self._sweep_at_size = LANES_KEPT

    def __len__(self) -> int:
        """Return how many hosts are remembered."""
        return len(self._lanes)

    @asynccontextmanager
    async def turn(self, host: str) -> AsyncIterator[Turn]:
        """Wait for the host's turn and hold it while the block runs.

        The request inside may start at once. Whoever opens a connection first tells
        with ``turn.sent()`` when the request went out, and the gap counts from there.
        An answer that may put the host to rest has to be told with `answered` before
        whoever holds the turn waits for anything else: then the next one sees it.

        Raises:
            HostRestingError: the host rests for longer than the patience.
        """
        lane = self._lane(host)
        asked_s = time.monotonic()
        turn = await lane.enter()
        self.turns += 1
        self.waits_s += time.monotonic() - asked_s
        self.violations += turn.violations
        try:
            yield turn
        finally:
            lane.leave()

    def answered(
        self, host: str, status: int, headers: Mapping[str, str], now: datetime | None = None
    ) -> bool:
        """Learn from an answer; return whether it put the host to rest.

        Args:
            host: name or address literal, in any spelling.
            status: its HTTP status.
            headers: Retry-After and Date are read, under these names or in lower case.
            now: when it came; None = now.
        """
        lane, at = self._lane(host), now or utc_now()
        retry_after, date = (
            headers.get(name) or headers.get(name.lower()) for name in ("Retry-After", "Date")
        )
        until = retry_after_of(retry_after, date, at)
        strikes = lane.state.strikes
        rests = lane.state.answer(status, until, at, self._jitter())
        if rests:
            lane.refused_with = status
        if lane.state.strikes != strikes:
            self._keep(lane)
        lane.dispatch()
        return rests

    def rest(self, host: str, until: datetime) -> None:
        """Leave a host alone until a moment; a rest is never shortened."""
        lane = self._lane(host)
        lane.state.rest(until)
        self._keep(lane)
        lane.dispatch()

    def rests_until(self, host: str) -> datetime | None:
        """Return when the host's rest ends; None where it does not rest."""
        state = self._lane(host).state
        return state.rests_until if state.rest_left_s(utc_now()) > 0 else None

    def refuse_resting(self, host: str) -> None:
        """Raise where a request would be refused anyway.

        Raises:
            HostRestingError: the host rests for longer than the patience.
        """
        if error := self._lane(host).resting():
            raise error

    def set_crawl_delay(self, host: str, delay_s: float) -> None:
        """Keep the delay that a host's robots.txt asks for, up to LONGEST_CRAWL_DELAY_S."""
        lane = self._lane(host)
        if lane.state.crawl_delay_s != delay_s:
            lane.state.crawl_delay_s = delay_s
            lane.dispatch()

    def tighten(self, gap_s: float, limit: int) -> None:
        """Take the politer of what holds and what is given: a wider gap, a lower limit."""
        self.gap_s, self.limit = max(self.gap_s, gap_s), min(self.limit, limit)
        for lane in self._lanes.values():
            lane.state.gap_s, lane.limit = self.gap_s, self.limit

    def keep_rests_in(self, store: RestStore) -> None:
        """Keep rests in a store from now on, and read there what it knows of each host."""
        self.memory = RestMemory(store)

    def _lane(self, host: str) -> HostLane:
        host = spell_host(host)
        lane = self._lanes.get(host)
        if lane is None:
            self._sweep()
            lane = self._make_lane(host)
            self._lanes[host] = lane
        self.memory.recall(host, lane.state, time.monotonic())
        return lane

    def _make_lane(self, host: str) -> HostLane:
        return HostLane(host, self.gap_s, self.limit, self.patience_s)

    def _keep(self, lane: HostLane) -> None:
        self.memory.keep(lane.host, lane.state, utc_now())

    def _sweep(self) -> None:
        """Forget idle hosts, once there are many; so the work of it stays in proportion."""
        if len(self._lanes) < self._sweep_at_size:
            return
        for host in [host for host, lane in self._lanes.items() if lane.is_forgettable()]:
            del self._lanes[host]
            self.memory.forget(host)
        self._sweep_at_size = max(LANES_KEPT, 2 * len(self._lanes))


_process_gate: HostGate | None = None


def gate_of_process(gap_s: float, limit: int) -> HostGate:
    """Return the process's one gate, at least as polite as these values."""
    global _process_gate
    if _process_gate is None:
        _process_gate = HostGate(gap_s, limit=limit)
    _process_gate.tighten(gap_s, limit)
    return _process_gate


def host_key(url: str) -> str:
    """Return the host of an address as the gate knows it; "" where it has none.

    Without port: behind two ports is one operator.
    """
    return spell_host(urlsplit(url).hostname or "")


@lru_cache(maxsize=4096)
def spell_host(host: str) -> str:
    """Return a host's one spelling: lower case, no dot at the end, an IP address in short form."""
    name = host.lower().rstrip(".")
    try:
        return str(ip_address(name.strip("[]")))
    except ValueError:
        return name
