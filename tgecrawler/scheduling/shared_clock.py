"""Which source is due when, for all workers of a crawl: each poll is one worker's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from tgecrawler.scheduling.clock_scripts import BEGIN, FINISH, GIVE_BACK, PROLONG, TAKE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from redis.asyncio import Redis

Plan = Literal["due", "cycle"]


@dataclass(frozen=True, slots=True)
class TakenPoll:
    """A source that is this worker's to poll, with what its last workers wrote; b"" = nothing."""

    slug: str
    state: bytes
    settled: bytes


@dataclass(frozen=True, slots=True)
class Taking:
    """What a look at the clock brought.

    Attributes:
        left: sources of ours that the plan still has, taken ones included.
        wait_s: until another one may be taken; None where none is to come.
        is_lost: Redis has lost its keys since our cycle began.
    """

    taken: tuple[TakenPoll, ...]
    left: int
    wait_s: float | None
    is_lost: bool = False


@dataclass(frozen=True, slots=True)
class FinishedPoll:
    """A poll of which nothing is left to do."""

    slug: str
    next_in_s: float
    state: bytes


class SharedClock:
    """The polls of a spider's sources in Redis; see `clock_scripts` for its keys.

    Whoever takes a source holds it for `lease_s`, and longer by `prolong`; what a
    dead worker held is then taken by another. All methods raise redis.RedisError
    where Redis does not answer, and may then be called again.

    Args:
        worker: a name that no other process bears.
    """

    def __init__(self, client: Redis, prefix: str, worker: str, *, lease_s: float) -> None:
        self.client = client
        self.prefix = prefix
        self.worker = worker
        self.lease_ms = int(lease_s * 1000)
        self._epoch: bytes | None = None

    async def begin_cycle(self, due: Mapping[str, datetime], *, within_s: float) -> int:
        """Put sources that are due before the workers of the running cycle; return how many.

        Not those that wait for one already, nor any that was polled less than
        `within_s` ago: workers that start a little later join the same cycle.
        """
        args: list[Any] = [self.worker, int(within_s * 1000)]
        for slug, at in due.items():
            args += (slug, _ms_of(at))
        begun, self._epoch = await BEGIN.run(self.client, [self.prefix], args)
        return int(begun)

    async def take(self, plan: Plan, due: Mapping[str, datetime], most: int) -> Taking:
        """Take sources of ours whose time has come, the longest overdue first.

        Args:
            plan: "cycle" for what a cycle has still to ask, "due" for ever.
            due: our sources, each with its next poll as far as this process knows;
                it counts where the clock knows of none.
        """
        args: list[Any] = [plan, self.worker, self.lease_ms, most]
        for slug, at in due.items():
            args += (slug, _ms_of(at))
        left, wait_ms, taken, epoch = await TAKE.run(self.client, [self.prefix], args)
        polls = tuple(TakenPoll(slug.decode(), state, settled) for slug, state, settled in taken)
        wait_s = None if wait_ms < 0 else wait_ms / 1000
        return Taking(polls, int(left), wait_s, self._epoch not in (None, epoch))

    async def prolong(self, slugs: Iterable[str]) -> set[str]:
        """Hold sources for longer; return those that are still ours."""
        args = [self.worker, self.lease_ms, *slugs]
        return {slug.decode() for slug in await PROLONG.run(self.client, [self.prefix], args)}

    async def finish(self, polls: Iterable[FinishedPoll]) -> int:
        """Let sources go and plan their next polls; return how many were still ours.

        One that another worker has taken meanwhile stays as that one left it.
        """
        args: list[Any] = [self.worker]
        for poll in polls:
            args += (poll.slug, int(max(0.0, poll.next_in_s) * 1000), poll.state)
        return int(await FINISH.run(self.client, [self.prefix], args))

    async def give_back(self, slugs: Iterable[str]) -> None:
        """Let sources go unpolled: they may be taken at once."""
        await GIVE_BACK.run(self.client, [self.prefix], [self.worker, *slugs])

    async def settle(self, slug: str, settled: bytes) -> None:
        """Keep which body of a source has nothing left to do, for whoever polls it next."""
        await self.client.hset(f"{self.prefix}settled", slug, settled)


def prefix_of(spider: str) -> str:
    """Return what the clock's keys of a spider begin with."""
    return f"{{tge:1:clock:{spider}}}:"


def _ms_of(moment: datetime) -> int:
    """Return a moment in ms since the epoch; it is compared with the server's clock."""
    return int(moment.timestamp() * 1000)
