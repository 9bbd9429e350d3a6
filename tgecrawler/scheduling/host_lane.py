"""The queue before one host."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tgecrawler.domain.politeness import HostState
from tgecrawler.scheduling.resting import HostRestingError

if TYPE_CHECKING:
    from asyncio import Future, TimerHandle

GRAIN_S = 0.001  # shortest sleep; a start this much before its time is no violation


class Turn:
    """A turn that has come; `violations` tells what was wrong with its start: 0 as it should be."""

    def __init__(self, lane: HostLane, violations: int) -> None:
        self._lane = lane
        self.violations = violations

    def sent(self) -> None:
        """Count the gap from now: connecting took a while, and the host hears us only now."""
        self._lane.note_start(time.monotonic())


class HostLane:
    """The requests that wait for one host, first come first served."""

    def __init__(self, host: str, gap_s: float, limit: int, patience_s: float) -> None:
        self.host = host
        self.limit = limit
        self.patience_s = patience_s
        self.state = HostState(gap_s=gap_s)
        self.running = 0
        self.refused_with: int | None = None
        self._queue: deque[Future[None]] = deque()
        self._timer: TimerHandle | None = None
        self._heard_tick_s: float | None = None  # when the host really heard us last

    async def enter(self) -> Turn:
        """Wait for a turn. Whoever gets one gives it back with `leave`.

        Raises:
            HostRestingError: the host rests for longer than the patience.
        """
        await self._wait()
        return self._start()

    async def _wait(self) -> None:
        """Wait until a request may run here; whoever returns from it counts as running.

        Raises:
            HostRestingError: the host rests for longer than the patience.
        """
        ticket = self._queue_up()
        while True:
            self.dispatch()
            try:
                await ticket
            except asyncio.CancelledError:
                self._give_up(ticket)
                raise
            if self.state.rest_left_s(utc_now()) <= GRAIN_S:
                return
            # the answer that ended the turn before put the host to rest
            self.running -= 1
            ticket = self._queue_up(first=True)

    def leave(self) -> None:
        """Give a turn back."""
        self.running -= 1
        self.dispatch()

    def dispatch(self) -> None:
        """Let in whoever may start now, and wake up when the next one may."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._queue and self.running < self.limit:
            if error := self.resting():
                self._refuse_all(error)
                return
            wait_s = self.state.wait_s(utc_now(), time.monotonic())
            if wait_s > 0:
                loop = asyncio.get_running_loop()
                self._timer = loop.call_later(max(wait_s, GRAIN_S), self.dispatch)
                return
            self._let_in(self._queue.popleft())

    def resting(self) -> HostRestingError | None:
        """Return the refusal where the host rests for longer than the patience."""
        until = self.state.rests_until
        if until is None or self.state.rest_left_s(utc_now()) <= self.patience_s:
            return None
        return HostRestingError(self.host, until, self.refused_with)

    def is_forgettable(self) -> bool:
        """Return whether nothing waits, runs, or is remembered against the host."""
        busy = self.running or self._queue
        return not busy and self.state.is_forgettable(utc_now(), time.monotonic())

    def note_start(self, tick_s: float) -> None:
        """Count the next gap from here."""
        self.state.start(tick_s)
        self._heard_tick_s = tick_s

    def _queue_up(self, *, first: bool = False) -> Future[None]:
        ticket: Future[None] = asyncio.get_running_loop().create_future()
        if first:
            self._queue.appendleft(ticket)
        else:
            self._queue.append(ticket)
        return ticket

    def _let_in(self, ticket: Future[None]) -> None:
        if ticket.done():  # cancelled while it waited
            return
        self.running += 1
        self.state.start(time.monotonic())  # holds back the next one until this one has woken up
        ticket.set_result(None)

    def _start(self) -> Turn:
        """Begin a turn; judged by the moments of real starts, not by what was planned."""
        tick_s, at = time.monotonic(), utc_now()
        heard_s = self._heard_tick_s
        violations = [
            heard_s is not None and tick_s - heard_s < self.state.spacing_s - GRAIN_S,
            self.state.rest_left_s(at) > GRAIN_S,
            self.running > self.limit,
        ]
        self.note_start(tick_s)
        return Turn(self, sum(violations))

    def _give_up(self, ticket: Future[None]) -> None:
        """Take a cancelled request out; its turn, if it had come, goes to the next."""
        if ticket in self._queue:
            self._queue.remove(ticket)
            self.dispatch()
        elif not ticket.cancelled() and ticket.exception() is None:
            self.leave()

    def _refuse_all(self, error: HostRestingError) -> None:
        for ticket in self._queue:
            if not ticket.done():
                ticket.set_exception(HostRestingError(error.host, error.until, error.status))
        self._queue.clear()


def utc_now() -> datetime:
    """Return now, aware UTC, from the clock that ``time.time`` tells."""
    return datetime.fromtimestamp(time.time(), UTC)
