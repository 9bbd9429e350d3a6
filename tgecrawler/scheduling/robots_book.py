"""The robots.txt of each origin: asked for once, kept for a day, and bounded."""

from __future__ import annotations

import asyncio
import random
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tgecrawler.domain.robots_term import RobotsCopy, failed, renewed
from tgecrawler.scheduling.host_lane import utc_now

if TYPE_CHECKING:
    from asyncio import Task
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from tgecrawler.sources.robots import RobotsRules

MOST_ORIGINS = 5_000
MOST_RULES_BYTES = 2 * 1024 * 1024  # of all that is kept; parsed, a byte of rules takes some 30


@dataclass(frozen=True, slots=True)
class RobotsAnswer:
    """The rules of an origin and when they were fetched; None and a reason: unreachable."""

    rules: RobotsRules | None
    fetched_at: datetime
    reason: str = ""


class RobotsBook:
    """What is known of the robots.txt of each origin.

    Args:
        ask: fetches the robots.txt of an origin (``https://host:port``). What it
            raises is handed to all who wait, and is not kept.
        jitter: returns numbers from 0 to 1.
    """

    def __init__(
        self,
        ask: Callable[[str], Awaitable[RobotsAnswer]],
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._ask = ask
        self._jitter = jitter
        self._copies: OrderedDict[str, RobotsCopy[RobotsRules]] = OrderedDict()
        self._asking: dict[str, Task[RobotsCopy[RobotsRules]]] = {}
        self.rules_bytes = 0

    def __len__(self) -> int:
        return len(self._copies)

    async def copy_for(self, origin: str) -> RobotsCopy[RobotsRules]:
        """Return what holds for an origin, asking first where that is due.

        However many wait, it is asked once.
        """
        copy = self._copies.get(origin)
        if copy is not None and not copy.is_due(utc_now()):
            self._copies.move_to_end(origin)
            return copy
        asking = self._asking.get(origin)
        if asking is None:
            asking = asyncio.ensure_future(self._renew(origin, copy))
            self._asking[origin] = asking
            asking.add_done_callback(lambda task: self._asked(origin, task))
        return await asyncio.shield(asking)  # one who gives up does not take it from the others

    async def _renew(
        self, origin: str, copy: RobotsCopy[RobotsRules] | None
    ) -> RobotsCopy[RobotsRules]:
        answer = await self._ask(origin)
        if answer.rules is None:
            new = failed(copy, answer.reason, utc_now(), self._jitter())
        else:
            new = renewed(answer.rules, answer.fetched_at)
        self._keep(origin, new)
        return new

    def _asked(self, origin: str, task: Task[RobotsCopy[RobotsRules]]) -> None:
        del self._asking[origin]
        if not task.cancelled():
            task.exception()  # seen here, should nobody wait any more

    def _keep(self, origin: str, copy: RobotsCopy[RobotsRules]) -> None:
        self.rules_bytes += _size_of(copy) - _size_of(self._copies.pop(origin, None))
        self._copies[origin] = copy
        while len(self._copies) > MOST_ORIGINS or (
            self.rules_bytes > MOST_RULES_BYTES and len(self._copies) > 1
        ):
            _, dropped = self._copies.popitem(last=False)
            self.rules_bytes -= _size_of(dropped)


def _size_of(copy: RobotsCopy[RobotsRules] | None) -> int:
    return copy.rules.size_bytes if copy and copy.rules else 0
