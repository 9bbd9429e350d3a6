"""What one worker has leased: where each request is, and when its lease is over.

A request is handed to the engine, perhaps replaced by others on its way (a redirect, a
retry: its continuations), its answer comes, and its callback and items are done. The
lease is over once the engine has let go of the request and of what continued it, and
every hold on it is released.
"""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

from tgecrawler.scheduling.queue_values import Ack, Leased, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Set

    from scrapy import Request

TOKEN = "lease"  # noqa: S105 - request.meta: which lease of this process a request is under
AGAIN_S = 30.0  # until what nobody has kept is made again, give or take a half


@dataclass(slots=True, eq=False)
class Lease:
    """A leased request, and what is known of its end."""

    leased: Leased
    number: str
    waiting: int = 0  # the request or continuations that the engine has not been given
    running: int = 0  # those that it has
    last: Request | None = None  # that it was given
    holds: int = 0
    has_landed: bool = False
    is_lost: bool = False  # another worker has it by now
    is_over: bool = False
    verdict: Verdict = "done"
    reason: str = ""
    delay_s: float = 0.0
    until_s: float = 0.0
    unfinished: bool = False

    def fail(self, reason: str) -> None:
        """Let it end as failed, whatever else is said of it."""
        self.verdict, self.reason = "failed", reason

    def put_off(self, until_s: float) -> None:
        """Let it end as put off, unless it failed."""
        if self.verdict != "failed":
            self.verdict, self.until_s = "later", max(until_s, self.until_s)

    def give_back(self, *, after_a_while: bool = False) -> None:
        """Let it end as not done, unless there is more to say."""
        if self.verdict == "done":
            self.verdict = "released"
            self.delay_s = AGAIN_S * random.uniform(0.5, 1.5) if after_a_while else 0.0  # noqa: S311

    def ack(self) -> Ack:
        """Return how it ended."""
        return Ack(
            id=self.leased.id,
            token=self.leased.token,
            verdict=self.verdict,
            reason=self.reason,
            delay_s=self.delay_s,
            until_s=self.until_s,
            unfinished=self.unfinished,
        )


class LeaseBook:
    """The leases of one worker."""

    def __init__(self) -> None:
        self.open: dict[str, Lease] = {}
        self.not_landed = 0
        self._numbers = count()
        self._places = count()
        self._ready: list[tuple[int, int, Request, Lease]] = []
        self._running: dict[Request, Lease] = {}
        self._asked: dict[Request, Lease] = {}  # of these, the ones whose answer has not come
        self._landed: list[Leased] = []
        self._ended: list[Lease] = []

    @property
    def ready(self) -> int:
        """How many requests wait for the engine; a few may have been lost."""
        return len(self._ready)

    @property
    def running(self) -> int:
        """How many leased requests the engine has."""
        return len(self._running)

    def take_in(self, leased: Leased, request: Request) -> None:
        """Enter a new lease, whose request is ready for the engine."""
        lease = Lease(leased, str(next(self._numbers)))
        request.meta[TOKEN] = lease.number
        self.open[lease.number] = lease
        self.not_landed += 1
        lease.waiting += 1
        self._put(request, lease)

    def next(self) -> Request | None:
        """Return the request of the highest priority that is ready, the first of equals."""
        while self._ready:
            _, _, request, lease = heapq.heappop(self._ready)
            lease.waiting -= 1
            if lease.is_over:
                continue
            if lease.is_lost and lease.last is None:
                lease.give_back()
                self._end(lease)
                continue
            lease.running += 1
            lease.last = request
            self._running[request] = self._asked[request] = lease
            return request
        return None

    def of(self, request: Request) -> Lease | None:
        """Return the lease that a request is under; None where it is under none that is open."""
        lease = self._running.get(request)
        return lease if lease is not None else self.open.get(request.meta.get(TOKEN, ""))

    def continued(
        self, request: Request, engine_has: Set[Request], scraped: Set[Request]
    ) -> Lease | None:
        """Return the lease of a request that continues another one; None where it does not.

        Whoever copies ``response.meta`` copies what is said there of the lease as well;
        but then the answer has come. For the sets see `sweep`.
        """
        lease = self.open.get(request.meta.get(TOKEN, ""))
        if lease is None or lease.last is None:
            return None
        is_asking = lease.last in engine_has and lease.last not in scraped
        return lease if is_asking and lease.last in self._asked else None

    def has_any_of(self, requests: Set[Request]) -> bool:
        """Return whether a leased one is among requests that the engine has."""
        return not self._running.keys().isdisjoint(requests)

    def expect(self, lease: Lease) -> None:
        """Keep a lease for a continuation that is not ready yet."""
        lease.waiting += 1

    def carry_on(self, request: Request, lease: Lease) -> None:
        """Let an expected continuation be ready for the engine."""
        self._put(request, lease)

    def drop(self, lease: Lease) -> None:
        """Expect a continuation no longer."""
        lease.waiting -= 1
        self._end_if_over(lease)

    def hold(self, lease: Lease) -> None:
        """Keep a lease open until it is released as often."""
        lease.holds += 1

    def release(self, lease: Lease) -> None:
        """Take one hold away."""
        lease.holds -= 1
        self._end_if_over(lease)

    def sweep(self, engine_has: Set[Request], scraped: Set[Request]) -> None:
        """Note what has landed and what has ended since the last time.

        Args:
            engine_has: the requests that the engine has not let go of.
            scraped: those of them whose answer, or failure, is with the spider.
        """
        gone = self._running.keys() - engine_has
        for request in (self._asked.keys() & scraped) | (self._asked.keys() & gone):
            lease = self._asked.pop(request)
            if request is lease.last and not lease.waiting:  # else it was replaced, and asks on
                self._land(lease)
        for request in gone:
            lease = self._running.pop(request)
            lease.running -= 1
            self._end_if_over(lease)

    def end_all(self, *, begun: bool) -> None:
        """Give leases back: those that were not begun, or all."""
        for lease in list(self.open.values()):
            if begun or lease.last is None:
                lease.give_back()
                self._end(lease)

    def take_landed(self) -> list[Leased]:
        """Return the leases that have landed since the last time and are not over."""
        landed, self._landed = self._landed, []
        return landed

    def take_ended(self) -> list[Lease]:
        """Return the leases that have ended since the last time."""
        ended, self._ended = self._ended, []
        return ended

    def lose(self, leases: list[Leased]) -> None:
        """Note that others have these; what the engine has of them goes on."""
        lost = {(one.id, one.token) for one in leases}
        for lease in self.open.values():
            if (lease.leased.id, lease.leased.token) in lost:
                lease.is_lost = True

    def __iter__(self) -> Iterator[Lease]:
        return iter(list(self.open.values()))

    def _put(self, request: Request, lease: Lease) -> None:
        heapq.heappush(self._ready, (-request.priority, next(self._places), request, lease))

    def _land(self, lease: Lease) -> None:
        if not lease.has_landed:
            lease.has_landed = True
            self.not_landed -= 1
            self._landed.append(lease.leased)

    def _end_if_over(self, lease: Lease) -> None:
        if not (lease.is_over or lease.waiting or lease.running or lease.holds > 0):
            self._end(lease)

    def _end(self, lease: Lease) -> None:
        lease.is_over = True
        if not lease.has_landed:
            lease.has_landed = True
            self.not_landed -= 1
        del self.open[lease.number]
        self._ended.append(lease)
