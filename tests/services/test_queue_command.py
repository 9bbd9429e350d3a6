"""`scrapy queue` on what workers have left in a real Redis."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from redis import Redis
from redis_groups import Cluster, running
from redis_server import RedisServer
from scrapy.cmdline import execute

from tgecrawler.redis_link import Script, connect_async
from tgecrawler.redis_start import weaknesses
from tgecrawler.scheduling.leased_queue import LeasedQueue
from tgecrawler.scheduling.queue_report import share_of
from tgecrawler.scheduling.queue_upkeep import queue_prefix
from tgecrawler.scheduling.queue_values import Ack, Batch, Leased, Offer
from tgecrawler.scheduling.seen_scripts import SEE, digest_of
from tgecrawler.scheduling.shared_clock import FinishedPoll, SharedClock
from tgecrawler.scheduling.shared_clock import prefix_of as clock_prefix

ROOT = Path(__file__).parents[2]
SINCE = "2026-10-12T08:00:00+00:00"
SEEN_MS = 7 * 86_400_000
EPOCH = datetime.fromtimestamp(0, UTC)


def offer(id_: str, host: str = "a.example", **more: Any) -> Offer:
    waiting = {"seen_at": SINCE}
    told = {"url": f"https://{host}/{id_}", "cb_kwargs": {"waiting": waiting}}
    return Offer(id=id_, host=host, priority=0, payload=orjson.dumps(told), **more)


async def fill(url: str) -> None:
    """Leave eight requests of rss: 1 delayed, 2 leased, 2 dead, and 3 of a host that waits."""
    client = connect_async(url)
    queue = LeasedQueue(client, queue_prefix("rss"), "host-1-abc", per_host=4, lease_s=30)
    batch = Batch(offers=tuple(offer(f"r{n}", fingerprint=b"%d" % n) for n in range(4)), want=4)
    first, second, landed, _ = (await queue.round(batch)).leased
    ends = (refused(first, "[red]KeyError[/red]: 'x'"), refused(second, "not JSON"))
    later = tuple(offer(f"b{n}", "b.example") for n in range(3))
    await queue.round(Batch(acks=ends, landed=(landed,), offers=later))
    put_off = (await queue.round(Batch(want=1))).leased[0]
    moment_s = datetime.now(UTC).timestamp() + 600
    end = Ack(id=put_off.id, token=put_off.token, verdict="later", until_s=moment_s)
    await queue.round(Batch(acks=(end,), offers=(offer("d", delay_s=500),)))
    clock = SharedClock(client, clock_prefix("rss"), "host-1-abc", lease_s=30)
    await clock.take("due", dict.fromkeys(("x", "y", "z"), EPOCH), 2)
    await clock.finish([FinishedPoll("x", 90, b"")])
    await client.aclose()


def refused(leased: Leased, reason: str) -> Ack:
    return Ack(id=leased.id, token=leased.token, verdict="refused", reason=reason)


@dataclass(frozen=True)
class Said:
    """What a command answered."""

    code: int
    out: str
    err: str


Run = Callable[..., Said]


@pytest.fixture
def queue(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """Runs `scrapy queue` in this process."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TGE_REDIS_URL", redis_url)

    def run(*args: str) -> Said:
        with pytest.raises(SystemExit) as ended:
            execute(["scrapy", "queue", *args])
        told = capsys.readouterr()
        return Said(int(str(ended.value.code)), told.out, told.err)

    return run


@pytest.fixture
def crawled(queue: Run, redis_url: str) -> Run:
    """The same, with a queue that workers have left."""
    asyncio.run(fill(redis_url))
    return queue


@pytest.fixture
def client(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url) as client:
        yield client


def shown(run: Run, *args: str) -> Any:
    said = run(*args, "--json")
    assert said.code == 0, said.err
    return json.loads(said.out)


def line(run: Run, *args: str) -> str:
    """The one line that a user who erred is told."""
    said = run(*args)
    assert said.code == 2, said.out
    assert said.out == ""
    (told,) = said.err.splitlines()
    return told


def test_stats_tell_what_is_where(crawled: Run) -> None:
    stats = shown(crawled, "stats")
    (rss,) = stats["spiders"]
    counted = ("requests", "queued", "leased", "in_flight", "delayed", "dead", "seen")
    assert [rss[name] for name in counted] == [6, 3, 2, 1, 1, 2, 2]
    assert rss["oldest"] == {
        "id": "b0",
        "host": "b.example",
        "url": "https://b.example/b0",
        "since": SINCE,
    }
    first, second = rss["hosts"]
    assert (first["host"], first["queued"], first["in_flight"]) == ("b.example", 3, 0)
    assert first["waits_s"] == pytest.approx(600, abs=60)
    assert second == {"host": "a.example", "queued": 0, "in_flight": 1, "waits_s": None}
    (worker,) = rss["workers"]
    assert (worker["worker"], worker["leased"], worker["in_flight"]) == ("host-1-abc", 2, 1)
    assert 0 <= worker["heard_s_ago"] < 60
    assert 0 < worker["next_deadline_s"] <= 30
    clock = rss["clock"]
    assert [clock[name] for name in ("sources", "due", "leased", "in_cycle")] == [3, 1, 1, 0]
    assert 0 < clock["next_due_s"] <= 30
    assert stats["redis"]["used_bytes"] > 0
    assert stats["redis"]["policy"] == "noeviction"

    told = crawled("stats", "--spider", "rss").out
    assert "rss: 6 requests: 3 queued, 2 leased (1 in flight), 1 delayed; 2 dead" in told
    assert f"longest in line: https://b.example/b0, since {SINCE}" in told
    assert "clock: 3 sources, 1 being polled, 1 due" in told
    assert "host-1-abc" in told
    assert "10.0 min" in told or "9." in told


def test_dead_requests_are_listed_with_their_reasons(crawled: Run, client: Redis) -> None:
    prefix = queue_prefix("rss")
    client.hset(f"{prefix}dead", "alien", b'{"reason": "", "attempts": 0}\n\x80\x04pickle')
    found = {one["id"]: one for one in shown(crawled, "dead")}
    assert set(found) == {"r0", "r1"}, "what no moment is known of is not listed"
    client.hset(
        f"{prefix}dead",
        "alien",
        b'{"reason": "no request", "attempts": 0, "reclaims": 1, "at": 1}\n\x80\x04pickle',
    )
    client.zadd(f"{prefix}died", {"alien": 1})
    found = {one["id"]: one for one in shown(crawled, "dead")}
    assert found["r0"]["reason"] == "[red]KeyError[/red]: 'x'"
    assert found["r0"]["url"] == "https://a.example/r0"
    assert found["r0"]["age_s"] < 60
    assert (found["alien"]["url"], found["alien"]["reclaims"]) == ("", 1)
    told = crawled("dead").out
    assert "[red]KeyError[/red]: 'x'" in told
    assert "https://a.example/r1" in told
    assert "not ours" in told
    assert "cannot be retried" in line(crawled, "retry", "alien")


def test_dead_requests_are_retried(crawled: Run) -> None:
    assert "no dead request 'r7'" in line(crawled, "retry", "r7")
    assert shown(crawled, "retry", "r0") == {"retried": {"rss": 1}}
    assert [one["id"] for one in shown(crawled, "dead")] == ["r1"]
    said = crawled("retry", "--all")
    assert said.out == "rss: 1 requests are in the queue again\n"
    assert crawled("dead").out == "no dead requests\n"
    (rss,) = shown(crawled, "stats")["spiders"]
    assert (rss["dead"], rss["requests"], rss["queued"]) == (0, 8, 5)


def test_purge_deletes_what_is_asked_for_and_nothing_else(crawled: Run, client: Redis) -> None:
    said = line(crawled, "purge", "--queue", "--dead")
    assert "loses 6 requests of rss, 2 of them leased; add --yes" in said
    said = crawled("purge", "--dead", "--clock")
    assert said.out == "rss: deleted 2 dead requests, 3 sources of the clock\n"
    (rss,) = shown(crawled, "stats")["spiders"]
    assert (rss["requests"], rss["dead"], rss["clock"]["sources"]) == (6, 0, 0)
    assert rss["seen"] == 2
    purged = shown(crawled, "purge", "--queue", "--seen", "--yes")
    assert purged == {"purged": {"rss": {"queue": 6, "seen": 2}}}
    left = {key.decode().rpartition(":")[2] for key in client.keys("*")}
    assert left <= {"seq", "workers", "beat", "host-1-abc"}


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ((), "queue takes one of stats, dead, retry, purge"),
        (("statz",), "no action 'statz'; did you mean 'stats'?"),
        (("stats", "--spider", "rs"), "no spider 'rs'; did you mean 'rss'?"),
        (("stats",), "Redis has no queue yet"),
        (("stats", "--spider", "articles"), "Redis has no queue of articles yet"),
        (("stats", "--yes"), "--yes goes with purge, not stats"),
        (("dead", "r1"), "dead takes nothing more, not 'r1'"),
        (("retry",), "retry takes the id of a dead request, or --all"),
        (("retry", "r1", "--all"), "retry takes the id of a dead request, or --all"),
        (("purge",), "purge deletes what is asked for: --queue (its requests"),
        (("stats", "-s", "TGE_REDIS_URL="), "TGE_REDIS_URL is empty"),
        (("stats", "-s", "TGE_REDIS_URL=http://x"), "TGE_REDIS_URL: its scheme"),
        (("stats", "-s", "TGE_REDIS_URL=redis://127.0.0.1:1"), "Redis cannot be asked"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_is_wrong_is_said_in_one_line(args: tuple[str, ...], said: str, queue: Run) -> None:
    assert said in line(queue, *args)


def test_it_is_a_command_of_scrapy(crawled: Run, redis_url: str) -> None:
    command = [sys.executable, "-m", "scrapy", "queue", "stats", "-s", f"TGE_REDIS_URL={redis_url}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("rss: 6 requests: ")


def test_keys_are_of_the_types_that_are_documented(crawled: Run, client: Redis) -> None:
    text = (ROOT / "docs" / "distribution.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\{tge:1:[^`]+)` \| (\w+) \|", text, re.MULTILINE)
    types = {re.sub(r"(?<=:)[A-Z][A-Z:]*$", "", key): kind for key, kind in rows}
    seen = set()
    for key in client.scan_iter("*"):
        name = key.decode().replace(":rss}", ":SPIDER}")
        row = max((row for row in types if name.startswith(row)), key=len)
        assert client.type(key).decode() == types[row], name
        seen.add(row)
    assert len(seen) >= 15


def test_it_works_on_a_cluster(queue: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running(Cluster(tmp_path)) as cluster:
        monkeypatch.setenv("TGE_REDIS_URL", cluster.url)
        asyncio.run(fill(cluster.url))
        stats = shown(queue, "stats")
        (rss,) = stats["spiders"]
        assert (rss["requests"], rss["dead"], rss["clock"]["sources"]) == (6, 2, 3)
        assert stats["redis"]["used_bytes"] > 0
        assert {one["id"]: one["age_s"] < 60 for one in shown(queue, "dead")} == {
            "r0": True,
            "r1": True,
        }
        assert shown(queue, "retry", "--all") == {"retried": {"rss": 2}}
        purged = shown(queue, "purge", "--queue", "--dead", "--seen", "--clock", "--yes")
        assert purged["purged"]["rss"] == {"queue": 8, "dead": 0, "seen": 4, "clock": 3}


def test_the_configuration_of_deploy_is_one_of_redis(tmp_path: Path) -> None:
    server = RedisServer(tmp_path, password="secret", config=ROOT / "deploy" / "redis.conf")
    server.start()
    try:
        with server.client() as client:
            asked = ("appendonly", "appendfsync", "maxmemory-policy", "save")
            found = [client.config_get(name)[name] for name in asked]
            assert found == ["yes", "everysec", "noeviction", ""]
            assert weaknesses(client.info(), found[3]) == []
            client.set("kept", "1")
        server.stop()
        server.start()
        with server.client() as client:
            assert client.get("kept") == b"1"
    finally:
        server.stop()


def test_the_bytes_of_the_filter_are_measured(redis_url: str) -> None:
    async def see() -> tuple[int, int]:
        client = connect_async(redis_url)
        prefix = queue_prefix("rss")
        args = [SEEN_MS, *(digest_of(b"%d" % number) for number in range(100_000))]
        for start in range(1, len(args), 5_000):
            await Script(SEE).run(client, [prefix], [SEEN_MS, *args[start : start + 5_000]])
        share = await share_of(client, "rss", seen_s=SEEN_MS / 1_000)
        keys = [key async for key in client.scan_iter(f"{prefix}df:*", count=10_000)]
        usage = client.pipeline()
        for key in keys:
            usage.memory_usage(key)
        exact = sum(await usage.execute())
        await client.aclose()
        assert share.seen == 100_000
        return share.seen_bytes, exact

    told, exact = asyncio.run(see())
    assert told == pytest.approx(exact, rel=0.1)
