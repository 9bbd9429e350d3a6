"""The polls of a spider's sources where several workers poll them."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from redis import RedisError

from tgecrawler.errors import DatabaseError
from tgecrawler.scheduling.shared_clock import FinishedPoll, Taking
from tgecrawler.spiders.polls import OVERDUE_AFTER
from tgecrawler.storage.polls import read_polls

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from scrapy import Request

    from tgecrawler.items import Outcome
    from tgecrawler.scheduling.shared_clock import Plan, SharedClock, TakenPoll
    from tgecrawler.spiders.polls import PollBook

logger = logging.getLogger(__name__)

# Polls that a worker has under way: the others want some, too. Reading a body keeps the
# processor busy, and the bodies that a worker has not read to the end when it dies are read anew.
MOST_UNANSWERED = 128
MOST_BEING_READ = 8
MOST_AT_ONCE = 4  # taken by one look at the clock
SHORTEST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 0.5  # between two looks
AWAY_PAUSE_S = 1.0
LONGEST_POLL = timedelta(minutes=15)  # then another worker may have the source
FRESH_FOR = timedelta(minutes=1)
CLOSE_S = 6.0  # for what is being said to Redis when the crawl ends


class PollLease:
    """A source that this worker polls. `at_rest` is called when nothing is left to do.

    That is once its requests are answered and its entries are decided, or handed
    over to the queue. An `Account` of the ledger.
    """

    def __init__(self, slug: str, taken_at: datetime, at_rest: Callable[[PollLease], None]) -> None:
        self.slug = slug
        self.taken_at = taken_at
        self.unanswered = 0
        self._entries = 0
        self._at_rest = at_rest

    @property
    def is_being_read(self) -> bool:
        """Whether it has brought entries that are not decided or handed over."""
        return self._entries > 0

    def asked(self) -> None:
        """Note a request to the source."""
        self.unanswered += 1

    def answered(self) -> None:
        """Note that a request's answer was dealt with, or that none will come."""
        self.unanswered -= 1
        self._check()

    def opened(self) -> None:
        """Note an entry that waits for its outcome."""
        self._entries += 1

    def closed(self, outcome: Outcome, *, again: bool = False) -> None:
        """Note an entry's outcome."""
        self._entries -= 1
        self._check()

    def handed_over(self) -> None:
        """Note an entry whose outcome another process will see to."""
        self._entries -= 1
        self._check()

    def _check(self) -> None:
        if self.unanswered == 0 and self._entries == 0:
            self._at_rest(self)


class SharedPolls:
    """Takes polls from the shared clock, and tells it what became of them.

    What is known of a source, its rhythm and its validators, is taken over with
    the poll and handed on when it is finished. While Redis is away nothing new is
    polled, and what is to be told waits.

    Args:
        lease_s: for how long a poll is ours without a sign of life.
        is_full: whether the queue takes no more pages now: then nothing is polled that
            might bring some.
    """

    def __init__(
        self,
        clock: SharedClock,
        book: PollBook,
        *,
        lease_s: float,
        is_full: Callable[[], bool] = lambda: False,
    ) -> None:
        self.clock = clock
        self.book = book
        self.lease_s = lease_s
        self.is_full = is_full
        self.leases: dict[str, PollLease] = {}
        self._finished: dict[str, PollLease] = {}
        self._settled: dict[str, bytes] = {}
        self._read_at = datetime.now(UTC)
        self._wake = asyncio.Event()
        self._to_tell = asyncio.Event()
        self._telling: asyncio.Task[None] | None = None
        self._away = False
        self._closing = False
        book.on_settled = self._note_settled

    async def requests(
        self,
        slugs: Iterable[str],
        ask: Callable[[str], Request],
        plan: Plan,
        *,
        only_due: bool = False,
    ) -> AsyncIterator[Request]:
        """Yield the request for each poll that falls to this worker.

        In a cycle, until every source was asked by somebody; else for ever. A poll
        counts once its request is yielded: `answered` has to follow.

        Args:
            ask: returns the request for a source.
            only_due: a cycle leaves out those whose time has not come.
        """
        self._telling = asyncio.ensure_future(self._tell_for_ever())
        listed = tuple(slugs)
        if plan == "cycle":
            await self._begin(listed, only_due=only_due)
        while not self._closing:
            taking = await self._take(listed, plan)
            for poll in taking.taken:
                await self._adopt(poll)
                self.leases[poll.slug] = PollLease(poll.slug, datetime.now(UTC), self._at_rest)
                self.asked(poll.slug)
                yield ask(poll.slug)
            if plan == "cycle" and taking.is_lost:
                logger.warning("redis: it has lost its keys; the cycle is begun anew")
                await self._begin(listed, only_due=only_due)
            elif plan == "cycle" and not taking.left:
                return
            # with no room, one that comes to rest ends the pause
            await self._pause(taking.wait_s if self._room() else LONGEST_PAUSE_S)

    def asked(self, slug: str) -> None:
        """Note a request to a source."""
        if lease := self.leases.get(slug):
            lease.asked()

    def answered(self, slug: str) -> None:
        """Note that a request's answer was dealt with, or that none will come."""
        if lease := self.leases.get(slug):
            lease.answered()

    async def close(self) -> None:
        """Tell what is left to be told, and give back what is not finished."""
        # No cancelling first: a command that is under way may swallow that.
        self._closing = True
        self._to_tell.set()
        self._wake.set()
        if self._telling is not None:
            await asyncio.wait([self._telling], timeout=CLOSE_S)
            self._telling.cancel()
        with suppress(RedisError):  # what is not told runs out, and is polled again
            await self._tell()
            if self.leases:
                await self.clock.give_back(self.leases)

    async def _begin(self, slugs: Iterable[str], *, only_due: bool) -> None:
        epoch = datetime.fromtimestamp(0, UTC)
        due = {slug: self.book.due_at(slug, epoch) if only_due else epoch for slug in slugs}
        within_s = self.book.bounds.shortest_s
        while not self._closing:
            try:
                begun = await self.clock.begin_cycle(due, within_s=within_s)
            except RedisError as error:
                await self._outlast(error)
                continue
            if begun < len(due):
                logger.info(
                    "%d of %d sources are to be asked by this cycle already, were polled less "
                    "than %g s ago%s",
                    *(len(due) - begun, len(due), within_s),
                    ", or are not due" if only_due else "",
                )
            return

    async def _take(self, slugs: Iterable[str], plan: Plan) -> Taking:
        while not self._closing:
            now = datetime.now(UTC)
            due = {slug: self.book.due_at(slug, now) for slug in slugs}
            try:
                taking = await self.clock.take(plan, due, self._room())
            except RedisError as error:
                await self._outlast(error)
                continue
            self._back()
            return taking
        return Taking((), 0, None)

    def _room(self) -> int:
        """Return how many polls may be taken now."""
        leases = self.leases.values()
        if self.is_full() or sum(lease.is_being_read for lease in leases) >= MOST_BEING_READ:
            return 0
        unanswered = sum(lease.unanswered for lease in leases)
        return max(0, min(MOST_AT_ONCE, MOST_UNANSWERED - unanswered))

    async def _adopt(self, poll: TakenPoll) -> None:
        """Take over what is known of a source; from the database where Redis has lost it."""
        now = datetime.now(UTC)
        if not poll.state and now - self._read_at > FRESH_FOR:
            self._read_at = now
            try:
                stored = await asyncio.to_thread(read_polls, self.book.store.engine)
            except DatabaseError as error:  # then by what this process knows
                logger.error("database: what it knows of sources is not known: %s", error)
            else:
                self.book.reload(stored)
        self.book.adopt(poll.slug, poll.state, poll.settled)

    async def _pause(self, wait_s: float | None, *, longest_s: float = LONGEST_PAUSE_S) -> None:
        if self._closing:
            return
        self._wake.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(min(longest_s, max(SHORTEST_PAUSE_S, wait_s or 0.0))):
                await self._wake.wait()

    def _at_rest(self, lease: PollLease) -> None:
        if self.leases.get(lease.slug) is lease:
            del self.leases[lease.slug]
            self._finished[lease.slug] = lease
            self._to_tell.set()
            self._wake.set()

    def _note_settled(self, slug: str, settled: bytes) -> None:
        self._settled[slug] = settled
        self._to_tell.set()

    async def _tell_for_ever(self) -> None:
        while not self._closing:
            self._to_tell.clear()
            if not self._finished and not self._settled:  # what failed is told again
                with suppress(TimeoutError):
                    async with asyncio.timeout(self.lease_s / 3):
                        await self._to_tell.wait()
            try:
                answers = [await self._tell(), await self._prolong()]
            except RedisError as error:
                await self._outlast(error)
            except Exception:  # without this task each source is polled again and again
                logger.exception("what became of polls was not told; it is tried again")
                await self._pause(AWAY_PAUSE_S, longest_s=AWAY_PAUSE_S)
            else:
                if any(answers):
                    self._back()

    async def _tell(self) -> bool:
        """Tell what there is to be told; return whether there was anything."""
        is_any = bool(self._settled or self._finished)
        for slug, settled in list(self._settled.items()):
            await self.clock.settle(slug, settled)
            if self._settled.get(slug) is settled:
                del self._settled[slug]
        finished = dict(self._finished)
        if finished:
            await self.clock.finish([self._finished_poll(one) for one in finished.values()])
            for slug, lease in finished.items():
                if self._finished.get(slug) is lease:
                    del self._finished[slug]
        return is_any

    def _finished_poll(self, lease: PollLease) -> FinishedPoll:
        now, state = datetime.now(UTC), self.book.polls[lease.slug].state
        next_at = now + OVERDUE_AFTER
        if state.next_poll_at and state.polled_at and state.polled_at >= lease.taken_at:
            next_at = state.next_poll_at
        next_in_s = (next_at - now).total_seconds()
        return FinishedPoll(lease.slug, next_in_s, self.book.state_of(lease.slug))

    async def _prolong(self) -> bool:
        since = datetime.now(UTC) - LONGEST_POLL
        held = [slug for slug, lease in self.leases.items() if lease.taken_at > since]
        if held:
            await self.clock.prolong(held)
        return bool(held)

    async def _outlast(self, error: RedisError) -> None:
        if not self._away:
            logger.error("redis: %s; nothing new is polled until it is back", error)
        self._away = True
        await self._pause(AWAY_PAUSE_S, longest_s=AWAY_PAUSE_S)

    def _back(self) -> None:
        if self._away:
            logger.info("redis: it is back; polling goes on")
        self._away = False
