"""Real crawls with leased requests: several processes, a server of its own, a real Redis."""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from redis_server import RedisServer

from tgecrawler.scheduling.queue_upkeep import QueueUpkeep, queue_prefix

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
BENCH = ROOT / "tests" / "bench"
PREFIX = queue_prefix("tree")
PATIENCE_S = 90.0
PAGES = 600

pytestmark = pytest.mark.slow


class Crawl:
    """A worker in a process of its own."""

    def __init__(self, folder, number, base, redis_url, mode, settings):
        self.stored_path = folder / f"stored-{number}"
        self.log_path = folder / f"log-{number}"
        command = [sys.executable, "-W", "error::Warning", str(HERE / "leased_crawl.py")]
        command += [base, redis_url, str(self.stored_path), mode]
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, *(f"{name}={value}" for name, value in settings.items())],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (ROOT, HERE, BENCH)))},
                stdout=log,
                stderr=log,
            )

    @property
    def stored(self):
        if not self.stored_path.exists():
            return []
        return [int(line) for line in self.stored_path.read_text().split()]

    @property
    def log(self):
        return self.log_path.read_text(errors="replace")

    def has_stored(self, count):
        """Wait until so much is stored."""
        deadline_s = time.monotonic() + PATIENCE_S
        while len(self.stored) < count:
            assert self.process.poll() is None, self.log
            assert time.monotonic() < deadline_s, self.log
            time.sleep(0.02)

    def ends(self):
        """Wait for a good end; return its stats."""
        assert self.process.wait(PATIENCE_S) == 0, self.log
        assert "Traceback" not in self.log, self.log
        return json.loads(self.log.strip().splitlines()[-1])

    def kill(self):
        assert self.process.poll() is None, self.log
        self.process.kill()
        self.process.wait()


@contextmanager
def tree(*arguments):
    server = subprocess.Popen(
        [sys.executable, str(BENCH / "tree_server.py"), *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield f"http://127.0.0.1:{int(server.stdout.readline())}"
    finally:
        server.terminate()
        server.wait(10)
        server.stdout.close()


@pytest.fixture
def asked(tmp_path):
    return tmp_path / "asked"


@pytest.fixture
def base(asked):
    with tree(PAGES, asked) as base:
        yield base


@pytest.fixture
def start(tmp_path, base, redis_url):
    crawls = []

    def started(mode="slow", url=redis_url, **settings):
        crawls.append(Crawl(tmp_path, len(crawls), base, url, mode, settings))
        return crawls[-1]

    yield started
    for crawl in crawls:
        if crawl.process.poll() is None:
            crawl.process.kill()
        crawl.process.wait()


@pytest.fixture
def client(redis_url):
    client = Redis.from_url(redis_url)
    yield client
    client.close()


def upkeep(redis_url, method):
    async def asked():
        client = AsyncRedis.from_url(redis_url)
        try:
            return await getattr(QueueUpkeep(client, PREFIX), method)()
        finally:
            await client.aclose()

    return asyncio.run(asked())


def test_two_workers_share_a_crawl_and_one_killed_loses_nothing(start, asked, redis_url):
    """Redirects and retries on the way as well."""
    one, two = (start("mixed", TGE_LEASE_S=2) for _ in range(2))
    for crawl in (one, two):
        crawl.has_stored(40)
    one.kill()
    stats = two.ends()
    assert stats["finish_reason"] == "finished"
    assert set(one.stored) | set(two.stored) == set(range(PAGES))
    assert stats["tge/queue/reclaimed"] > 0
    assert "tge/queue/dead" not in stats
    twice = len(one.stored) + len(two.stored) - PAGES
    assert twice <= 16 + 20  # what it had in the works and in its last batch
    figures = upkeep(redis_url, "stats")
    assert (figures.requests, figures.leased, figures.in_flight) == (0, 0, 0)
    assert any(line.startswith("/hop/") for line in asked.read_text().splitlines())


def test_one_told_to_end_gives_back_what_it_has(start, redis_url):
    one, two = (start(TGE_LEASE_S=600) for _ in range(2))
    for crawl in (one, two):
        crawl.has_stored(20)
    one.process.send_signal(signal.SIGTERM)
    assert one.ends()["finish_reason"] == "shutdown"
    stats = two.ends()
    assert "tge/queue/reclaimed" not in stats
    assert sorted(one.stored + two.stored) == list(range(PAGES))


def test_without_leases_a_killed_worker_takes_pages_with_it(start):
    """The control: scrapy-redis. It always has some begun, and they are in its filter for ever."""
    one = start("plain")
    one.has_stored(60)
    one.kill()
    two = start("plain")
    two.ends()
    lost = set(range(PAGES)) - set(one.stored) - set(two.stored)
    assert lost


def test_all_killed_a_later_one_finishes(start):
    crawls = [start(TGE_LEASE_S=2) for _ in range(2)]
    for crawl in crawls:
        crawl.has_stored(20)
    for crawl in crawls:
        crawl.kill()
    later = start(TGE_LEASE_S=2)
    later.ends()
    assert {number for crawl in (*crawls, later) for number in crawl.stored} == set(range(PAGES))


def test_pages_that_fail_are_tried_again_and_end_with_the_dead(start, redis_url):
    crawl = start("failing", TGE_QUEUE_ATTEMPTS=2)
    assert crawl.process.wait(PATIENCE_S) == 0, crawl.log
    bad = {dead.reason: dead.attempts for dead in upkeep(redis_url, "dead")}
    assert "ZeroDivisionError: page 3 is bad" in bad
    assert set(bad.values()) == {2}
    numbers = {int(reason.split()[2]) for reason in bad}
    reached = {0}
    for number in range(1, PAGES):  # pages whose parents can be read
        if (number - 1) // 4 in reached and (number - 1) // 4 % 7 != 3:
            reached.add(number)
    assert numbers == {number for number in reached if number % 7 == 3}
    assert set(crawl.stored) == reached - numbers


def test_redis_away_for_three_seconds_loses_nothing(tmp_path, start):
    server = RedisServer(tmp_path / "redis", "--appendonly", "yes")
    server.start()
    try:
        crawls = [start(url=server.url, TGE_LEASE_S=5) for _ in range(2)]
        for crawl in crawls:
            crawl.has_stored(40)
        server.process.kill()
        server.process.wait()
        time.sleep(3)
        server.start()
        stats = [crawl.ends() for crawl in crawls]
        assert set(crawls[0].stored) | set(crawls[1].stored) == set(range(PAGES))
        for crawl, one in zip(crawls, stats, strict=True):
            assert one["finish_reason"] == "finished"
            assert one["tge/queue/redis_errors"] > 0
            assert crawl.log.count("Redis cannot be used") == 1
            assert crawl.log.count("Redis is back after") == 1
            assert "tge/queue/dead" not in one
    finally:
        server.stop()


def test_redis_that_does_not_come_back_lets_a_crawl_end(tmp_path, start):
    server = RedisServer(tmp_path / "redis", "--appendonly", "yes")
    server.start()
    crawl = start(url=server.url)
    crawl.has_stored(20)
    server.stop()
    crawl.process.send_signal(signal.SIGTERM)
    assert crawl.process.wait(PATIENCE_S) == 0, crawl.log
    assert "Redis cannot be used at the end" in crawl.log


def test_flushed_in_the_middle_a_crawl_ends_and_a_new_one_begins(start, client):
    crawl = start()
    crawl.has_stored(40)
    client.flushdb()
    assert crawl.ends()["finish_reason"] == "finished"
    again = start("t")
    again.ends()
    assert sorted(again.stored) == list(range(PAGES))


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def test_a_pickle_in_the_queue_runs_nothing(start, client, tmp_path, redis_url):
    path = tmp_path / "ran"
    evil = pickle.dumps(Evil(path))
    client.hset(f"{PREFIX}req", "evil", evil)
    client.hset(f"{PREFIX}req", "framed", b"1" + bytes(8) + b"h\t0\t\n" + evil)
    for id_, host in (("evil", "127.0.0.1"), ("framed", "h")):
        client.zadd(f"{PREFIX}q:{host}", {id_: -1})
        client.zadd(f"{PREFIX}ready", {host: -1})
    crawl = start("t")
    stats = crawl.ends()
    assert not path.exists()
    assert stats["tge/queue/refused_payloads"] == 2
    assert {dead.id for dead in upkeep(redis_url, "dead")} == {"evil", "framed"}
    assert all(dead.payload == evil for dead in upkeep(redis_url, "dead"))
    assert sorted(crawl.stored) == list(range(PAGES))
