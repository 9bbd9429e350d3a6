"""The feed clock that several workers share, on a real Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest
from redis import Redis

from tgecrawler.redis_link import connect_async
from tgecrawler.scheduling.shared_clock import FinishedPoll, SharedClock, prefix_of

EPOCH = datetime.fromtimestamp(0, UTC)
LONG_S = 3600.0
SHORT_S = 0.05

Scene = Callable[[SharedClock, SharedClock], Awaitable[None]]


def play(url: str, scene: Scene, *, lease_s: float = LONG_S) -> None:
    """Run a scene of two workers."""

    async def run() -> None:
        client = connect_async(url)
        clocks = [
            SharedClock(client, prefix_of("rss"), worker, lease_s=lease_s) for worker in ("a", "b")
        ]
        try:
            await scene(*clocks)
        finally:
            await client.aclose()

    asyncio.run(run())


def due(*slugs: str, at: datetime = EPOCH) -> dict[str, datetime]:
    return dict.fromkeys(slugs, at)


async def taken(clock: SharedClock, plan: str, *slugs: str, most: int = 10) -> list[str]:
    taking = await clock.take(plan, due(*slugs), most)  # type: ignore[arg-type]
    return [poll.slug for poll in taking.taken]


def finished(slug: str, next_in_s: float = LONG_S, state: bytes = b"known") -> list[FinishedPoll]:
    return [FinishedPoll(slug, next_in_s, state)]


def test_each_due_source_falls_to_one_worker(redis_url: str) -> None:
    async def scene(one: SharedClock, other: SharedClock) -> None:
        assert await taken(one, "due", "x", "y", "z", most=2) == ["x", "y"]
        assert await taken(other, "due", "x", "y", "z") == ["z"]
        assert await taken(one, "due", "x", "y", "z") == []

    play(redis_url, scene)


def test_a_source_comes_back_when_it_is_due_with_what_is_known_of_it(redis_url: str) -> None:
    async def scene(one: SharedClock, other: SharedClock) -> None:
        assert await taken(one, "due", "x") == ["x"]
        assert await one.finish(finished("x", 0.0, b"rhythm")) == 1
        await one.settle("x", b"validators")
        (poll,) = (await other.take("due", due("x"), 1)).taken
        assert (poll.slug, poll.state, poll.settled) == ("x", b"rhythm", b"validators")

    play(redis_url, scene)


def test_a_source_that_is_not_due_waits(redis_url: str) -> None:
    async def scene(one: SharedClock, other: SharedClock) -> None:
        later = datetime.now(UTC) + timedelta(hours=1)
        taking = await one.take("due", due("x", at=later), 1)
        assert taking.taken == ()
        assert taking.left == 1
        assert taking.wait_s == pytest.approx(3600, abs=60)

    play(redis_url, scene)


def test_the_longest_overdue_comes_first(redis_url: str) -> None:
    async def scene(one: SharedClock, other: SharedClock) -> None:
        now = datetime.now(UTC)
        waiting = {"x": now - timedelta(minutes=1), "y": now - timedelta(hours=1)}
        taking = await one.take("due", waiting, 1)
        assert [poll.slug for poll in taking.taken] == ["y"]
        assert taking.wait_s == 0

    play(redis_url, scene)


def test_what_a_dead_worker_held_falls_to_another(redis_url: str) -> None:
    async def scene(one: SharedClock, other: SharedClock) -> None:
        assert await taken(one, "due", "x") == ["x"]
        while not await taken(other, "due", "x"):
            await asyncio.sleep(SHORT_S)
        # the first one was only slow: what it says now counts for nothing
        assert await one.prolong(["x"]) == set()
        assert await one.finish(finished("x")) == 0
        assert await other.prolong(["x"]) == {"x"}
        assert await other.finish(finished("x")) == 1

    play(redis_url, scene, lease_s=SHORT_S)


def test_a_sign_of_life_keeps_a_source(redis_url: str) -> None:
    async def scene(one: SharedClock, other: SharedClock) -> None:
        assert await taken(one, "due", "x") == ["x"]
        one.lease_ms = int(LONG_S * 1000)
        assert await one.prolong(["x"]) == {"x"}
        await asyncio.sleep(2 * SHORT_S)
        assert await taken(other, "due", "x") == []

    play(redis_url, scene, lease_s=SHORT_S)


def test_what_is_given_back_may_be_taken_at_once(redis_url: str) -> None:
    async def scene(one: SharedClock, other: SharedClock) -> None:
        await one.begin_cycle(due("x", "y"), within_s=1)
        assert await taken(one, "cycle", "x", "y") == ["x", "y"]
        await other.give_back(["x", "y"])  # not its own
        assert await taken(other, "cycle", "x", "y") == []
        await one.give_back(["x"])
        assert await taken(other, "cycle", "x", "y") == ["x"]

    play(redis_url, scene)


def test_a_cycle_asks_each_source_once_whoever_joins_it(redis_url: str) -> None:
    async def scene(one: SharedClock, other: SharedClock) -> None:
        assert await one.begin_cycle(due("x", "y"), within_s=LONG_S) == 2
        assert await taken(one, "cycle", "x", "y", most=1) == ["x"]
        await one.finish(finished("x"))
        # another joins, with one source more
        assert await other.begin_cycle(due("x", "y", "z"), within_s=LONG_S) == 1
        assert await taken(other, "cycle", "x", "y", "z") == ["y", "z"]
        assert (await other.take("cycle", due("x", "y", "z"), 1)).left == 2
        await other.finish(finished("y") + finished("z"))
        assert (await one.take("cycle", due("x", "y", "z"), 1)).left == 0
        # the next cycle, once the polls are long enough ago
        assert await one.begin_cycle(due("x", "y", "z"), within_s=0) == 3

    play(redis_url, scene)


def test_a_cycle_of_what_is_due_leaves_the_others(redis_url: str) -> None:
    async def scene(one: SharedClock, other: SharedClock) -> None:
        later = datetime.now(UTC) + timedelta(hours=1)
        assert await one.begin_cycle({"x": EPOCH, "y": later}, within_s=1) == 1
        assert await taken(one, "cycle", "x", "y") == ["x"]

    play(redis_url, scene)


def test_a_redis_that_was_emptied_learns_the_sources_anew(redis_url: str) -> None:
    async def scene(one: SharedClock, other: SharedClock) -> None:
        assert await taken(one, "due", "x") == ["x"]
        client = Redis.from_url(redis_url)
        client.flushdb()
        client.close()
        assert await one.finish(finished("x")) == 1
        assert await taken(other, "due", "x") == []
        assert await taken(other, "due", "y") == ["y"]

    play(redis_url, scene)


def test_sources_of_another_selection_are_left_alone(redis_url: str) -> None:
    async def scene(one: SharedClock, other: SharedClock) -> None:
        await one.begin_cycle(due("x", "y"), within_s=1)
        taking = await other.take("cycle", due("y"), 10)
        assert [poll.slug for poll in taking.taken] == ["y"]
        assert taking.left == 1

    play(redis_url, scene)


def test_a_cycle_that_redis_has_lost_is_known_to_be(redis_url: str) -> None:
    async def scene(one: SharedClock, other: SharedClock) -> None:
        await one.begin_cycle(due("x"), within_s=1)
        await other.begin_cycle(due("x"), within_s=1)
        assert not (await one.take("cycle", due("x"), 0)).is_lost
        client = Redis.from_url(redis_url)
        client.flushdb()
        client.close()
        assert (await one.take("cycle", due("x"), 0)).is_lost
        assert await one.begin_cycle(due("x"), within_s=1) == 1
        assert not (await one.take("cycle", due("x"), 0)).is_lost
        assert (await other.take("cycle", due("x"), 0)).is_lost

    play(redis_url, scene)
