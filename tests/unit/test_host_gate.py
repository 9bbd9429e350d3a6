"""The gate under a clock that jumps: order, gaps, rests, cancelled requests, memory, other runs."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from virtual_time import VirtualClock

from tgecrawler.scheduling import host_gate
from tgecrawler.scheduling.host_gate import LANES_KEPT, HostGate, gate_of_process, host_key
from tgecrawler.scheduling.host_lane import utc_now
from tgecrawler.scheduling.resting import HostRestingError

HOST = "news.example"


class Log:
    """Requests that take a while, and when each ran."""

    def __init__(self, gate: HostGate) -> None:
        self.gate = gate
        self.started: list[tuple[str, str, float]] = []
        self.running: dict[str, int] = {}
        self.most_at_once = 0
        self.began_s = time.monotonic()

    async def request(self, name: str, host: str = HOST, takes_s: float = 0.1) -> str:
        try:
            async with self.gate.turn(host):
                self.started.append((host, name, round(time.monotonic() - self.began_s, 3)))
                self.running[host] = self.running.get(host, 0) + 1
                self.most_at_once = max(self.most_at_once, self.running[host])
                await asyncio.sleep(takes_s)
                self.running[host] -= 1
        except HostRestingError as error:
            return f"refused until {error.until:%H:%M:%S}"
        return "done"

    @property
    def times(self) -> list[float]:
        return [at for _, _, at in self.started]

    def gaps(self) -> list[float]:
        latest: dict[str, float] = {}
        found = []
        for host, _, at in self.started:
            if host in latest:
                found.append(at - latest[host])
            latest[host] = at
        return found


def test_first_come_first_served_one_at_a_time(clock: VirtualClock) -> None:
    log = Log(HostGate(1.0))

    async def crawl() -> None:
        await asyncio.gather(*(log.request(str(n)) for n in range(5)))

    clock.run(crawl())
    assert [name for _, name, _ in log.started] == ["0", "1", "2", "3", "4"]
    assert log.times == pytest.approx([0, 1, 2, 3, 4], abs=0.01)
    assert min(log.gaps()) >= 1
    assert (log.most_at_once, log.gate.violations) == (1, 0)
    assert log.gate.waits_s == pytest.approx(0 + 1 + 2 + 3 + 4, abs=0.05)


def test_a_slow_answer_holds_the_next_request_back(clock: VirtualClock) -> None:
    log = Log(HostGate(1.0))

    async def crawl() -> None:
        await asyncio.gather(log.request("slow", takes_s=7.0), log.request("next"))

    clock.run(crawl())
    assert log.times == [0, 7]


def test_hosts_do_not_wait_for_one_another(clock: VirtualClock) -> None:
    log = Log(HostGate(1.0))

    async def crawl() -> None:
        await asyncio.gather(*(log.request("x", f"h{n}.example") for n in range(50)))

    clock.run(crawl())
    assert log.times == [0] * 50
    assert log.gate.waits_s == 0


def test_more_than_one_at_a_time_where_that_is_set(clock: VirtualClock) -> None:
    log = Log(HostGate(1.0, limit=3))

    async def crawl() -> None:
        await asyncio.gather(*(log.request(str(n), takes_s=10) for n in range(6)))

    clock.run(crawl())
    assert log.times == pytest.approx([0, 1, 2, 10, 11, 12], abs=0.01)
    assert (log.most_at_once, log.gate.violations) == (3, 0)
    assert min(log.gaps()) >= 1


def test_a_crawl_delay_holds_for_those_who_wait_already(clock: VirtualClock) -> None:
    log = Log(HostGate(1.0))

    async def crawl() -> None:
        waiting = [asyncio.ensure_future(log.request(str(n))) for n in range(3)]
        await asyncio.sleep(0.5)
        log.gate.set_crawl_delay(HOST, 10.0)
        await asyncio.gather(*waiting)
        log.gate.set_crawl_delay(HOST, 0.0)
        await log.request("last")

    clock.run(crawl())
    assert log.times == pytest.approx([0, 10, 20, 21], abs=0.01)


def test_the_gap_counts_from_when_the_host_heard_us(clock: VirtualClock) -> None:
    gate = HostGate(1.0)
    began_s = time.monotonic()

    async def crawl() -> float:
        async with gate.turn(HOST) as turn:
            await asyncio.sleep(0.4)  # the connection is made
            turn.sent()
        async with gate.turn(HOST):
            return time.monotonic() - began_s

    assert clock.run(crawl()) == pytest.approx(1.4, abs=0.01)
    assert gate.violations == 0


def test_a_short_rest_is_waited_for_and_a_long_one_refused(
    clock: VirtualClock,
) -> None:
    log = Log(HostGate(0.0, patience_s=20.0))

    async def crawl() -> list[str]:
        log.gate.answered(HOST, 429, {"Retry-After": "15"})
        said = [await log.request("short")]
        log.gate.answered(HOST, 503, {"retry-after": "21"})
        said.append(await log.request("long"))
        said.append(await log.request("other", "other.example"))
        await asyncio.sleep(2)
        said.append(await log.request("again"))
        return said

    starts_at = datetime.fromtimestamp(clock.time(), UTC)
    said = clock.run(crawl())
    ends_at = starts_at + timedelta(seconds=15 + 0.1 + 21)
    assert said == ["done", f"refused until {ends_at:%H:%M:%S}", "done", "done"]
    assert log.times[0] == pytest.approx(15, abs=0.01)
    assert log.times[-1] >= 36.1
    assert log.gate.violations == 0


def test_those_who_wait_are_refused_when_a_rest_begins(clock: VirtualClock) -> None:
    log = Log(HostGate(5.0))

    async def crawl() -> list[str]:
        waiting = [asyncio.ensure_future(log.request(str(n))) for n in range(4)]
        await asyncio.sleep(0.01)
        log.gate.answered(HOST, 429, {})
        return await asyncio.gather(*waiting)

    said = clock.run(crawl())
    assert [one.partition(" ")[0] for one in said] == ["done", "refused", "refused", "refused"]
    assert log.gate.violations == 0


def test_a_refusal_says_who_why_and_until_when(clock: VirtualClock) -> None:
    gate = HostGate(patience_s=1)
    gate.answered(HOST, 429, {"Retry-After": "Fri, 15 Jan 2027 12:30:00 GMT"})
    with pytest.raises(HostRestingError) as refused:
        gate.refuse_resting(HOST)
    assert str(refused.value) == (
        "news.example asks to be left alone until 2027-01-15 12:30 UTC (HTTP 429)"
    )
    assert gate.rests_until(HOST) == refused.value.until
    assert gate.rests_until("other.example") is None


def test_a_cancelled_request_leaves_no_trace(clock: VirtualClock) -> None:
    log = Log(HostGate(1.0))

    async def crawl() -> None:
        first, second, third, fourth = (
            asyncio.ensure_future(log.request(str(n), takes_s=5)) for n in range(4)
        )
        await asyncio.sleep(0.5)
        second.cancel()  # in the queue
        await asyncio.sleep(0.5)
        assert len(log.gate._lane(HOST)._queue) == 2
        first.cancel()  # while it runs
        await third
        fourth_alone = await asyncio.wait_for(fourth, 30)
        assert fourth_alone == "done"

    clock.run(crawl())
    assert [name for _, name, _ in log.started] == ["0", "2", "3"]
    assert log.times == pytest.approx([0, 1, 6], abs=0.01)


def test_a_turn_that_came_as_it_was_cancelled_goes_on(clock: VirtualClock) -> None:
    log = Log(HostGate(0.0))

    async def crawl() -> None:
        first = asyncio.ensure_future(log.request("first", takes_s=1))
        second = asyncio.ensure_future(log.request("second"))
        third = asyncio.ensure_future(log.request("third"))
        leave = log.gate._lane(HOST).leave

        def leave_and_cancel() -> None:
            leave()  # hands the turn to the second, which has not woken up yet
            second.cancel()

        await asyncio.sleep(0)
        log.gate._lane(HOST).leave = leave_and_cancel  # type: ignore[method-assign]
        await first
        assert await third == "done"

    clock.run(crawl())
    assert [name for _, name, _ in log.started] == ["first", "third"]


def test_an_answer_told_as_the_turn_ends_holds_the_next_back(clock: VirtualClock) -> None:
    log = Log(HostGate(0.0))

    async def refused() -> None:
        async with log.gate.turn(HOST):
            await asyncio.sleep(1)
        log.gate.answered(HOST, 429, {"Retry-After": "10"})  # the next one is on its way already

    async def crawl() -> None:
        await asyncio.gather(refused(), log.request("second"), log.request("third"))

    clock.run(crawl())
    assert log.times == pytest.approx([11, 11.1], abs=0.01)
    assert [name for _, name, _ in log.started] == ["second", "third"]
    assert log.gate.violations == 0


@pytest.mark.parametrize("seed", range(20))
def test_any_mixture_of_cancels_rests_and_delays(clock: VirtualClock, seed: int) -> None:
    chance = Random(seed)
    log = Log(HostGate(1.0, jitter=chance.random))
    hosts = [f"h{n}.example" for n in range(5)]

    async def one(n: int) -> None:
        await asyncio.sleep(chance.uniform(0, 600))
        host = chance.choice(hosts)
        request = asyncio.ensure_future(log.request(str(n), host, chance.uniform(0, 3)))
        if chance.random() < 0.2:
            await asyncio.sleep(chance.uniform(0, 5))
            request.cancel()
        await asyncio.gather(request, return_exceptions=True)
        if chance.random() < 0.05:
            log.gate.answered(host, 429, {"Retry-After": str(chance.randrange(60))})
        if chance.random() < 0.05:
            log.gate.set_crawl_delay(host, chance.uniform(0, 4))

    async def crawl() -> None:
        await asyncio.gather(*(one(n) for n in range(400)))
        for host in hosts:  # nothing hangs, and no turn was lost
            await asyncio.sleep(90_000)
            assert await log.request("end", host) == "done"

    clock.run(crawl())
    assert log.gate.violations == 0
    assert min(log.gaps()) >= 0.999
    assert len(log.started) > 100


class Shelf:
    """A store of rests in memory, as the cache offers one."""

    def __init__(self) -> None:
        self.kept: dict[str, tuple[bytes, float]] = {}

    def load(self, host: str) -> bytes | None:
        content, ends_s = self.kept.get(host, (None, 0.0))
        return content if time.time() < ends_s else None

    def save(self, host: str, content: bytes, ttl_s: float) -> None:
        self.kept[host] = (content, time.time() + ttl_s)


def test_the_next_run_honours_a_rest(clock: VirtualClock) -> None:
    shelf = Shelf()
    first = HostGate(store=shelf)
    first.answered(HOST, 429, {"Retry-After": "3600"})
    second = HostGate(store=shelf)
    assert second.rests_until(HOST) == first.rests_until(HOST)
    with pytest.raises(HostRestingError):
        second.refuse_resting(HOST)
    clock.passed_s += 3601
    third = HostGate(store=shelf, jitter=lambda: 0.0)
    third.refuse_resting(HOST)
    third.answered(HOST, 429, {})
    until = third.rests_until(HOST)
    assert until is not None
    assert (until - utc_now()).total_seconds() == 120  # the second strike


def test_a_store_can_be_given_later(clock: VirtualClock) -> None:
    shelf = Shelf()
    HostGate(store=shelf).answered(HOST, 429, {})
    gate = HostGate()
    assert gate.rests_until(HOST) is None
    gate.keep_rests_in(shelf)
    assert gate.rests_until(HOST) is not None


def test_a_neighbours_rest_is_heard_of(clock: VirtualClock) -> None:
    shelf = Shelf()
    ours, theirs = HostGate(store=shelf), HostGate(store=shelf)
    assert ours.rests_until(HOST) is None
    theirs.answered(HOST, 503, {})
    clock.passed_s += 11
    assert ours.rests_until(HOST) == theirs.rests_until(HOST)


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{}", b"[]", b"null", b"\xff", b'{"until": "x", "struck": 1, "strikes": 1}',
        b'{"until": 1e300, "struck": null, "strikes": 1}',
        json.dumps({"until": None, "struck": None, "strikes": "many"}).encode(),
    ],
)  # fmt: skip
def test_a_broken_record_is_no_record(clock: VirtualClock, content: bytes) -> None:
    shelf = Shelf()
    shelf.save(HOST, content, 1000)
    assert HostGate(store=shelf).rests_until(HOST) is None


def test_memory_is_bounded_and_rests_are_not_forgotten(clock: VirtualClock) -> None:
    gate = HostGate(1.0)

    async def crawl() -> None:
        for n in range(20):
            gate.answered(f"rests{n}.example", 429, {})
        for n in range(20_000):
            async with gate.turn(f"h{n}.example"):
                await asyncio.sleep(0.01)

    clock.run(crawl())
    assert len(gate) <= LANES_KEPT + 20
    assert all(gate._lanes[f"rests{n}.example"].state.strikes == 1 for n in range(20))


def test_one_gate_for_the_process_and_the_politer_settings_win(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(host_gate, "_process_gate", None)
    first = gate_of_process(0.5, 2)
    lane = first._lane(HOST)
    assert gate_of_process(2.0, 4) is first
    assert gate_of_process(0.0, 1) is first
    assert (first.gap_s, first.limit) == (2.0, 1)
    assert (lane.state.gap_s, lane.limit) == (2.0, 1)


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("https://News.Example/a", "news.example"), ("http://news.example:8080/", "news.example"),
        ("https://news.example./", "news.example"), ("http://u:p@news.example/", "news.example"),
        ("http://127.0.0.1:81/", "127.0.0.1"), ("http://[2001:DB8:0:0::1]/", "2001:db8::1"),
        ("data:,x", ""),
    ],
)  # fmt: skip
def test_a_host_is_one_whatever_its_port(url: str, key: str) -> None:
    assert host_key(url) == key


@pytest.mark.parametrize("spelt", ["NEWS.example", "news.example."])
def test_one_lane_for_all_spellings(clock: VirtualClock, spelt: str) -> None:
    gate = HostGate()
    gate.answered(spelt, 429, {})
    assert gate.rests_until(HOST) is not None


def test_a_broken_promise_is_counted(clock: VirtualClock) -> None:
    """The self-check sees a start that the queue should not have let happen."""
    gate = HostGate(10.0)

    async def crawl() -> None:
        async with gate.turn(HOST):
            pass
        gate._lane(HOST).state.started_tick_s = None  # the queue forgets the last start
        async with gate.turn(HOST):
            pass

    clock.run(crawl())
    assert gate.violations == 1


def test_one_too_many_is_counted(clock: VirtualClock) -> None:
    lane = HostGate(0.0)._lane(HOST)
    lane.running = 2  # the queue lets two in where one may run
    assert lane._start().violations == 1
