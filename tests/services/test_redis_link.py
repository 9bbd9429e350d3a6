"""Every way to a Redis, and the wait for one, with real servers."""

from __future__ import annotations

import asyncio
import logging
import shutil
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from postgresql_server import unavailable
from redis import RedisError
from redis.exceptions import AuthenticationError
from redis_groups import Cluster, TlsServer, Watched, running
from redis_server import RedisServer

from tgecrawler.cache.level import Gone
from tgecrawler.cache.redis import RedisLevel
from tgecrawler.dedup.redis import RedisIndex
from tgecrawler.domain.near_duplicate import make_fingerprint
from tgecrawler.errors import OptionError, RedisUnavailableError
from tgecrawler.redis_link import Script, connect, connect_async
from tgecrawler.redis_start import await_redis, wait_until_up

SCRIPT = Script("redis.call('INCRBY', KEYS[1], ARGV[1]) return redis.call('GET', KEYS[1])")


@pytest.fixture(autouse=True)
def _with_redis():
    if RedisServer.binary() is None:
        unavailable("no redis-server found in PATH")


def used(url: str) -> None:
    """Use a server in every way that we use one."""
    client = connect(url)
    wait_until_up(client, 5)
    assert int(SCRIPT.run_blocking(client, ["{tge:test}:n"], [2])) == 2
    client.close()
    assert asyncio.run(added(url)) == 5
    index = RedisIndex.at(url, timedelta(days=7))
    text = " ".join(f"word{n}" for n in range(200))
    fingerprint = make_fingerprint("", "", text, frozenset())
    now = datetime(2026, 10, 12, 8, tzinfo=UTC)
    assert index.load_once([("a", fingerprint, now)]) == 1
    assert [copy.id for copy in index.match_and_add("b", fingerprint, now)] == ["a"]
    index.client.close()


async def added(url: str) -> int:
    client = connect_async(url)
    try:
        return int(await SCRIPT.run(client, ["{tge:test}:n"], [3]))
    finally:
        await client.aclose()


def test_a_password(tmp_path):
    with running(RedisServer(tmp_path, password="s3cret")) as server:
        used(server.url)


def test_a_user_of_its_own(tmp_path):
    with running(RedisServer(tmp_path)) as server:
        server.command("ACL", "SETUSER", "crawl", "on", ">p@ss/w:rd", "~*", "&*", "+@all")
        url = f"redis://crawl:p%40ss%2Fw%3Ard@127.0.0.1:{server.port}/0"
        used(url)


@pytest.mark.parametrize("login", ["", ":wr0ng@", "nobody:wr0ng@"])
def test_a_wrong_password_is_one_line_at_once(tmp_path, login):
    with running(RedisServer(tmp_path, password="s3cret")) as server:
        url = f"redis://{login}127.0.0.1:{server.port}/0"
        began_s = time.monotonic()
        with pytest.raises(RedisUnavailableError) as raised:
            await_redis(url, 60)
        assert time.monotonic() - began_s < 5
        line = str(raised.value)
        assert line.startswith("TGE_REDIS_URL: Redis refuses the user or the password")
        assert "\n" not in line
        assert "wr0ng" not in line
        with pytest.raises(AuthenticationError):
            asyncio.run(added(url))


def test_a_socket(tmp_path):
    path = tmp_path / "r.sock"
    with running(RedisServer(tmp_path, "--unixsocket", str(path))):
        used(f"unix://{path}?db=3")


def test_tls(tmp_path):
    if shutil.which("openssl") is None:
        unavailable("no openssl found in PATH")
    with running(TlsServer(tmp_path)) as server:
        used(server.url)
        with pytest.raises(RedisUnavailableError, match="the certificate of Redis is not trusted"):
            await_redis(f"rediss://127.0.0.1:{server.port}", 60)
        with pytest.raises(RedisUnavailableError, match=r"has not answered for 0\.2 s"):
            await_redis(f"redis://127.0.0.1:{server.port}", 0.2)


@pytest.mark.slow
@pytest.mark.parametrize("password", ["", "s3cret"])
def test_a_failover_is_gone_along_with(tmp_path, password):
    with running(Watched(tmp_path, password=password)) as watched:
        used(watched.url)
        took_s = asyncio.run(fail_over(watched))
        print(f"the master was killed: the next answer came after {took_s:.1f} s")


async def fail_over(watched: Watched) -> float:
    client, blocking = connect_async(watched.url), connect(watched.url)
    assert int(await SCRIPT.run(client, ["n"], [1])) == 1
    assert int(SCRIPT.run_blocking(blocking, ["n"], [1])) == 2
    assert blocking.wait(1, 5_000) == 1  # the replica has it
    watched.master.kill()
    began_s = time.monotonic()
    while True:
        try:
            assert int(await SCRIPT.run(client, ["n"], [1])) == 3
            break
        except RedisError:
            assert time.monotonic() - began_s < 30
            await asyncio.sleep(0.1)
    took_s = time.monotonic() - began_s
    while True:
        try:
            assert int(SCRIPT.run_blocking(blocking, ["n"], [1])) == 4
            break
        except RedisError:
            assert time.monotonic() - began_s < 30
            await asyncio.sleep(0.1)
    assert int(watched.replica.command("GET", "n")) == 4
    await client.aclose()
    blocking.close()
    return took_s


@pytest.mark.parametrize("nodes", [1, 3])
def test_a_cluster(tmp_path, nodes):
    with running(Cluster(tmp_path, nodes)) as cluster:
        used(cluster.url)
        level = RedisLevel(cluster.url, 1_000_000)
        assert list(level.heard()) == [Gone()]
        level.drop(Gone("tag"), 0.0)
        level.drop(Gone(), 0.0)
        assert level.sizes() == {}
        level.close()


def test_a_cluster_that_is_away_is_a_redis_error_and_comes_back(tmp_path):
    with running(Cluster(tmp_path, 1)) as cluster:
        asyncio.run(outlive(cluster))


async def outlive(cluster: Cluster) -> None:
    client, blocking = connect_async(cluster.url), connect(cluster.url)
    await SCRIPT.run(client, ["n"], [1])
    SCRIPT.run_blocking(blocking, ["n"], [1])
    cluster.nodes[0].stop()
    for _ in range(3):
        with pytest.raises(RedisError):
            await SCRIPT.run(client, ["n"], [1])
        with pytest.raises(RedisError):
            SCRIPT.run_blocking(blocking, ["n"], [1])
    cluster.nodes[0].start()
    cluster.wait(cluster.nodes[0])
    assert int(await SCRIPT.run(client, ["n"], [1])) == 1
    assert int(SCRIPT.run_blocking(blocking, ["n"], [1])) == 2
    await client.aclose()
    blocking.close()


def test_a_cluster_that_never_was_is_waited_for(tmp_path):
    with pytest.raises(RedisUnavailableError, match=r"has not answered for 0\.2 s"):
        await_redis("redis+cluster://127.0.0.1:1", 0.2)


def test_a_script_outlives_a_restart(tmp_path):
    with running(RedisServer(tmp_path)) as server:
        client = connect(server.url)
        assert int(SCRIPT.run_blocking(client, ["n"], [1])) == 1
        server.stop()
        server.start()
        assert int(SCRIPT.run_blocking(client, ["n"], [1])) == 1
        client.close()


def test_a_redis_that_comes_up_late_is_waited_for(tmp_path, caplog):
    server = RedisServer(tmp_path, "--appendonly", "yes")
    later = threading.Timer(2.0, lambda: server.start(wait=False))
    later.start()
    began_s = time.monotonic()
    try:
        await_redis(server.url, 30)
    finally:
        later.join()
        server.stop()
    assert 1.9 < time.monotonic() - began_s < 10
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("TGE_REDIS_URL: Redis does not answer (Error 111 connecting to")
    assert line.endswith("waiting up to 30 s for it")


def test_one_that_never_comes_is_one_line_that_says_what_to_do(caplog):
    began_s = time.monotonic()
    with pytest.raises(RedisUnavailableError) as raised:
        await_redis("redis://:s3cret@127.0.0.1:1/0", 0.5)
    assert 0.5 <= time.monotonic() - began_s < 2
    line = str(raised.value)
    assert "Redis has not answered for 0.5 s" in line
    assert "start it or correct the address" in line
    assert "\n" not in line
    assert "s3cret" not in line + caplog.text
    assert len(caplog.records) == 1


def test_an_address_that_is_none_is_an_option_error():
    with pytest.raises(OptionError, match="TGE_REDIS_URL: its scheme is not one of Redis; an "):
        await_redis("memcached://:s3cret@host", 1)


@pytest.mark.parametrize(
    ("options", "warned"),
    [
        ((), ["keeps nothing on disk"]),
        (("--appendonly", "yes"), []),
        (("--save", "60 1000"), []),
        (
            ("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"),
            ["keeps nothing on disk", "maxmemory-policy allkeys-lru"],
        ),
        (("--appendonly", "yes", "--maxmemory", "100mb"), []),
        (("--appendonly", "yes", "--maxmemory-policy", "allkeys-lru"), []),
        (("--rename-command", "CONFIG", ""), []),  # as hosted ones do
    ],
)
def test_what_may_lose_keys_is_said(tmp_path, caplog, options, warned):
    with running(RedisServer(tmp_path, *options)) as server:
        await_redis(server.url, 5)
    lines = [record.getMessage() for record in caplog.records]
    assert all(record.levelno == logging.WARNING for record in caplog.records)
    assert len(lines) == len(warned)
    assert all(part in line for part, line in zip(warned, lines, strict=True))
