"""The queue before one host, whose head waits for the turn of all workers together."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import TYPE_CHECKING

from tgecrawler.domain.politeness import FORGIVING_QUIET, LONGEST_CRAWL_DELAY_S
from tgecrawler.scheduling.host_lane import GRAIN_S, HostLane, utc_now

if TYPE_CHECKING:
    from collections.abc import Callable

    from tgecrawler.scheduling.gate_rounds import Answer, GateRounds, Place
    from tgecrawler.scheduling.host_lane import Turn

STALE_S = 5.0  # a grant that was on its way for longer may be another's by now
JITTER_RATIO = 0.25  # those who are not the next ask at different times
SAME_REST_S = 0.5  # two readings of one moment differ by the time that they travelled


class SharedLane(HostLane):
    """A lane whose turns are granted by Redis; see `HostLane`.

    Within the process it is first come first served, as ever: so at most `limit` of its
    requests wait in Redis, and a host with many of them gets no more than its share.
    """

    def __init__(
        self,
        host: str,
        gap_s: float,
        limit: int,
        patience_s: float,
        *,
        rounds: GateRounds,
        jitter: Callable[[], float],
    ) -> None:
        super().__init__(host, gap_s, limit, patience_s)
        self.kept = 0  # how often rest or strikes changed here
        self._rounds = rounds
        self._jitter = jitter
        self._places: list[Place] = []

    async def enter(self) -> Turn:
        await self._wait()
        try:
            self._places.append(await self._take_place())
        except BaseException:
            super().leave()
            raise
        return self._start()

    def leave(self) -> None:
        # which of them is all the same: each counts as one that runs
        self._rounds.leave(self._places.pop())
        super().leave()

    def note_start(self, tick_s: float) -> None:
        super().note_start(tick_s)
        if self.limit > 1:  # else nobody else asks before we leave, which tells it as well
            self._rounds.sent(self)

    def started_ago_ms(self) -> float:
        """Return how long ago the host was asked last; -1 where it was not."""
        heard_s = self._heard_tick_s
        return -1 if heard_s is None else (time.monotonic() - heard_s) * 1e3

    def wish_ms(self) -> tuple[float, float, int]:
        """Return gap and crawl-delay to be kept, and how many may run at once."""
        state = self.state
        return state.gap_s * 1e3, self._crawl_delay_ms(), self.limit

    def told_ms(self) -> tuple[float, ...]:
        """Return what is known of the host; see `ROUND` for the order."""
        state, now = self.state, utc_now()
        left_s = state.rest_left_s(now)
        struck_ago_s = (now - state.struck_at).total_seconds() if state.struck_at else -1e-3
        kept_s = left_s + FORGIVING_QUIET.total_seconds() * state.strikes.bit_length()
        return (
            *(self._crawl_delay_ms(), left_s * 1e3),
            *(state.strikes, struck_ago_s * 1e3, self.refused_with or 0),
            *(kept_s * 1e3, self.started_ago_ms()),
        )

    def _crawl_delay_ms(self) -> float:
        return min(self.state.crawl_delay_s, LONGEST_CRAWL_DELAY_S) * 1e3

    async def _take_place(self) -> Place:
        """Return a place whose turn has come.

        Raises:
            HostRestingError: the host rests for longer than the patience.
            GateAwayError: Redis is away, and the crawl ends.
        """
        while True:
            place = self._rounds.new_place(self)
            try:
                if await self._wait_for(place):
                    return place
            except BaseException:
                self._rounds.leave(place)
                raise
            self._rounds.leave(place)
            await asyncio.sleep(self.state.rest_left_s(utc_now()))

    async def _wait_for(self, place: Place) -> bool:
        """Return once a place has its turn; False where it came too late to be used."""
        while True:
            answer = await self._rounds.ask(place)
            self._learn(answer)
            if error := self.resting():
                raise error
            if answer.granted:
                fresh = time.monotonic() - place.asked_tick_s < STALE_S
                # a rest that another of our requests was told of, and Redis not yet
                return fresh and self.state.rest_left_s(utc_now()) <= GRAIN_S
            apart = 1 + JITTER_RATIO * self._jitter() if answer.ahead else 1.0
            await asyncio.sleep(answer.wait_s * apart)

    def _learn(self, answer: Answer) -> None:
        """Take over the rest and the strikes that all workers share."""
        now = utc_now()
        until = now + timedelta(seconds=answer.rest_left_s)
        if answer.rest_left_s > self.state.rest_left_s(now) + SAME_REST_S:
            self.refused_with = answer.status or None
            self.state.rest(until)
            self.dispatch()
        if answer.kept == self.kept:  # else what we have learnt meanwhile is newer
            ago_s = answer.struck_ago_s
            self.state.strikes = answer.strikes
            self.state.struck_at = None if ago_s is None else now - timedelta(seconds=ago_s)
