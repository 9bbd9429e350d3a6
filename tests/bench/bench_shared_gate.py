"""What a turn through the shared gate costs, by how far away Redis is."""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from run import HERE, ROOT, Row
from tgecrawler.redis_link import connect_async
from tgecrawler.scheduling.host_gate import HostGate
from tgecrawler.scheduling.shared_gate import SharedHostGate

sys.path.append(str(ROOT / "tests" / "services"))

from redis_server import RedisServer

DISTANCES_MS = (0, 1, 5)  # round trip
ROUNDS = 5
ALONE = 100  # turns, one after another and apart
TURNS = 2_000  # by
AT_ONCE = 32  # requests, each of which takes
TAKES_S = 0.05


@dataclass(frozen=True, slots=True)
class Cost:
    """What turns cost.

    Attributes:
        alone_ms: from asking to having a turn, when nothing else is going on.
        cpu_us: of this process for a turn, when `AT_ONCE` requests run.
        rounds: to Redis for a turn, then.
        slower_ratio: how much longer those requests take than without a gate.
    """

    alone_ms: float
    cpu_us: float
    rounds: float
    slower_ratio: float


def bench_turns() -> list[Row]:
    """Free hosts, as most are: a gate of the process, and shared ones at distances."""
    if RedisServer.binary() is None:
        return []
    found: dict[str, list[Cost]] = {}
    with tempfile.TemporaryDirectory() as folder, _serving(Path(folder)) as ports:
        for _ in range(ROUNDS):
            found.setdefault("local", []).append(asyncio.run(_cost(HostGate(0.0))))
            for distance_ms, port in ports.items():
                name = f"shared, {distance_ms} ms away"
                found.setdefault(name, []).append(asyncio.run(_shared_cost(port)))
    limits = {0: (20, 1000), 1: (20, 1000), 5: (40, 1000)}
    rows = []
    for name, costs in found.items():
        alone_ms, cpu_us = limits[int(name.split()[1])] if name != "local" else (1, 200)
        median = {
            field: statistics.median(getattr(cost, field) for cost in costs)
            for field in Cost.__slots__
        }
        rows += [
            Row(f"gate {name}: wait for a turn", median["alone_ms"], "ms", alone_ms),
            Row(f"gate {name}: CPU of a turn", median["cpu_us"], "µs", cpu_us,
                f"{AT_ONCE} at once, {median['rounds']:.2f} rounds a turn"),
            Row(f"gate {name}: time of requests", median["slower_ratio"], "x", None,
                f"{AT_ONCE} at once of {TAKES_S * 1e3:.0f} ms each; without a gate 1"),
        ]  # fmt: skip
    return rows


async def _shared_cost(port: int) -> Cost:
    gate = SharedHostGate(connect_async(f"redis://127.0.0.1:{port}"), 0.0)
    try:
        return await _cost(gate)
    finally:
        await gate.close()


async def _cost(gate: HostGate) -> Cost:
    await _take(gate, "first.example", 0.0)
    alone_s = []
    for n in range(ALONE):
        await asyncio.sleep(0.01)
        asked_s = time.perf_counter()
        async with gate.turn(f"alone{n}.example"):
            alone_s.append(time.perf_counter() - asked_s)
    rounds = gate.rounds.rounds if isinstance(gate, SharedHostGate) else 0
    began_s, cpu_s = time.perf_counter(), time.process_time()
    numbers = iter(range(TURNS))

    async def work() -> None:
        for n in numbers:
            await _take(gate, f"h{n % 200}.example", TAKES_S)

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    took_s = time.perf_counter() - began_s
    rounds = gate.rounds.rounds - rounds if isinstance(gate, SharedHostGate) else 0
    return Cost(
        alone_ms=statistics.median(alone_s) * 1e3,
        cpu_us=(time.process_time() - cpu_s) / TURNS * 1e6,
        rounds=rounds / TURNS,
        slower_ratio=took_s / (TURNS / AT_ONCE * TAKES_S),
    )


async def _take(gate: HostGate, host: str, takes_s: float) -> None:
    async with gate.turn(host) as turn:
        turn.sent()
        await asyncio.sleep(takes_s)


@contextmanager
def _serving(folder: Path) -> Iterator[dict[int, int]]:
    """Run a Redis; give a port of it for each distance."""
    server = RedisServer(folder)
    server.start()
    proxies = {
        distance_ms: subprocess.Popen(
            [sys.executable, str(HERE / "delaying_proxy.py"), str(server.port), str(distance_ms)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for distance_ms in DISTANCES_MS
        if distance_ms
    }
    try:
        yield {0: server.port} | {
            distance_ms: int(proxy.stdout.readline())
            for distance_ms, proxy in proxies.items()
            if proxy.stdout is not None
        }
    finally:
        for proxy in proxies.values():
            proxy.terminate()
            proxy.wait(timeout=10)
            if proxy.stdout is not None:
                proxy.stdout.close()
        server.stop()
