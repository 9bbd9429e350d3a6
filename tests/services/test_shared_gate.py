"""Several gates on one Redis: together they are as polite as one."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from gate_record import Record
from redis_server import RedisServer

from tgecrawler.redis_link import connect, connect_async
from tgecrawler.scheduling import gate_rounds
from tgecrawler.scheduling.gate_rounds import SETTLE_S
from tgecrawler.scheduling.host_lane import utc_now
from tgecrawler.scheduling.resting import GateAwayError, HostRestingError
from tgecrawler.scheduling.shared_gate import PREFIX, SharedHostGate
from tgecrawler.scheduling.token_bucket import TokenBucket

HOST = "news.example"
GAP_S = 0.2
# The gate's clock and the test's differ by less: starts are noted just after they were granted.
GRAIN_S = 0.001


@asynccontextmanager
async def gates(url, count, gap_s=GAP_S, **options):
    made = [SharedHostGate(connect_async(url), gap_s, **options) for _ in range(count)]
    try:
        yield made
    finally:
        for gate in made:
            await gate.close()
        assert sum(gate.violations for gate in made) == 0


@pytest.fixture
def look(redis_url):
    client = connect(redis_url)
    yield client
    client.close()


def left_behind(look) -> list[bytes]:
    """Return the keys of those who hold or wait."""
    return [key for kind in "owd" for key in look.scan_iter(f"{PREFIX}{kind}:*")]


@pytest.mark.parametrize("count", [2, 4])
def test_one_at_a_time_and_the_gap_between_all(redis_url, look, count):
    record = Record()
    hosts = ["a.example", "b.example", "c.example"]

    async def crawl():
        async with gates(redis_url, count) as made:
            await asyncio.gather(
                *(
                    record.request(gate, host, worker=n, takes_s=0.03)
                    for n, gate in enumerate(made)
                    for host in hosts
                    for _ in range(4)
                )
            )
            assert sum(gate.turns for gate in made) == count * 12

    asyncio.run(crawl())
    print(f"{count} gates: smallest gap {record.smallest_gap():.4f} s, wanted {GAP_S}")
    assert record.most_at_once() == 1
    assert record.smallest_gap() >= GAP_S - GRAIN_S
    for host in hosts:
        took = [max(record.of(host))[0] - min(record.of(host))[0]]
        assert took[0] < GAP_S * (4 * count - 1) * 1.5  # and the host is not left idle
    assert left_behind(look) == []


def test_workers_of_their_own_processes(redis_url, look):
    record = run_workers(redis_url, 3, hosts=["a.example", "b.example"], requests=5, takes_s=0.05)
    print(f"3 processes: smallest gap {record.smallest_gap():.4f} s, wanted {GAP_S}")
    assert {host: len(spans) for host, spans in record.spans.items()} == {
        "a.example": 15,
        "b.example": 15,
    }
    assert record.most_at_once() == 1
    assert record.smallest_gap() >= GAP_S - GRAIN_S
    assert left_behind(look) == []


def start_worker(url, **job):
    return subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("gate_worker.py")), url, json.dumps(job)],
        stdout=subprocess.PIPE,
        text=True,
    )


def run_workers(url, count, *, gap_s=GAP_S, **job) -> Record:
    workers = [start_worker(url, gap_s=gap_s, **job) for _ in range(count)]
    record, begun = Record(), {}
    for worker in workers:
        try:
            out, _ = worker.communicate(timeout=60)
        finally:
            worker.kill()
        assert worker.returncode == 0
        for line in map(json.loads, out.splitlines()):
            if "violations" in line:
                assert line["violations"] == 0
                continue
            name = (line["host"], line["worker"], line["number"])
            if "started" in line:
                begun[name] = line["started"]
            else:
                record.add(line["host"], begun[name], line["ended"], line["worker"])
    return record


def test_a_crawl_delay_that_one_was_told_holds_for_all(redis_url):
    record = Record()

    async def crawl():
        async with gates(redis_url, 3) as made:
            await record.request(made[0], HOST, worker=0)
            made[0].set_crawl_delay(HOST, 0.6)
            await asyncio.gather(
                *(record.request(gate, HOST, worker=n) for n, gate in enumerate(made))
            )

    asyncio.run(crawl())
    assert min(record.gaps(HOST)) >= 0.6 - GRAIN_S


def test_the_widest_gap_and_the_lowest_limit_hold_for_all(redis_url):
    record = Record()

    async def crawl():
        async with (
            gates(redis_url, 1, 0.5, limit=1) as slow,
            gates(redis_url, 1, 0.1, limit=3) as fast,
        ):
            await record.request(slow[0], HOST)
            await asyncio.gather(
                *(record.request(fast[0], HOST, takes_s=0.3) for _ in range(3)),
            )

    asyncio.run(crawl())
    assert record.most_at_once() == 1
    assert min(record.gaps(HOST)) >= 0.5 - GRAIN_S


def test_a_rest_that_one_was_told_holds_for_all_at_once(redis_url):
    record = Record()

    async def crawl():
        async with gates(redis_url, 3, 0.0) as made:
            waiting = []
            async with made[0].turn(HOST):
                waiting += [
                    asyncio.ensure_future(record.request(gate, HOST, worker=n))
                    for n, gate in enumerate(made[1:], 1)
                ]
                await asyncio.sleep(0.2)
            # in the same breath in which the turn ends, as the middleware does
            told_at = time.monotonic()
            assert made[0].answered(HOST, 429, {"Retry-After": "2"})
            await asyncio.gather(*waiting)
            return told_at

    told_at = asyncio.run(crawl())
    assert sorted(record.workers(HOST)) == [1, 2]
    assert record.of(HOST)[0][0] - told_at >= 2 - 0.01


def test_a_long_rest_refuses_whoever_asks_anywhere(redis_url):
    async def crawl():
        async with gates(redis_url, 3) as made:
            made[0].answered(HOST, 429, {"Retry-After": "3600"})
            await asyncio.sleep(0.1)
            for gate in made[1:]:
                gate.refuse_resting(HOST)  # nobody here has heard of it
                waiting = [asyncio.ensure_future(turn(gate, HOST)) for _ in range(3)]
                for said in await asyncio.gather(*waiting, return_exceptions=True):
                    assert isinstance(said, HostRestingError)
                    assert said.status == 429
                    left = (said.until - utc_now()).total_seconds()
                    assert 3590 < left < 3601
                with pytest.raises(HostRestingError):
                    gate.refuse_resting(HOST)

    asyncio.run(crawl())


async def turn(gate, host):
    async with gate.turn(host):
        pass


def test_strikes_are_counted_together_and_forgiven_after_quiet(redis_url, look):
    async def refused(gate):
        async with gate.turn(HOST):
            pass
        gate.answered(HOST, 503, {})
        await asyncio.sleep(0.05)

    def age(seconds):
        """Let time pass for the host."""
        key = f"{PREFIX}h:{HOST}"
        for name in ("until", "struck", "sent"):
            if (moment := look.hget(key, name)) is not None:
                look.hset(key, name, str(float(moment) - seconds * 1e3))

    async def crawl():
        rests = []
        async with gates(redis_url, 3, 0.0, jitter=lambda: 0.0) as made:
            for gate in made:
                await refused(gate)
                rests.append((gate.rests_until(HOST) - utc_now()).total_seconds())
                age(3600)
        assert rests == pytest.approx([60, 120, 240], abs=0.5)
        assert int(look.hget(f"{PREFIX}h:{HOST}", "strikes")) == 3
        age(86_400 + 240)
        async with gates(redis_url, 1, 0.0, jitter=lambda: 0.0) as (gate,):
            await refused(gate)  # 3 strikes, halved by a day of quiet, and one more
            assert (gate.rests_until(HOST) - utc_now()).total_seconds() == pytest.approx(
                120, abs=0.5
            )
            age(3600)
        async with gates(redis_url, 1, 0.0) as (gate,):
            for _ in range(10):
                async with gate.turn(HOST):
                    pass
                gate.answered(HOST, 200, {})
        assert int(look.hget(f"{PREFIX}h:{HOST}", "strikes")) == 1

    asyncio.run(crawl())


def test_a_worker_that_was_killed_frees_its_host(redis_url, monkeypatch):
    monkeypatch.setattr(gate_rounds, "EXPIRY_S", 3.0)
    record = Record()

    async def crawl():
        async with gates(redis_url, 2) as (dying, living), dying.turn(HOST):
            await asyncio.sleep(0.5)
            dying.rounds._task.cancel()  # it beats no more, and gives nothing back
            died_at = time.monotonic()
            dying.rounds._closed = True
            await record.request(living, HOST)
        return record.of(HOST)[0][0] - died_at

    waited_s = asyncio.run(crawl())
    print(f"the host of a worker that died was free after {waited_s:.2f} s; expiry 3 s")
    assert 2 < waited_s < 4


@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGSTOP])
def test_a_process_that_is_killed_or_halted_in_its_turn(redis_url, monkeypatch, sent):
    """And if it was halted, it wakes up when the turn is another's, and does no harm."""
    monkeypatch.setattr(gate_rounds, "EXPIRY_S", 4.0)
    record = Record()
    job = {"hosts": [HOST], "requests": 2, "takes_s": 5.5, "gap_s": GAP_S, "expiry_s": 4.0}
    worker = start_worker(redis_url, **job)

    async def crawl():
        first = json.loads(await asyncio.to_thread(worker.stdout.readline))
        worker.send_signal(sent)
        stopped_at = time.monotonic()
        async with gates(redis_url, 1) as (gate,):
            await record.request(gate, HOST, takes_s=2)
            ours, _, _ = record.of(HOST)[0]
            print(f"{sent.name}: its host was free after {ours - stopped_at:.2f} s; expiry 4 s")
            assert 2 < ours - stopped_at < 4 + 1.5
            if sent == signal.SIGSTOP:
                worker.send_signal(signal.SIGCONT)
                woken_at = time.monotonic()
                await asyncio.gather(*(record.request(gate, HOST, takes_s=0.1) for _ in range(3)))
                await asyncio.to_thread(worker.wait)
                # what it was at as it was halted ended at once; its next came in its turn
                lines = [json.loads(line) for line in worker.stdout]
                assert lines[0]["number"] == first["number"]
                assert lines[0]["ended"] - woken_at < 1
                record.add(HOST, lines[1]["started"], lines[2]["ended"], worker.pid)

    try:
        asyncio.run(crawl())
    finally:
        worker.kill()
        worker.wait()
        worker.stdout.close()
    assert len(record.of(HOST)) == (5 if sent == signal.SIGSTOP else 1)
    assert record.most_at_once() == 1
    assert record.smallest_gap() >= GAP_S - GRAIN_S


def test_redis_restarted_in_mid_wait(tmp_path, caplog):
    """With its keys on disk or without: all pause, nobody goes ahead, all go on."""
    caplog.set_level(logging.INFO)
    server = RedisServer(tmp_path, "--appendonly", "yes")
    server.start()
    record = Record()

    async def crawl():
        async with gates(server.url, 3) as made:
            slow = asyncio.ensure_future(record.request(made[0], HOST, worker=0, takes_s=3.5))
            await asyncio.sleep(0.2)
            waiting = [
                asyncio.ensure_future(record.request(gate, HOST, worker=n))
                for n, gate in enumerate(made)
                for _ in range(3)
            ]
            await asyncio.sleep(0.3)
            await asyncio.to_thread(server.stop)
            await asyncio.sleep(1.0)
            assert not slow.done()
            await asyncio.to_thread(server.start)
            back_at = time.monotonic()
            await asyncio.gather(slow, *waiting)
            return back_at

    try:
        back_at = asyncio.run(crawl())
    finally:
        server.stop()
    assert len(record.of(HOST)) == 10
    assert record.most_at_once() == 1
    assert record.smallest_gap() >= GAP_S - GRAIN_S
    assert record.of(HOST)[1][0] >= back_at + SETTLE_S - 0.1
    lines = [one.getMessage() for one in caplog.records if one.name.endswith("gate_rounds")]
    assert Counter(line.partition(" ")[0] for line in lines) == {"no": 3, "Redis": 3}
    assert all("is away: " in line or line.startswith("Redis is back") for line in lines)


def test_flushdb_in_mid_crawl(redis_url, look):
    record = Record()

    async def crawl():
        async with gates(redis_url, 3) as made:
            made[0].set_crawl_delay("slow.example", 1.5)
            await record.request(made[0], "slow.example")
            holding = asyncio.ensure_future(record.request(made[0], HOST, takes_s=6))
            await asyncio.sleep(0.2)
            waiting = [
                asyncio.ensure_future(record.request(gate, host, worker=n))
                for n, gate in enumerate(made)
                for host in (HOST, "slow.example")
            ]
            await asyncio.sleep(0.1)
            look.flushdb()
            await asyncio.gather(holding, *waiting)

    asyncio.run(crawl())
    assert len(record.of(HOST)) == 4
    assert record.most_at_once() == 1
    assert min(record.gaps(HOST)) >= GAP_S - GRAIN_S
    assert min(record.gaps("slow.example")) >= 1.5 - GRAIN_S


def test_who_gives_up_leaves_nothing_behind(redis_url, look):
    record = Record()

    async def crawl():
        async with gates(redis_url, 3) as made:
            async with made[0].turn(HOST):
                waiting = [
                    asyncio.ensure_future(record.request(gate, HOST))
                    for gate in made
                    for _ in range(3)
                ]
                await asyncio.sleep(0.3)
                for one in waiting:
                    one.cancel()
                await asyncio.gather(*waiting, return_exceptions=True)
            await asyncio.sleep(0.1)
            assert left_behind(look) == []
            asked_at = time.monotonic()
            await asyncio.wait_for(record.request(made[1], HOST), 5)
            assert time.monotonic() - asked_at < 1
            cut_off = asyncio.ensure_future(record.request(made[2], HOST))
            look.client_pause(300)
            await asyncio.sleep(0.1)  # its question is on its way
            cut_off.cancel()
            await asyncio.gather(cut_off, return_exceptions=True)
            await record.request(made[1], HOST)

    asyncio.run(crawl())
    assert left_behind(look) == []
    assert len(record.of(HOST)) == 2


def test_all_of_ten_gates_get_their_turns(redis_url):
    record = Record()

    async def crawl():
        async with gates(redis_url, 10, 0.05) as made:

            async def work(n, gate):
                while time.monotonic() < ends_at:
                    await record.request(gate, HOST, worker=n, takes_s=0.01)

            ends_at = time.monotonic() + 6
            await asyncio.gather(*(work(n, gate) for n, gate in enumerate(made)))

    asyncio.run(crawl())
    turns = Counter(record.workers(HOST))
    print(f"turns of ten gates in 6 s at a gap of 0.05 s: {sorted(turns.values())}")
    assert record.most_at_once() == 1
    assert min(record.gaps(HOST)) >= 0.05 - GRAIN_S
    assert len(turns) == 10
    assert max(turns.values()) <= 2 * min(turns.values())


def test_more_than_one_at_a_time_where_that_is_set(redis_url):
    record = Record()

    async def crawl():
        async with gates(redis_url, 3, 0.1, limit=2) as made:
            await asyncio.gather(
                *(
                    record.request(gate, HOST, worker=n, takes_s=0.5)
                    for n, gate in enumerate(made)
                    for _ in range(3)
                )
            )

    asyncio.run(crawl())
    assert record.most_at_once() == 2
    assert min(record.gaps(HOST)) >= 0.1 - GRAIN_S


def test_without_a_gap_a_free_host_is_asked_at_once(redis_url):
    async def crawl():
        async with gates(redis_url, 2, 0.0) as made:
            began = time.monotonic()
            for _ in range(50):
                for gate in made:
                    async with gate.turn(HOST):
                        pass
            return (time.monotonic() - began) / 100

    turn_s = asyncio.run(crawl())
    print(f"a turn on an idle host: {turn_s * 1e3:.1f} ms")
    assert turn_s < 0.1


def test_a_gate_can_be_closed_at_any_moment(redis_url, look):
    """Also in mid-round: redis-py may swallow a cancel then."""

    async def crawl():
        for n in range(60):
            gate = SharedHostGate(connect_async(redis_url), 0.0)
            await turn(gate, HOST)
            await asyncio.sleep(n % 10 * 0.0004)
            async with asyncio.timeout(gate_rounds.CLOSE_S / 2):
                await gate.close()

    asyncio.run(crawl())
    assert left_behind(look) == []


def test_redis_is_away_as_the_crawl_ends(tmp_path):
    server = RedisServer(tmp_path)
    server.start()
    ends = []

    async def crawl():
        async with gates(server.url, 1, gives_up=lambda: bool(ends)) as (gate,):
            await turn(gate, "first.example")
            await asyncio.to_thread(server.stop)
            waiting = asyncio.ensure_future(turn(gate, HOST))
            await asyncio.sleep(1)
            assert not waiting.done()
            ends.append(True)
            with pytest.raises(GateAwayError, match="Redis is away, and the crawl ends"):
                await asyncio.wait_for(waiting, 5)

    asyncio.run(crawl())


def test_a_host_that_rests_is_not_asked_when_redis_was_not_told_yet(redis_url, look):
    """A turn granted while another request's refusal is on its way to Redis is given back."""
    record = Record()

    async def crawl():
        async with gates(redis_url, 1, 0.0, limit=2) as (gate,):
            look.client_pause(300)
            waiting = asyncio.ensure_future(record.request(gate, HOST))
            await asyncio.sleep(0.1)
            told_at = time.monotonic()
            gate.rest(HOST, utc_now() + timedelta(seconds=0.7))
            await waiting
            return told_at

    told_at = asyncio.run(crawl())
    assert record.of(HOST)[0][0] - told_at >= 0.7 - GRAIN_S


def test_an_allowance_that_ten_workers_share(redis_url):
    taken: list[float] = []

    async def work(bucket):
        while time.monotonic() < ends_at:
            if wait_s := await bucket.take("x", capacity=5, per_s=20):
                await asyncio.sleep(wait_s)
            else:
                taken.append(time.monotonic())

    async def crawl():
        clients = [connect_async(redis_url) for _ in range(10)]
        await asyncio.gather(*(work(TokenBucket(client)) for client in clients))
        for client in clients:
            await client.aclose()

    began = time.monotonic()
    ends_at = began + 2
    asyncio.run(crawl())
    print(f"5 at once and 20 a second: {len(taken)} in 2 s")
    assert 38 <= len(taken) <= 46
    assert sum(at - began < 0.1 for at in taken) <= 8


def test_an_allowance_has_names_and_counts(redis_url):
    async def crawl():
        client = connect_async(redis_url)
        bucket = TokenBucket(client)
        assert await bucket.take("a", capacity=10, per_s=1, count=10) == 0
        assert await bucket.take("b", capacity=10, per_s=1, count=8) == 0
        assert await bucket.take("a", capacity=10, per_s=1, count=3) == pytest.approx(3, abs=0.1)
        assert await bucket.take("b", capacity=10, per_s=1, count=2) == 0
        for wrong in ({"count": 11}, {"count": 0}, {"per_s": 0}):
            with pytest.raises(ValueError):
                await bucket.take("a", **{"capacity": 10, "per_s": 1, **wrong})
        await client.aclose()

    asyncio.run(crawl())
