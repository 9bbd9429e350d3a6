"""Pages per second with a leased queue, with scrapy-redis, and with the queue in memory.

A generic spider goes through a tree of small pages on a server of its own process; each
links to three that are known already, so that scrapy-redis makes six round trips a page.
The ways to Redis are of different lengths. Crawls run in turns, and the medians of each are
compared: on a busy machine ratios hold, not pages per second.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from queue_bench import begin_crawl, process, redis_server, told_by
from redis import Redis

from run import Row

PAGES = 2_000
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
DELAYS_MS = (0, 1, 5)  # added to each round trip
LEAST_OVER_PLAIN = {0: 1.3, 1: 1.7, 5: 4.0}
LEAST_OF_MEMORY = 0.9
LEAST_OF_TWO = 1.6
MOST_CPU_OF_TWO = 1.25  # of one worker's, for a page: where two share their cores with the server

Told = list[dict[str, Any]]


def bench_queue_throughput() -> list[Row]:
    with ExitStack() as stack:
        redis_port = stack.enter_context(redis_server())
        base = f"http://127.0.0.1:{stack.enter_context(process('tree_server.py', PAGES))}"
        ports = {
            delay_ms: stack.enter_context(process("delaying_proxy.py", redis_port, delay_ms))
            if delay_ms
            else redis_port
            for delay_ms in DELAYS_MS
        }
        flush = Redis(port=redis_port).flushall
        runs = {
            (which, delay_ms): lambda which=which, port=port: crawl(which, base, port)
            for delay_ms, port in ports.items()
            for which in ("memory", "plain", "leased")
            if which != "memory" or delay_ms == 0
        }
        runs |= {
            (which, "two"): lambda which=which: crawl(which, base, redis_port, workers=2)
            for which in ("plain", "leased")
        }
        taken = in_turns(runs, flush)
        ways = [way_row(delay_ms, port) for delay_ms, port in ports.items()]
    return [*ways, *speed_rows(taken), *ratio_rows(taken), *two_rows(taken)]


def way_row(delay_ms: int, port: int) -> Row:
    """Return what a round trip to Redis takes, with the proxy's own part in it."""
    client = Redis(port=port)
    taken = []
    for _ in range(100):
        began_s = time.perf_counter()
        client.ping()
        taken.append(time.perf_counter() - began_s)
    client.close()
    return Row(f"queue: round trip to Redis, +{delay_ms} ms", 1000 * statistics.median(taken), "ms")


def in_turns(
    runs: dict[Any, Callable[[], Told]], flush: Callable[[], Any]
) -> dict[Any, list[Told]]:
    taken: dict[Any, list[Told]] = {name: [] for name in runs}
    for _ in range(ROUNDS):
        for name, run in runs.items():
            flush()
            taken[name].append(run())
    return taken


def crawl(which: str, base: str, redis_port: int, workers: int = 1) -> Told:
    """Return what each worker tells of a crawl."""
    begun = [begin_crawl(which, base, redis_port) for _ in range(workers)]
    told = [told_by(one) for one in begun]
    pages = sum(one["pages"] for one in told)
    # a second worker of scrapy-redis that starts while the queue is empty ends at once
    assert pages == PAGES, (which, told)
    return [one for one in told if one["pages"]]


def pages_per_s(told: Told) -> float:
    first_at = min(one["first_at"] for one in told)
    return sum(one["pages"] for one in told) / (max(one["last_at"] for one in told) - first_at)


def cpu_ms(told: Told) -> float:
    return 1000 * sum(one["cpu_s"] for one in told) / sum(one["pages"] for one in told)


def median(runs: list[Told], figure: Callable[[Told], float]) -> float:
    return statistics.median(figure(told) for told in runs)


def speed_rows(taken: dict[Any, list[Told]]) -> list[Row]:
    load = f"load {os.getloadavg()[1]:.1f} over 5 min"
    return [
        Row(
            f"queue: {which}, {f'+{where} ms' if where != 'two' else 'two workers'}",
            median(runs, pages_per_s),
            "pages/s",
            note=f"{median(runs, cpu_ms):.2f} ms of CPU a page; {load}",
        )
        for (which, where), runs in taken.items()
    ]


def ratio_rows(taken: dict[Any, list[Told]]) -> list[Row]:
    """Return the seconds of the one in those of the other, which limits are from above."""
    rows = []
    for delay_ms, least in LEAST_OVER_PLAIN.items():
        ratio = ratio_of(taken["leased", delay_ms], taken["plain", delay_ms])
        rows.append(
            Row(
                f"queue: time of leased over scrapy-redis, +{delay_ms} ms",
                *(1 / ratio, "", 1 / least, f"{ratio:.2f} times as fast; wanted {least:g}"),
            )
        )
    share = ratio_of(taken["leased", 0], taken["memory", 0])
    note = f"{share:.0%} of its speed; wanted {LEAST_OF_MEMORY:.0%}"
    rows.append(Row("queue: time of leased over memory", 1 / share, "", 1 / LEAST_OF_MEMORY, note))
    return rows


def ratio_of(ours: list[Told], theirs: list[Told]) -> float:
    """Return how many times as fast the first is."""
    return median(ours, pages_per_s) / median(theirs, pages_per_s)


def two_rows(taken: dict[Any, list[Told]]) -> list[Row]:
    """Return what a second worker brings; with two cores the server has none of its own."""
    ratio = ratio_of(taken["leased", "two"], taken["leased", 0])
    cpu = median(taken["leased", "two"], cpu_ms) / median(taken["leased", 0], cpu_ms)
    cores = len(os.sched_getaffinity(0))
    limit = 1 / LEAST_OF_TWO if cores > 2 else None
    shares = sorted(min(one["pages"] for one in told) for told in taken["leased", "two"])
    return [
        Row(
            "queue: time of two workers over one",
            *(1 / ratio, "", limit, f"{ratio:.2f} times as fast, on {cores} cores"),
        ),
        Row(
            "queue: CPU a page, two workers over one",
            *(cpu, "", MOST_CPU_OF_TWO, f"the lesser had {shares[len(shares) // 2]} pages"),
        ),
    ]
