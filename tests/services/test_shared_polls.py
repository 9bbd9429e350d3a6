"""Two workers over one clock and one database: each poll is one's, and what it taught is all's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from redis import Redis
from redis_server import RedisServer
from scrapy import Request
from scrapy.statscollectors import StatsCollector
from scrapy.utils.test import get_crawler

from tgecrawler.domain.fingerprint import content_key, rules_key
from tgecrawler.domain.polling import PollBounds
from tgecrawler.errors import DatabaseError
from tgecrawler.extensions.source_rows import SourceRows
from tgecrawler.extensions.store import Store
from tgecrawler.fleet import shared_polls
from tgecrawler.fleet.shared_polls import SharedPolls
from tgecrawler.items import Entry
from tgecrawler.options import read_options
from tgecrawler.redis_link import connect_async
from tgecrawler.runtime import Runtime
from tgecrawler.scheduling.shared_clock import FinishedPoll, SharedClock, prefix_of
from tgecrawler.spiders.polls import PollBook
from tgecrawler.storage.engine import create_engine
from tgecrawler.storage.schema import ensure_schema

RULES = "rules-1"
KEY = content_key(b"body", RULES)
SLUGS = ("desk", "wire")


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Runtime:
    path = tmp_path_factory.mktemp("polls") / "sources.yaml"
    feeds = "".join(f"  - {{slug: {slug}, url: 'https://{slug}.example/rss'}}\n" for slug in SLUGS)
    path.write_text(f"version: 1\nfeeds:\n{feeds}")
    return Runtime.load(read_options({"TGE_SOURCES": str(path)}, {}))


@pytest.fixture
def store(runtime: Runtime, tmp_path: Path) -> Iterator[Store]:
    engine = create_engine(f"sqlite:///{tmp_path / 'tge.db'}")
    ensure_schema(engine)
    yield Store(engine, runtime)
    engine.dispose()


class Worker:
    """A process's plan of polls, over the clock that it shares."""

    def __init__(self, store: Store, url: str, name: str, lease_s: float = 60.0) -> None:
        stats = StatsCollector(get_crawler())
        self.book = PollBook(store, SourceRows(get_crawler()), stats, PollBounds())
        self.client = connect_async(url)
        clock = SharedClock(self.client, prefix_of("rss"), name, lease_s=lease_s)
        self.polls = SharedPolls(clock, self.book, lease_s=lease_s)

    def requests(self, plan: str = "cycle") -> AsyncIterator[Request]:
        def ask(slug: str) -> Request:
            return Request(f"https://{slug}.example/rss", cb_kwargs={"slug": slug})

        return self.polls.requests(SLUGS, ask, plan)  # type: ignore[arg-type]

    async def read(self, slug: str, *entries: Entry) -> None:
        """Read a feed whose only entry is stored, and wait until the clock was told."""
        lease = self.polls.leases[slug]
        self.book.read(slug, entries, datetime.now(UTC))
        delivery = self.book.delivery(slug, KEY, '"1"', "")
        for account in (delivery, lease):
            account.opened()
        delivery.taken()
        self.polls.answered(slug)
        for account in (delivery, lease):
            account.closed("stored")
        await self.told()

    async def told(self) -> None:
        async with asyncio.timeout(10):
            while self.polls._finished or self.polls._settled:
                await asyncio.sleep(0.01)

    async def end(self) -> None:
        await self.polls.close()
        await self.client.aclose()


def play(store: Store, url: str, scene: Callable[[Worker, Worker], Awaitable[None]]) -> None:
    async def run() -> None:
        workers = [Worker(store, url, name) for name in ("a", "b")]
        try:
            await scene(*workers)
        finally:
            for worker in workers:
                await worker.end()

    asyncio.run(run())


def slug_of(request: Request) -> str:
    return str(request.cb_kwargs["slug"])


async def rest_of(requests: AsyncIterator[Request]) -> list[str]:
    async with asyncio.timeout(10):
        return [slug_of(request) async for request in requests]


def test_a_cycle_ends_for_all_once_each_source_was_asked(store: Store, redis_url: str) -> None:
    async def scene(one: Worker, other: Worker) -> None:
        ones = one.requests()
        first = slug_of(await anext(ones))
        second = slug_of(await anext(ones))
        assert {first, second} == set(SLUGS)
        others = asyncio.ensure_future(rest_of(other.requests()))
        await one.read(first)
        await asyncio.sleep(0.1)
        assert not others.done()  # one of them may still die
        await one.read(second)
        assert await others == []
        assert await rest_of(ones) == []

    play(store, redis_url, scene)


def test_a_worker_that_is_busy_reading_leaves_the_rest_to_the_others(
    store: Store, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_polls, "MOST_AT_ONCE", 1)
    monkeypatch.setattr(shared_polls, "MOST_BEING_READ", 1)

    async def scene(one: Worker, other: Worker) -> None:
        ones = one.requests()
        first = slug_of(await anext(ones))
        lease = one.polls.leases[first]
        lease.opened()
        one.polls.answered(first)
        waiting = asyncio.ensure_future(rest_of(ones))
        await asyncio.sleep(0.3)
        assert set(one.polls.leases) == {first}
        async with asyncio.timeout(10):
            second = slug_of(await anext(other.requests()))
        assert {first, second} == set(SLUGS)
        await other.read(second)
        lease.handed_over()  # it is read to the end, and there is nothing left
        assert await waiting == []

    play(store, redis_url, scene)


def test_what_one_worker_learnt_is_known_to_the_next(store: Store, redis_url: str) -> None:
    async def scene(one: Worker, other: Worker) -> None:
        async for request in one.requests():
            if slug_of(request) == "desk":
                await one.read("desk", Entry(url="https://desk.example/1", title="A"))
            else:
                await one.read("wire")
        state = one.book.polls["desk"].state
        # its time has come
        shelf = Redis.from_url(redis_url)
        shelf.zadd(f"{prefix_of('rss')}due", {"desk": 0})
        shelf.close()
        async with asyncio.timeout(10):
            assert slug_of(await anext(other.requests("due"))) == "desk"
        theirs = other.book.polls["desk"]
        assert theirs.state == state
        assert theirs.history == one.book.polls["desk"].history
        assert theirs.told == one.book.polls["desk"].told
        now = datetime.now(UTC)
        headers = other.book.validators("desk", rules_key(RULES), now)
        assert headers == {"If-None-Match": '"1"'}

    play(store, redis_url, scene)


def test_a_poll_that_taught_nothing_is_not_made_again_at_once(store: Store, redis_url: str) -> None:
    async def scene(one: Worker, other: Worker) -> None:
        request = await anext(one.requests("due"))
        one.polls.answered(slug_of(request))  # its callback failed
        await one.told()
        shelf = Redis.from_url(redis_url)
        at_ms = shelf.zscore(f"{prefix_of('rss')}due", slug_of(request))
        shelf.close()
        left = datetime.fromtimestamp(float(at_ms) / 1000, UTC) - datetime.now(UTC)
        assert left > timedelta(minutes=59)

    play(store, redis_url, scene)


def test_what_a_worker_leaves_falls_to_the_others_at_once(store: Store, redis_url: str) -> None:
    async def scene(one: Worker, other: Worker) -> None:
        ones = one.requests()
        await anext(ones)
        await anext(ones)
        await one.polls.close()
        others = other.requests()
        async with asyncio.timeout(10):
            assert {slug_of(await anext(others)), slug_of(await anext(others))} == set(SLUGS)

    play(store, redis_url, scene)


def test_a_cycle_is_begun_anew_after_redis_has_lost_it(
    store: Store, redis_server, redis_url: str
) -> None:
    async def scene(one: Worker, other: Worker) -> None:
        ones = one.requests()
        first = slug_of(await anext(ones))
        redis_server.stop()
        again = asyncio.ensure_future(anext(ones))
        one.book.read(first, [], datetime.now(UTC))
        one.polls.answered(first)
        await asyncio.sleep(0.5)
        redis_server.start()  # and it has forgotten everything: the cycle, too
        async with asyncio.timeout(20):
            second = slug_of(await again)
            await one.read(second)
            asked = {first, second}
            async for request in ones:  # the first one again, if it was told too late
                asked.add(slug_of(request))
                await one.read(slug_of(request))
        assert asked == set(SLUGS)

    play(store, redis_url, scene)


def test_a_redis_that_is_away_is_said_once(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(shared_polls, "AWAY_PAUSE_S", 0.02)
    caplog.set_level("INFO", logger=shared_polls.__name__)
    server = RedisServer(tmp_path / "redis")

    async def scene() -> None:
        worker = Worker(store, server.url, "a", lease_s=0.06)
        first = asyncio.ensure_future(anext(worker.requests("due")))
        await asyncio.sleep(0.5)
        assert [record.levelname for record in caplog.records] == ["ERROR"]
        server.start()
        async with asyncio.timeout(10):
            await first
        assert [record.levelname for record in caplog.records] == ["ERROR", "INFO"]
        await worker.end()

    try:
        asyncio.run(scene())
    finally:
        server.stop()


def test_what_fails_by_a_fault_of_ours_is_told_again(
    store: Store, redis_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(shared_polls, "AWAY_PAUSE_S", 0.02)

    async def scene(one: Worker, other: Worker) -> None:
        first = slug_of(await anext(one.requests()))
        finish = one.polls.clock.finish
        faults = [RuntimeError("a fault of ours")]

        async def faulty(polls: Iterable[FinishedPoll]) -> int:
            if faults:
                raise faults.pop()
            return await finish(polls)

        monkeypatch.setattr(one.polls.clock, "finish", faulty)
        await one.read(first)

    play(store, redis_url, scene)
    assert "a fault of ours" in caplog.text


def test_polling_goes_on_though_neither_redis_nor_the_database_know_anything(
    store: Store, redis_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away(_: object) -> None:
        raise DatabaseError("it is away")

    monkeypatch.setattr(shared_polls, "read_polls", away)
    monkeypatch.setattr(shared_polls, "FRESH_FOR", timedelta(0))

    async def scene(one: Worker, other: Worker) -> None:
        requests = one.requests("due")
        assert {slug_of(await anext(requests)) for _ in SLUGS} == set(SLUGS)

    play(store, redis_url, scene)
    assert "it is away" in caplog.text


def test_what_the_database_does_not_know_yet_is_not_forgotten_for_it(
    store: Store, redis_url: str
) -> None:
    async def scene(one: Worker, other: Worker) -> None:
        one.book.read("desk", [], datetime.now(UTC))
        ours = one.book.polls["desk"].state
        one.book.reload({"desk": replace(ours, polled_at=datetime(2026, 1, 1, tzinfo=UTC))})
        assert one.book.polls["desk"].state == ours
        theirs = replace(ours, polled_at=datetime.now(UTC), etag="newer")
        one.book.reload({"desk": theirs})
        assert one.book.polls["desk"].state == theirs

    play(store, redis_url, scene)


def test_nothing_is_polled_while_the_queue_is_full(store: Store, redis_url: str) -> None:
    async def scene(one: Worker, other: Worker) -> None:
        one.polls.is_full = lambda: True
        first = asyncio.ensure_future(anext(one.requests("due")))
        await asyncio.sleep(0.3)
        assert not first.done()
        one.polls.is_full = lambda: False
        async with asyncio.timeout(10):
            assert slug_of(await first) in SLUGS

    play(store, redis_url, scene)
