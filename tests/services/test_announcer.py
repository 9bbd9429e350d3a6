"""The extension that tells what a crawl commits; with a real Redis that is there or away."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from outbox_cases import announcing, rows
from redis_server import RedisServer
from scrapy.exceptions import NotConfigured
from scrapy.statscollectors import StatsCollector
from scrapy.utils.test import get_crawler
from storage_cases import batch
from stream_cases import MOST, alerts, ids_of, wait_for
from stream_processes import story

from tgecrawler.extensions import announcer as module
from tgecrawler.extensions.announcer import Announcer
from tgecrawler.redis_link import connect
from tgecrawler.storage.engine import create_engine
from tgecrawler.storage.queries import recent_alerts

ROOT = Path(__file__).parents[2]


class Committing:
    """What an announcer sees of a store."""

    def __init__(self, engine) -> None:
        self.engine = engine
        self.on_commit = []

    def write(self, *numbers: int) -> None:
        announcing(self.engine).write(batch(*map(story, numbers)))
        for told in self.on_commit:
            told()


@pytest.fixture
def store(sqlite_engine):
    return Committing(sqlite_engine)


@pytest.fixture
def server(tmp_path):
    server = RedisServer(tmp_path / "redis")
    server.start()
    yield server
    server.stop()


def started(store, url: str) -> Announcer:
    crawler = get_crawler()
    announcer = Announcer(connect(url, timeout_s=0.5), MOST, StatsCollector(crawler))
    announcer.start(store)
    return announcer


def close(announcer: Announcer) -> float:
    began = time.monotonic()
    asyncio.run(announcer.close())
    return time.monotonic() - began


def test_a_commit_is_told_soon_and_the_last_one_at_the_close(store, client, redis_url):
    announcer = started(store, redis_url)
    for number in (1, 2, 3):
        store.write(number)
        began = time.monotonic()
        wait_for(lambda number=number: alerts(client)[-1:] == ids_of(number))
        assert time.monotonic() - began < 1.5
    store.write(4)
    close(announcer)
    assert alerts(client) == ids_of(1, 2, 3, 4)
    assert announcer.stats.get_value("tge/stream/messages") == 8


def test_what_a_dead_neighbour_left_is_told_though_nothing_is_committed_here(
    store, client, redis_url, monkeypatch
):
    monkeypatch.setattr(module, "UNASKED_S", 0.3)
    announcer = started(store, redis_url)
    announcing(store.engine).write(batch(story(1)))
    wait_for(lambda: alerts(client) == ids_of(1))
    close(announcer)


def test_redis_away_is_said_once_and_nothing_waits_for_it(store, server, caplog):
    caplog.set_level(logging.INFO, logger="tgecrawler")
    server.stop()
    announcer = started(store, server.url)
    for number in range(4):
        began = time.monotonic()
        store.write(number)
        assert time.monotonic() - began < 1
        time.sleep(0.3)
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "wait in the database; Redis: " in caplog.text
    assert len(rows(store.engine)) == 8
    server.start()
    with server.client() as client:
        store.write(4)
        wait_for(lambda: len(alerts(client)) == 5)
    assert "it is told again, 10 messages" in caplog.text
    close(announcer)
    assert len(caplog.records) == 2
    assert announcer.stats.get_value("tge/stream/failures") >= 2


def test_a_redis_that_hangs_does_not_hold_the_close_up(store, server, caplog, monkeypatch):
    monkeypatch.setattr(module, "CLOSE_S", 1.0)
    announcer = started(store, server.url)
    store.write(1)
    server.freeze()
    store.write(2)
    assert close(announcer) < 3
    server.thaw()


def test_a_full_redis_is_said_and_told_later(store, server, caplog):
    with server.client() as client:
        client.config_set("maxmemory", 1)
        announcer = started(store, server.url)
        store.write(1)
        wait_for(lambda: caplog.records)
        assert "used memory > 'maxmemory'" in caplog.text
        client.config_set("maxmemory", 0)
        store.write(2)
        wait_for(lambda: len(alerts(client)) == 2)
    close(announcer)


def test_a_fault_of_our_own_does_not_end_it(store, client, redis_url, caplog, monkeypatch):
    from tgecrawler.stream.publisher import Publisher

    publish = Publisher.publish
    faults = [ZeroDivisionError("ours")]

    def failing(self):
        if faults:
            raise faults.pop()
        return publish(self)

    monkeypatch.setattr(Publisher, "publish", failing)
    announcer = started(store, redis_url)
    wait_for(lambda: "ZeroDivisionError: ours" in caplog.text)
    store.write(1)
    wait_for(lambda: alerts(client) == ids_of(1))
    close(announcer)


@pytest.mark.parametrize(("stores", "url"), [(False, "redis://127.0.0.1"), (True, "")])
def test_it_is_not_there_without_redis_or_a_spider_that_stores(stores, url, monkeypatch):
    runtime = SimpleNamespace(options={"TGE_REDIS_URL": url})
    monkeypatch.setattr(module, "runtime_of", lambda _: runtime)
    with pytest.raises(NotConfigured):
        Announcer.from_crawler(SimpleNamespace(spider=SimpleNamespace(stores=stores)))


def test_nothing_of_it_is_loaded_in_a_single_process():
    script = (
        "import sys, tgecrawler.extensions.announcer, tgecrawler.commands.alerts;"
        "print([name for name in sys.modules if name.startswith(('redis', 'tgecrawler.stream'))])"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
def test_a_crawl_tells_all_that_it_stores(tmp_path, client, redis_url):
    url = f"sqlite:///{tmp_path}/tge.db"
    records = tmp_path / "records.jsonl"
    lines = [
        {
            "source": "desk",
            "url": f"https://desk.example/{number}",
            "title": f"Quillon{number} announces airdrop of its QLN{number} token to early users",
            "text": "Claims open next week.",
            "published": "2026-09-01T08:00:00+00:00",
        }
        for number in range(30)
    ]
    records.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    command = [sys.executable, "-m", "scrapy", "crawl", "records", "-a", f"file={records}"]
    command += ["-a", "max_age_days=0"]
    command += ["-s", f"TGE_DATABASE_URL={url}", "-s", f"TGE_REDIS_URL={redis_url}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    engine = create_engine(url)
    stored = {alert.id for alert in recent_alerts(engine)}
    engine.dispose()
    assert len(stored) == 30
    assert set(alerts(client)) == stored


@pytest.fixture
def following(tmp_path, sqlite_engine, redis_url):
    """Starts `scrapy alerts --follow` with more arguments; ended afterwards."""
    started: list[subprocess.Popen[str]] = []

    def follow(*arguments: str, url: str = redis_url) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "scrapy", "alerts", "--follow", *arguments]
        command += ["-s", f"TGE_DATABASE_URL=sqlite:///{tmp_path}/tge.db"]
        command += ["-s", f"TGE_REDIS_URL={url}"]
        pipe = subprocess.PIPE
        # a shell that runs the tests in its background has us, and them, ignore Ctrl-C
        started.append(
            subprocess.Popen(
                command,
                cwd=ROOT,
                stdout=pipe,
                stderr=pipe,
                text=True,
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )
        )
        return started[-1]

    yield follow
    for process in started:
        process.kill()
        process.communicate()


def tell(store, client, *numbers: int) -> None:
    from tgecrawler.stream.publisher import Publisher

    store.write(*numbers)
    Publisher(store.engine, client, MOST).publish()


@pytest.mark.slow
def test_follow_prints_what_the_list_prints(store, client, following, tmp_path):
    tell(store, client, 1, 2)
    first = following("--json", "--group", "me")
    shown = [json.loads(first.stdout.readline()) for _ in range(2)]
    command = [sys.executable, "-m", "scrapy", "alerts", "--json"]
    command += ["-s", f"TGE_DATABASE_URL=sqlite:///{tmp_path}/tge.db"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert shown == json.loads(listed.stdout)[::-1]
    tell(store, client, 3)
    assert json.loads(first.stdout.readline())["id"] == story(3).entry_id
    wait_for(lambda: client.xpending("{tge:1:stream}", "me")["pending"] == 0)
    first.send_signal(signal.SIGINT)
    assert first.wait(10) == 0
    assert first.stderr.read() == ""
    tell(store, client, 4)
    again = following("--group", "me", "--kind", "airdrop", "--min-score", "0.5")
    assert again.stdout.readline() == (
        "2026-03-01 08:00  airdrop, announced  Project 4: Story 4  https://news.example/4\n"
    )


@pytest.mark.slow
def test_follow_passes_over_what_is_no_alert_of_ours(store, client, following):
    fields = {"kind": "alert", "id": "1", "change": "new", "at": "2026-03-01T08:00:00Z"}
    client.xadd("{tge:1:stream}", fields | {"json": '{"title": 1}'}, "1-1")
    process = following("--group", "me", "--min-score", "0.5")
    assert process.stderr.readline() == "passing over 1-1, which is no alert of ours\n"
    wait_for(lambda: client.xpending("{tge:1:stream}", "me")["pending"] == 0)


@pytest.mark.slow
def test_follow_begins_now_and_waits_for_redis(store, server, following):
    with server.client() as client:
        tell(store, client, 1)
        process = following("--json", url=server.url)
        wait_for(lambda: client.info("clients")["blocked_clients"] == 1)
        tell(store, client, 2)
        assert json.loads(process.stdout.readline())["id"] == story(2).entry_id
        server.stop()
        assert process.stderr.readline().startswith("waiting for Redis: ")
        server.start()
        wait_for(lambda: client.info("clients")["blocked_clients"] == 1)
        tell(store, client, 3)
        assert json.loads(process.stdout.readline())["id"] == story(3).entry_id


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "url", "said"),
    [
        ((), "", "--follow listens to the Redis of TGE_REDIS_URL, which is not set"),
        ((), "redis://127.0.0.1:1/0", "TGE_REDIS_URL: Redis does not answer"),
        ((), "http://127.0.0.1", "TGE_REDIS_URL: "),
        (("--text", "a"), "", "--follow does not go with --text"),
        (("--kind", "sale"), "", "no kind 'sale'"),
    ],
)
def test_follow_says_in_one_line_what_is_wrong(following, arguments, url, said):
    process = following(*arguments, url=url)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert errors.startswith(f"error: {said}")
    assert errors.count("\n") == 1
