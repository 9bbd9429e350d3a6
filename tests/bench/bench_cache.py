"""What a look-up costs in memory and in the shared level, and whether bounds hold.

The soak puts a million entries through both levels in a process of its own,
beside which nothing is measured: resident memory and the file's size at their
highest, and what is left in the end.
"""

from __future__ import annotations

import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from run import ROOT, Row, memory_mb
from tgecrawler.cache.entry import Entry
from tgecrawler.cache.memory import MemoryLevel
from tgecrawler.cache.redis import RedisLevel
from tgecrawler.cache.sqlite import SqliteLevel
from tgecrawler.cache.tiered import TieredCache

sys.path.append(str(ROOT / "tests" / "services"))
from redis_server import RedisServer

MB = 1_000_000
MOST_P99_US = 1_000.0  # of a look-up in memory
MOST_MEMORY_RATIO = 1.1  # resident memory to what the level counts
NOISE = random.Random(1).randbytes(2_000)
LOOKUPS = 200_000
HELD = 4_000  # entries of PAGE bytes: what is hot in a crawl of some hundred sources
PAGE = 12_000  # bytes of an article as it crosses the wire

SOAKED = 1_000_000
SOAK_MEMORY_MB, SOAK_FILE_MB = 50, 200
MOST_OVER = 1.1  # a file above its bound by the log and the pages of the last writes
BASE_MB = 12  # what codec, SQLite and its page caches take beside the entries


def bench_lookup() -> list[Row]:
    rng = random.Random(1)
    names = [f"{number:040x}" for number in range(HELD)]
    asked = [rng.choice(names) for _ in range(LOOKUPS)]
    with tempfile.TemporaryDirectory() as folder:
        level = SqliteLevel(Path(folder) / "cache.sqlite", 1_000 * MB)
        cache = TieredCache(level, memory_bytes=100 * MB)
        for name in names:
            cache.set("article", name, rng.randbytes(PAGE), meta=b"[]" * 200)
        memory = _taken_us(lambda name: cache.get("article", name), asked)
        cold = TieredCache(level, memory_bytes=0)
        shared = _taken_us(lambda name: cold.get("article", name), asked[:20_000])
        missed = _taken_us(lambda name: cache.get("article", f"-{name}"), asked[:20_000])
        touched = _taken_us(lambda name: cache.touch("article", name), asked[:2_000])
        stored = _taken_us(lambda name: cache.set("article", name, bytes(PAGE)), asked[:2_000])
        level.close()
    note = f"{HELD:,} entries of {PAGE:,} bytes"
    return [
        Row("look-up in memory, p50", _percentile(memory, 50), "us"),
        Row("look-up in memory, p99", _percentile(memory, 99), "us", MOST_P99_US, note),
        Row("look-up in the file, p50", _percentile(shared, 50), "us"),
        Row("look-up in the file, p99", _percentile(shared, 99), "us"),
        Row("look-up of what is nowhere, p50", _percentile(missed, 50), "us"),
        Row("touch (304), p50", _percentile(touched, 50), "us"),
        Row("store, p50", _percentile(stored, 50), "us"),
    ]


def bench_redis() -> list[Row]:
    """Look up in a Redis server on loopback, and compare what it takes with what is counted."""
    if RedisServer.binary() is None:
        return []
    with tempfile.TemporaryDirectory() as folder:
        server = RedisServer(Path(folder))
        server.start()
        try:
            return _redis_rows(RedisLevel(server.url, 1_000 * MB))
        finally:
            server.stop()


def _redis_rows(level: RedisLevel) -> list[Row]:
    rng = random.Random(1)
    names = [f"{number:040x}" for number in range(20_000)]
    before = level.client.info("memory")["used_memory"]
    cache = TieredCache(level, memory_bytes=0)
    for at, name in enumerate(names):
        cache.set("article", name, rng.randbytes(300), tags=(f"source-{at % 50}",))
    ratio = (level.client.info("memory")["used_memory"] - before) / level.used_bytes()
    taken = _taken_us(lambda name: cache.get("article", name), names[:5_000])
    cache.close()
    return [
        Row("look-up in Redis, p50", _percentile(taken, 50), "us"),
        Row("look-up in Redis, p99", _percentile(taken, 99), "us"),
        Row(
            "memory of Redis to counted bytes, values of 300 bytes",
            ratio,
            "times",
            MOST_MEMORY_RATIO,
        ),
    ]


def bench_memory() -> list[Row]:
    """Compare what the level counts with what the process takes, for small and usual entries."""
    rows = []
    for size in (100, PAGE):
        code = (
            "import sys; sys.path[:0] = ['.', 'tests/bench']\n"
            "from bench_cache import filled\n"
            "# measured\n"
            f"level = filled({size})\n"
        )
        ratio = memory_mb(code) * 2**20 / filled(size).used_bytes
        name = f"resident memory to counted bytes, values of {size:,} bytes"
        rows.append(Row(name, ratio, "times", MOST_MEMORY_RATIO))
    return rows


def filled(size: int) -> MemoryLevel:
    """Return a level that is full to 50 MB, with everything an entry of the crawl has."""
    level, number, rng = MemoryLevel(50 * MB), 0, random.Random(1)
    while not level.evictions:
        now_s = 1_800_000_000.0 + number
        key = ("article", f"{number:040x}")
        tags = (f"source-{number % 50}",)
        entry = Entry(rng.randbytes(size), now_s, now_s + 1, now_s + 2, rng.randbytes(200), tags)
        level.put(key, entry)
        number += 1
    return level


SOAK = """
import json, pathlib, resource, sys, time
sys.path[:0] = ['.', 'tests/bench']
from bench_cache import SOAKED, soaked_cache, soaked_value

def resident():
    return int(pathlib.Path('/proc/self/statm').read_text().split()[1]) * resource.getpagesize()

cache, clock = soaked_cache(sys.argv[1])
file = pathlib.Path(sys.argv[1])
low, most, most_file, last = resident(), 0, 0, 0.0
for number in range(SOAKED):
    clock.now_s += 0.01
    started = time.process_time()
    cache.set('article', f'{number:040x}', soaked_value(number), tags=(f'source-{number % 50}',))
    cache.get('article', f'{0:040x}')  # one that is always in use
    last += time.process_time() - started if number >= SOAKED * 3 // 4 else 0.0
    if number % 1_000 == 0:
        wal = file.with_name(file.name + '-wal')
        most = max(most, resident())
        most_file = max(most_file, file.stat().st_size + wal.stat().st_size)
cache.flush()
level = cache._levels.shared.level
kept = sorted(key for _, key in level.hottest(SOAKED))
numbers = [int(key, 16) for key in kept]
print(json.dumps({
    'memory': most - low, 'file': most_file, 'kept': len(numbers), 'first': numbers[0],
    'gaps': sum(b - a != 1 for a, b in zip(numbers[1:], numbers[2:])),
    'newest': numbers[-1], 'last_us': last / (SOAKED / 4) * 1e6,
    'failures': cache.stats()['shared_failures'],
    'value': cache.get('article', f'{SOAKED - 1:040x}') == soaked_value(SOAKED - 1),
}))
"""


class Clock:
    """Tells the time that the soak has set: a hundred entries a second."""

    now_s = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now_s


def soaked_cache(path: str) -> tuple[TieredCache, Clock]:
    clock = Clock()
    level = SqliteLevel(Path(path), SOAK_FILE_MB * MB)
    return TieredCache(level, memory_bytes=SOAK_MEMORY_MB * MB, clock=clock), clock


def soaked_value(number: int) -> bytes:
    """Return what nobody can compress, 200 to 1,000 bytes of it, different for each number."""
    start, size = number % 997, 192 + number % 801
    return number.to_bytes(8) + NOISE[start : start + size]


def soak_cache() -> list[Row]:
    """Put a million keys through both levels.

    What is left must be the one entry that was always in use, and of the others the
    newest without a gap: that is least recently used first, whatever was kept where.
    """
    shared_memory = Path("/dev/shm")  # 1e6 commits would be a test of the disk
    with tempfile.TemporaryDirectory(
        dir=shared_memory if shared_memory.is_dir() else None
    ) as folder:
        done = subprocess.run(
            [sys.executable, "-c", SOAK, str(Path(folder) / "cache.sqlite")],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
    seen = json.loads(done.stdout)
    in_order = seen["first"] == 0 and seen["gaps"] == 0 and seen["newest"] == SOAKED - 1
    sound = in_order and seen["value"] and seen["failures"] == 0
    return [
        Row(
            f"cache, {SOAKED:,} keys: memory at most",
            seen["memory"] / MB,
            "MB",
            SOAK_MEMORY_MB * MOST_MEMORY_RATIO + BASE_MB,
            f"bound {SOAK_MEMORY_MB} MB",
        ),
        Row(
            "file at most, log included",
            seen["file"] / MB,
            "MB",
            SOAK_FILE_MB * MOST_OVER,
            f"bound {SOAK_FILE_MB} MB, {seen['kept']:,} kept",
        ),
        Row("entries lost out of order, or unreadable", float(not sound), "", 0.0),
        Row("store and look-up in the last quarter, CPU", seen["last_us"], "us"),
    ]


def _taken_us(work: Callable[[str], object], names: list[str]) -> list[float]:
    taken = []
    for name in names:
        started = time.perf_counter_ns()
        work(name)
        taken.append((time.perf_counter_ns() - started) / 1_000)
    return taken


def _percentile(values: list[float], percent: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]
