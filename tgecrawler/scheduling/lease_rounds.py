"""The rounds of one worker with the leased queue, one after the other in the background.

What the worker has to say gathers meanwhile, so that a slow way to Redis makes rounds
longer and not more. A batch whose answer was not heard is said again until it is.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from redis.exceptions import OutOfMemoryError, ResponseError

from tgecrawler.redis_link import REDIS_FAILURES
from tgecrawler.scheduling.lease_outbox import MOST_OFFERS
from tgecrawler.scheduling.queue_values import Ack
from tgecrawler.scheduling.request_json import RequestError

if TYPE_CHECKING:
    from asyncio import Event

    from scrapy import Request

    from tgecrawler.scheduling.lease_batches import LeaseBatches, Marking, Said
    from tgecrawler.scheduling.leased_queue import LeasedQueue
    from tgecrawler.scheduling.queue_values import (
        ClosedGroup,
        Leased,
        MarkStatus,
        PushStatus,
        RoundResult,
    )

logger = logging.getLogger(__name__)

TICK_S = 0.02  # from one round to the next
HUNGRY_S = 0.005  # the same, while the engine has nothing to begin with
WATCH_S = 0.05  # while there is nothing to say, but requests are on their way
IDLE_S = 0.1  # while there is nothing at all; others may have put something in
FIRST_PAUSE_S = 0.1  # between attempts to reach Redis, doubling to
LONGEST_PAUSE_S = 5.0
FULL_PAUSE_S = 1.0  # until something is offered again to a Redis that is out of memory
PROLONG_STEP = 500


class Desk(Protocol):
    """Who hears what a round brought."""

    def load(self, leased: Leased) -> Request:
        """Return the request that was leased.

        Raises:
            RequestError: it is none of ours.
        """

    def pushed(self, request: Request, status: PushStatus) -> None:
        """Hear what became of a request that was offered; not while the queue is full."""

    def marked(self, marking: Marking, status: MarkStatus) -> None:
        """Hear whether a continuation may be made."""

    def group_closed(self, closed: ClosedGroup) -> None:
        """Hear that a group is done."""

    def buried(self, count: int) -> None:
        """Hear that requests were put with the dead ones, whoever had them."""

    def is_busy(self) -> bool:
        """Return whether there is something to do here that is not in the queue."""

    def count(self, name: str, count: int = 1) -> None:
        """Count something among the stats."""


class LeaseRounds:
    """Says what there is to say to the queue, and takes what there is to lease.

    Args:
        capacity: leases that this worker may have; beyond, it takes no more.
        most_not_landed: of these, those whose answer has not come.
    """

    def __init__(
        self,
        queue: LeasedQueue,
        batches: LeaseBatches,
        desk: Desk,
        *,
        capacity: int,
        most_not_landed: int,
    ) -> None:
        self.queue = queue
        self.batches = batches
        self.desk = desk
        self.capacity = capacity
        self.most_not_landed = most_not_landed
        self.is_quiet = False  # the last round found nothing to do for anybody
        self._unheard: Said | None = None
        self._there_is_more = True  # the queue gave all that was asked for
        self._wait_s = IDLE_S
        self._began_s = 0.0
        self._failures = 0
        self._away_since_s = 0.0
        self._is_full = False
        self._full_until_s = 0.0
        self._wake = asyncio.Event()
        self._stop = asyncio.Event()
        self._beat_now = asyncio.Event()

    def wake(self) -> None:
        """Let the next round come soon."""
        self._wake.set()

    def note_change(self) -> None:
        """Let the next round come soon, and nobody call it quiet before it was made."""
        self.batches.changes += 1
        self.is_quiet = False
        self._wake.set()

    def stop(self) -> None:
        """Let `run` and `beat` end."""
        self._stop.set()
        self._wake.set()
        self._beat_now.set()

    async def run(self) -> None:
        """Make rounds until told to stop."""
        while not self._stop.is_set():
            try:
                await self._pause()
                if self.batches.view.is_closing:  # others can begin what was not begun here
                    self.batches.book.end_all(begun=False)
                await self._round(self._wanted())
            except REDIS_FAILURES as error:
                await self._outlast(error)
            except Exception:
                logger.exception("queue: a round failed; it is tried again")
                await _sleep(FULL_PAUSE_S, self._stop)

    async def beat(self) -> None:
        """Prolong the leases until told to stop; a cancel may be swallowed by redis-py."""
        while True:
            await _sleep(self.queue.lease_ms / 3000, self._beat_now)
            if self._stop.is_set():
                return
            self._beat_now.clear()
            leases = [lease.leased for lease in self.batches.book]
            try:
                for start in range(0, len(leases), PROLONG_STEP):
                    lost = await self.queue.prolong(leases[start : start + PROLONG_STEP])
                    self.batches.book.lose(lost)
                    self.desk.count("tge/queue/lost", len(lost))
            except REDIS_FAILURES as error:
                self.desk.count("tge/queue/redis_errors")
                logger.debug("queue: leases were not prolonged: %s", error)

    async def finish(self, longest_s: float) -> None:
        """Give everything back and say all there is to say.

        Raises:
            TimeoutError: it takes longer.
        """
        async with asyncio.timeout(longest_s):
            await self._say_the_rest(time.monotonic() + longest_s)

    async def _say_the_rest(self, give_up_s: float) -> None:
        self.batches.outbox.insist()
        self.batches.is_leaving = True
        self._full_until_s = 0.0
        has_left = False
        while self._has_more_to_finish() or not has_left:
            if time.monotonic() > give_up_s:  # redis-py may have swallowed the timeout's cancel
                raise TimeoutError
            says_so = self._unheard is None  # what was not heard says what it said before
            try:
                await self._round(0)
                has_left = has_left or says_so
            except REDIS_FAILURES:
                await asyncio.sleep(FIRST_PAUSE_S)
            if self._is_full:
                await asyncio.sleep(FIRST_PAUSE_S)

    def _has_more_to_finish(self) -> bool:
        self.batches.look()
        self.batches.book.end_all(begun=True)  # also what an unheard round had leased
        self.batches.look()
        return self._unheard is not None or self.batches.is_waiting

    def _wanted(self) -> int:
        if self.batches.view.is_closing:
            return 0
        room = self.capacity - len(self.batches.book.open)
        return max(0, min(room, self.most_not_landed - self.batches.book.not_landed))

    async def _round(self, want: int) -> None:
        said = self._unheard or self.batches.gather(
            want, busy=self.desk.is_busy(), with_offers=time.monotonic() >= self._full_until_s
        )
        self._unheard = said
        self._began_s = time.monotonic()
        try:
            result = await self.queue.round(said.batch)
        except ResponseError as error:  # nothing was done
            self._unheard = None
            self.batches.take_back(said)
            if not said.parcels or not _is_out_of_memory(error):
                raise
            self._note_full(error)
        else:
            self._unheard = None
            self._note_heard(said)
            self._apply(said, result)

    def _apply(self, said: Said, result: RoundResult) -> None:
        batches, desk = self.batches, self.desk
        batches.outbox.answer(said.parcels, result.pushed)
        for parcel, status in zip(said.parcels, result.pushed, strict=True):
            if status != "full":
                desk.pushed(parcel.request, status)
        for leased in result.leased:
            self._take_in(leased)
        for marking, marked in zip(said.markings, result.marked, strict=True):
            desk.marked(marking, marked)
        for closed in result.closed_groups:
            desk.group_closed(closed)
        desk.count("tge/queue/rounds")
        desk.count("tge/queue/reclaimed", result.reclaimed)
        if result.buried:
            desk.buried(result.buried)
        self._there_is_more = 0 < said.batch.want == len(result.leased)
        self._wait_s = IDLE_S if result.wait_s is None else min(IDLE_S, result.wait_s)
        self.is_quiet = (
            said.is_all
            and said.changes == batches.changes
            and not (result.outstanding or result.busy_others or result.leased)
        )
        if result.leased or self.is_quiet:
            batches.view.wake()

    def _take_in(self, leased: Leased) -> None:
        try:
            request = self.desk.load(leased)
        except RequestError as error:
            self.desk.count("tge/queue/refused_payloads")
            logger.error("queue: request %s is put aside: %s", leased.id, error)
            self.batches.end(
                Ack(id=leased.id, token=leased.token, verdict="refused", reason=str(error))
            )
        else:
            self.batches.book.take_in(leased, request)

    async def _pause(self) -> None:
        """Wait until there is something to say, and no shorter than the pace allows."""
        book = self.batches.book
        is_wanting = self._there_is_more and self._wanted() > 0
        if not (is_wanting or self.batches.is_waiting):
            self._wake.clear()
            await _sleep(min(self._wait_s, WATCH_S) if book.running else self._wait_s, self._wake)
        is_hungry = not book.ready and (is_wanting or self.batches.is_waiting)
        spacing_s = HUNGRY_S if is_hungry else TICK_S
        if len(self.batches.outbox) > MOST_OFFERS:
            spacing_s = 0.0
        await asyncio.sleep(max(0.0, self._began_s + spacing_s - time.monotonic()))

    async def _outlast(self, error: Exception) -> None:
        """Wait for Redis; longer each time."""
        self.desk.count("tge/queue/redis_errors")
        self.is_quiet = False
        if not self._failures:
            self._away_since_s = time.monotonic()
            logger.warning(
                "queue: Redis cannot be used (%s); what is leased goes on, all else waits",
                _line(error),
            )
        pause_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(self._failures, 10))
        self._failures += 1
        await _sleep(pause_s * random.uniform(0.5, 1.0), self._stop)  # noqa: S311

    def _note_heard(self, said: Said) -> None:
        if self._failures:
            away_s = time.monotonic() - self._away_since_s
            logger.warning("queue: Redis is back after %.1f s", away_s)
            self._failures = 0
            self._beat_now.set()
        if self._is_full and said.parcels:
            self._is_full = False
            logger.warning("queue: Redis has memory again")

    def _note_full(self, error: Exception) -> None:
        self._full_until_s = time.monotonic() + FULL_PAUSE_S
        if not self._is_full:
            self._is_full = True
            logger.error(
                "queue: Redis is out of memory (%s); %d requests wait here until it has some: "
                "raise its maxmemory",
                *(_line(error), len(self.batches.outbox)),
            )


async def _sleep(longest_s: float, until: Event) -> None:
    """Sleep, unless or until something happens."""
    with suppress(TimeoutError):
        async with asyncio.timeout(longest_s):  # not wait_for: on 3.11 it may swallow a cancel
            await until.wait()


def _is_out_of_memory(error: ResponseError) -> bool:
    return isinstance(error, OutOfMemoryError) or "OOM " in str(error)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
