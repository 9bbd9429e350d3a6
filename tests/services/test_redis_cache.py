"""The shared level on a real Redis server."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cache_cases import MB, START_S, Clock, LevelCases, cache_over, stored
from redis import Redis
from redis_server import RedisServer

from tgecrawler.cache.guarded import REST_S
from tgecrawler.cache.level import Gone, LevelError, Usage
from tgecrawler.cache.redis import PREFIX, TIMEOUT_S, RedisLevel
from tgecrawler.cache.two_levels import HEAR_EVERY_S

ROOT = Path(__file__).parents[2]


@pytest.fixture
def level(redis_url):
    level = RedisLevel(redis_url, 50 * MB)
    yield level
    level.close()


@pytest.fixture
def other(redis_url):
    level = RedisLevel(redis_url, 50 * MB)
    yield level
    level.close()


@pytest.fixture
def client(redis_url):
    client = Redis.from_url(redis_url)
    yield client
    client.close()


class TestRedisLevel(LevelCases):
    """See ``LevelCases``."""


def test_everything_lies_behind_the_prefix_and_entries_expire(level, client):
    level.write(("feed", "a"), stored(keep_s=60, tags=("t",)), START_S)
    keys = list(client.scan_iter("*"))
    assert keys
    assert all(key.startswith(PREFIX.encode()) for key in keys)
    for name in ("e:feed:a", "t:t"):
        assert 0 < client.pttl(PREFIX + name) <= 60_000
    level.write_head(("feed", "a"), b"new", START_S + 600, START_S)
    for name in ("e:feed:a", "t:t"):
        assert client.pttl(PREFIX + name) > 60_000


def test_a_tag_lives_as_long_as_the_last_that_bears_it(level, client):
    level.write(("feed", "a"), stored(keep_s=600, tags=("t",)), START_S)
    level.write(("feed", "b"), stored(keep_s=60, tags=("t",)), START_S)
    assert client.pttl(f"{PREFIX}t:t") > 60_000


def test_what_has_expired_leaves_the_books_in_the_end(level, client):
    level.write(("feed", "old"), stored(keep_s=60, tags=("t",)), START_S)
    client.delete(f"{PREFIX}e:feed:old")  # as Redis does when its time is over
    assert level.read(("feed", "old"), START_S) is None
    level.most_bytes = 5_000
    for number in range(20):
        level.write(("feed", str(number)), stored(bytes(1_000)), START_S + number + 1)
    assert client.zscore(f"{PREFIX}lru", "feed:old") is None
    assert client.zscore(f"{PREFIX}uses", "feed:old") is None
    books = sum(int(size) for size in client.hvals(f"{PREFIX}sizes"))
    assert books == level.used_bytes() <= 5_000
    level.drop(Gone(), START_S)
    assert (level.used_bytes(), client.zcard(f"{PREFIX}lru")) == (0, 0)
    level.record(Usage({("feed", "old"): (1, START_S)}, {}))
    assert client.exists(f"{PREFIX}lru", f"{PREFIX}uses") == 0


def test_a_tag_that_an_expired_entry_bore_is_not_its_followers(level, client):
    level.write(("feed", "a"), stored(tags=("t",)), START_S)
    client.delete(f"{PREFIX}e:feed:a")  # as Redis does when its time is over
    level.write(("feed", "a"), stored(), START_S)
    assert level.drop(Gone(tag="t"), START_S) == 0
    assert level.read(("feed", "a"), START_S) is not None


def test_many_entries_of_a_tag_or_tier_go_in_steps(level):
    for number in range(1_300):
        level.write(("feed", str(number)), stored(tags=("t",)), START_S)
    assert level.drop(Gone(tag="t"), START_S) == 1_300
    for number in range(1_300):
        level.write(("feed", str(number)), stored(), START_S)
    assert level.drop(Gone(tier="feed"), START_S) == 1_300
    assert level.used_bytes() == 0


def test_what_redis_needs_is_what_the_books_say(level, client):
    """Above all not more: else the bound would not hold."""
    before = client.info("memory")["used_memory"]
    for number in range(3_000):
        key = f"{number:040x}"
        level.write(("article", key), stored(bytes(8_000), tags=("the-block",)), START_S + number)
    taken = client.info("memory")["used_memory"] - before
    assert 0.7 * level.used_bytes() < taken < 1.1 * level.used_bytes()


def test_an_announcement_that_cannot_be_read_drops_everything(level, client):
    level.heard()
    client.publish(f"{PREFIX}gone", b"\xff")
    assert list(level.heard()) == [Gone()]


SECOND = """
import sys
from tgecrawler.cache.redis import RedisLevel
from tgecrawler.cache.tiered import TieredCache
cache = TieredCache(RedisLevel(sys.argv[1], 10**8), memory_bytes=10**7)
for line in sys.stdin:
    verb, *arguments = line.split()
    if verb == "set":
        cache.set("article", arguments[0], arguments[1].encode(), tags=tuple(arguments[2:]))
    print(cache.get("article", arguments[0]) if verb == "get"
          else cache.invalidate_tag(arguments[0]) if verb == "drop" else "ok", flush=True)
cache.close()
"""


def test_a_tag_is_dropped_in_the_memory_of_another_process(redis_url):
    process = subprocess.Popen(
        [sys.executable, "-c", SECOND, redis_url],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def tell(line):
        process.stdin.write(f"{line}\n")
        process.stdin.flush()
        return process.stdout.readline().strip()

    clock = Clock(time.time())
    level = RedisLevel(redis_url, 50 * MB)
    cache = cache_over(level, clock)
    try:
        tell("set page one the-block")
        tell("set other two decrypt")
        assert cache.get("article", "page") == b"one"
        assert cache.get("article", "other") == b"two"
        level.client.hdel(f"{PREFIX}e:article:other", "h")  # so that memory alone has it
        assert tell("drop the-block") == "1"
        clock.pass_s(HEAR_EVERY_S + 0.01)
        assert cache.get("article", "page") is None
        assert cache.get("article", "other") == b"two"  # was not asked for again
        # and the other way round
        cache.set("article", "page", b"three", tags=("the-block",))
        assert tell("get page") == "b'three'"
        assert cache.invalidate_tag("the-block") == 1
        time.sleep(2 * HEAR_EVERY_S)  # the other process has a clock of its own
        assert tell("get page") == "None"
    finally:
        cache.close()
        process.stdin.close()
        assert process.wait(30) == 0
        process.stdout.close()


def test_redis_killed_in_the_middle_fails_nothing(tmp_path, caplog):
    server = RedisServer(tmp_path)
    server.start()
    clock = Clock()
    level = RedisLevel(server.url, 50 * MB)
    cache = cache_over(level, clock)
    try:
        cache.set("feed", "k", b"value")
        cache.invalidate_tag("t")
        server.process.kill()
        server.process.wait()
        clock.pass_s(HEAR_EVERY_S + 0.01)
        assert cache.get("feed", "k") == b"value"  # from memory
        for number in range(50):
            cache.set("feed", str(number), b"value")
            assert cache.get("feed", str(number)) == b"value"
            assert cache.get("feed", "unknown") is None
        assert cache.stats()["shared_failures"] == 1  # then it was left alone
        assert caplog.text.count("the crawl goes on") == 1
        server.start()
        assert level.read(("feed", "k"), clock()) is None
        cache.set("feed", "new", b"value")
        assert level.read(("feed", "new"), clock()) is None  # it still rests
        clock.pass_s(REST_S)
        # whatever was dropped meanwhile was not heard of: nothing in memory is trusted
        assert cache.get("feed", "k") is None
        cache.set("feed", "new", b"value")
        assert level.read(("feed", "new"), clock()) is not None
        warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
        assert len(warnings) == 1
    finally:
        cache.close()
        server.stop()


def test_a_server_that_says_nothing_is_not_waited_for_long():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        level = RedisLevel(f"redis://127.0.0.1:{silent.getsockname()[1]}/0", MB)
        with pytest.raises(LevelError) as raised:
            level.read(("feed", "a"), START_S)
        assert raised.value.rests
        assert level.client.connection_pool.connection_kwargs["socket_timeout"] == TIMEOUT_S
        level.close()


def test_another_thing_than_ours_under_a_key_is_a_miss(level, client, caplog):
    client.set(f"{PREFIX}e:feed:k", "text")
    cache = cache_over(level, Clock())
    assert cache.get("feed", "k") is None
    assert cache.stats()["shared_failures"] == 1
    assert "secret" not in caplog.text


def test_a_full_redis_fails_nothing(client, redis_url, caplog):
    client.config_set("maxmemory", client.info("memory")["used_memory"] + 300_000)
    client.config_set("maxmemory-policy", "noeviction")
    clock = Clock()
    level = RedisLevel(redis_url, 50 * MB)
    cache = cache_over(level, clock)
    try:
        for number in range(100):
            cache.set("feed", str(number), os.urandom(20_000))
            assert cache.get("feed", str(number)) is not None
        assert cache.invalidate_tag("none") == 0
        failures = cache.stats()["shared_failures"]
        assert 50 < failures < 100
        assert level.read(("feed", "0"), clock()) is not None  # what fitted is still served
        assert caplog.text.count("the crawl goes on") == 1
    finally:
        client.config_set("maxmemory", 0)
        cache.close()
