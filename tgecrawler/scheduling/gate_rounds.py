"""The way to the shared gate: what lanes ask and tell, in one round trip at a time.

Rounds follow one another, so that Redis hears things in the order in which they
happened here. While Redis is away nobody gets a turn; what was told waits.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import orjson

from tgecrawler.redis_link import REDIS_FAILURES
from tgecrawler.scheduling.gate_scripts import LONGEST_WAIT_MS, ROUND
from tgecrawler.scheduling.host_lane import utc_now
from tgecrawler.scheduling.resting import GateAwayError

if TYPE_CHECKING:
    from asyncio import Future, Task, TimerHandle
    from collections.abc import Callable, Iterable, Sequence

    from redis.asyncio import Redis

logger = logging.getLogger(__name__)

EXPIRY_S = 15.0  # a turn whose worker is not heard of for so long is free again
HEARTBEAT_S = 3.0
GATHER_S = 0.003  # least time between two rounds; what comes within it goes together
SETTLE_S = HEARTBEAT_S + 1.0  # after a loss: by then whoever runs has said so
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 2.0
CLOSE_S = 2.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What Redis says to a request for a turn.

    Args:
        wait_s: when to ask again, where it is not `granted`.
        ahead: how many came before.
        rest_left_s: what is left of the host's rest; 0 = it does not rest.
        struck_ago_s: since the latest refusal; None = there was none.
        kept: `Lane.kept` when it was asked.
    """

    granted: bool
    wait_s: float
    ahead: int
    rest_left_s: float
    strikes: int
    struck_ago_s: float | None
    status: int
    kept: int


class Lane(Protocol):
    """The queue before one host, as far as a round needs it."""

    host: str
    kept: int

    def told_ms(self) -> tuple[float, ...]:
        """Return what is known of the host; see `ROUND` for the order."""

    def wish_ms(self) -> tuple[float, float, int]:
        """Return gap and crawl-delay to be kept, and how many may run at once."""

    def started_ago_ms(self) -> float:
        """Return how long ago the host was asked last; -1 where it was not."""


class Place:
    """One request's place at a host: waiting, or having its turn."""

    __slots__ = ("answer", "asked_tick_s", "kept", "lane", "token")

    def __init__(self, token: str, lane: Lane) -> None:
        self.token = token
        self.lane = lane
        self.kept = 0
        self.asked_tick_s = 0.0
        self.answer: Future[Answer] | None = None


class GateRounds:
    """Asks for turns and gives them back, for all lanes of a process and one event loop.

    Args:
        known_lanes: returns the lanes; what they know is told anew after a loss.
        gives_up: tells, while Redis is away, whether to wait for it no more: the crawl
            ends.
        worker: a name that no other worker has; "" = make one.
    """

    def __init__(
        self,
        client: Redis,
        prefix: str,
        *,
        known_lanes: Callable[[], Iterable[Lane]],
        gives_up: Callable[[], bool] = lambda: False,
        worker: str = "",
    ) -> None:
        self.client = client
        self.prefix = prefix
        self.worker = worker or secrets.token_hex(8)
        self.away = False
        self.rounds = 0
        self._known_lanes = known_lanes
        self._gives_up = gives_up
        self._epoch = ""
        self._numbers = 0
        self._held: dict[str, Place] = {}
        self._asking: dict[str, Place] = {}
        self._news = _News()
        self._ended_s = 0.0
        self._beat_at_s = 0.0
        self._quiet_until_s = 0.0
        self._pause_s = FIRST_PAUSE_S
        self._work = asyncio.Event()
        self._alarm: TimerHandle | None = None
        self._task: Task[None] | None = None
        self._closed = False

    def new_place(self, lane: Lane) -> Place:
        """Return a place that nobody has asked for yet."""
        self._numbers += 1
        return Place(f"{self.worker}/{self._numbers}", lane)

    async def ask(self, place: Place) -> Answer:
        """Return what Redis says; waits for as long as it is away.

        Raises:
            GateAwayError: it is away, and the crawl ends.
        """
        place.answer = asyncio.get_running_loop().create_future()
        self._asking[place.token] = place
        self._begin()
        return await place.answer

    def leave(self, place: Place) -> None:
        """Give up a place, whether it had its turn or waited for it."""
        self._held.pop(place.token, None)
        self._asking.pop(place.token, None)
        self._news.left[place.token] = place
        self._begin()

    def sent(self, lane: Lane) -> None:
        """Tell that a host hears from us now."""
        self._news.sent[lane.host] = lane
        self._begin()

    def tell(self, lane: Lane) -> None:
        """Tell what is known of a host."""
        self._news.told[lane.host] = lane
        self._begin()

    async def close(self) -> None:
        """Give back what is held, within `CLOSE_S`, and end; nobody may ask any more."""
        self._closed = True
        if self._alarm is not None:
            self._alarm.cancel()
        if self._task is not None:
            self._work.set()
            await asyncio.wait({self._task}, timeout=CLOSE_S)
            self._task.cancel()
            # a cancel in mid-command can be swallowed; then the flag above ends it
            await asyncio.wait({self._task}, timeout=CLOSE_S)
        for place in [*self._held.values(), *self._asking.values()]:
            self.leave(place)
        if self._news and not self.away:
            try:
                async with asyncio.timeout(CLOSE_S):
                    await self._round([])
            except (TimeoutError, *REDIS_FAILURES) as error:
                logger.warning("the shared gate frees our hosts in %g s: %s", EXPIRY_S, error)
        await self.client.aclose()

    def _begin(self) -> None:
        self._work.set()
        if self._task is None and not self._closed:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        while not self._closed:
            await self._work.wait()
            # at least once round the loop: an answer is told in the breath in which its turn ends
            await asyncio.sleep(max(0.0, self._ended_s + GATHER_S - time.monotonic()))
            self._work.clear()
            was_away = self.away
            may_ask = not was_away and time.monotonic() >= self._quiet_until_s
            try:
                lost = await self._round([*self._asking.values()] if may_ask else [])
            except (
                Exception
            ) as error:  # whatever it is, those who wait must not hang on a dead task
                await self._bear(error)
                continue
            if lost or was_away:
                self._settle(back=was_away)
            self._set_alarm(asks_later=not may_ask)

    async def _round(self, asking: Sequence[Place]) -> bool:
        """Do what is to be done; return whether Redis has lost what it knew."""
        news, self._news = self._news, _News()
        now_s = time.monotonic()
        beats = self.away or now_s >= self._beat_at_s
        held = [*self._held.values()] if beats else []
        batch = {
            "epoch": self._epoch,
            "fresh": secrets.token_hex(8),
            "expiry": EXPIRY_S * 1e3,
            "longest": LONGEST_WAIT_MS,
            "tell": [(lane.host, *lane.told_ms()) for lane in news.told.values()],
            "sent": [(lane.host, lane.started_ago_ms()) for lane in news.sent.values()],
            "leave": [_held_ms(place) for place in news.left.values()],
            "hold": [_held_ms(place) for place in held],
            "take": [_asked_ms(place, now_s) for place in asking],
        }
        try:
            epoch, lost, answers = await ROUND.run(
                self.client, [self.prefix], [orjson.dumps(batch)]
            )
        except BaseException:
            self._news = news.before(self._news)
            raise
        self.rounds += 1
        self._ended_s = time.monotonic()
        self._epoch = epoch.decode()
        if beats:
            self._beat_at_s = now_s + HEARTBEAT_S
        if not lost:
            for place, answer in zip(asking, answers, strict=True):
                self._hand_over(place, answer)
        return bool(lost)

    def _hand_over(self, place: Place, answer: Sequence[int]) -> None:
        if place.answer is None or place.answer.done() or place.token not in self._asking:
            return  # it has left meanwhile, and the next round says so
        del self._asking[place.token]
        granted, wait_ms, ahead, rest_ms, strikes, struck_ms, status = answer
        if granted:
            if not self._held:
                self._beat_at_s = place.asked_tick_s + HEARTBEAT_S
            self._held[place.token] = place
        place.answer.set_result(
            Answer(
                granted=bool(granted),
                wait_s=wait_ms / 1e3,
                ahead=ahead,
                rest_left_s=rest_ms / 1e3,
                strikes=strikes,
                struck_ago_s=None if struck_ms < 0 else struck_ms / 1e3,
                status=status,
                kept=place.kept,
            )
        )

    async def _bear(self, error: Exception) -> None:
        """Wait before the next try; where the crawl ends, nobody waits any more."""
        if not self.away:
            self.away = True
            known = isinstance(error, REDIS_FAILURES)
            logger.error(
                "no host is asked while Redis is away: %s",
                *(error,),
                exc_info=None if known else error,
            )
        if self._gives_up():
            asking, self._asking = self._asking, {}
            for place in asking.values():
                if place.answer is not None and not place.answer.done():
                    place.answer.set_exception(GateAwayError(place.lane.host, utc_now()))
        await asyncio.sleep(self._pause_s)
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
        self._work.set()

    def _settle(self, *, back: bool) -> None:
        """Tell anew what Redis may have lost, and ask for nothing until the others have, too."""
        self.away, self._pause_s = False, FIRST_PAUSE_S
        logger.warning(
            "Redis %s; hosts are asked again in %g s",
            *("is back" if back else "has lost its keys", SETTLE_S),
        )
        self._quiet_until_s = time.monotonic() + SETTLE_S
        self._beat_at_s = 0.0
        for lane in self._known_lanes():
            self._news.told[lane.host] = lane
        self._work.set()

    def _set_alarm(self, *, asks_later: bool) -> None:
        """Wake up for the next heartbeat, and when asking is allowed again."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        due_s = [self._beat_at_s] if self._held else []
        if asks_later:
            due_s.append(self._quiet_until_s)
        if due_s:
            left_s = max(0.0, min(due_s) - time.monotonic())
            self._alarm = asyncio.get_running_loop().call_later(left_s, self._work.set)


class _News:
    """What has happened since the last round."""

    def __init__(self) -> None:
        self.told: dict[str, Lane] = {}
        self.sent: dict[str, Lane] = {}
        self.left: dict[str, Place] = {}

    def __bool__(self) -> bool:
        return bool(self.told or self.sent or self.left)

    def before(self, later: _News) -> _News:
        """Return both, this one's first."""
        self.told |= later.told
        self.sent |= later.sent
        self.left |= later.left
        return self


def _held_ms(place: Place) -> tuple[str, str, float]:
    return place.lane.host, place.token, place.lane.started_ago_ms()


def _asked_ms(place: Place, now_s: float) -> tuple[str, str, float, float, int]:
    place.asked_tick_s, place.kept = now_s, place.lane.kept
    return place.lane.host, place.token, *place.lane.wish_ms()
