"""Pages that are lost when one of two workers is killed with -9, with leases and without.

Runs the crawls of ``tests/services/test_leased_crawl.py``, which proves that leases lose
none, and tells how many scrapy-redis does.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from queue_bench import process, redis_server

from run import HERE, ROOT, Row

PAGES = 1_500
RUNS = int(os.environ.get("BENCH_ROUNDS", "3"))
SERVICES = HERE.parent / "services"
NAMES = {"plain": "scrapy-redis", "slow": "leased"}


def bench_pages_lost_at_a_kill() -> list[Row]:
    lost: dict[str, list[int]] = {mode: [] for mode in NAMES}
    for _ in range(RUNS):
        for mode, counts in lost.items():
            counts.append(lost_in(mode))
    return [
        Row(
            f"kill -9 of one of two workers: pages lost, {NAMES[mode]}",
            *(max(counts), "pages", 0 if mode == "slow" else None),
            f"of {PAGES}, in {RUNS} runs: {', '.join(map(str, counts))}",
        )
        for mode, counts in lost.items()
    ]


def lost_in(mode: str) -> int:
    """Return how many pages are not stored, after a third of them one of two is killed."""
    with (
        tempfile.TemporaryDirectory() as folder,
        redis_server() as redis_port,
        process("tree_server.py", PAGES) as port,
    ):
        stored = [Path(folder) / name for name in ("one", "two")]
        crawls = []
        for path in stored:
            crawls.append(_begin(mode, port, redis_port, path))
            _await_stored(stored[:1], 30)  # or the second would find nothing, and end
        _await_stored(stored, PAGES // 3)
        crawls[0].kill()
        assert crawls[0].wait() < 0, "it had ended before"
        assert crawls[1].wait(600) == 0
        return PAGES - len({line for path in stored for line in _lines(path)})


def _begin(mode: str, port: int, redis_port: int, stored: Path) -> subprocess.Popen[bytes]:
    urls = (f"http://127.0.0.1:{port}", f"redis://127.0.0.1:{redis_port}/0")
    return subprocess.Popen(
        [sys.executable, str(SERVICES / "leased_crawl.py"), *urls, str(stored), mode,
         "LOG_LEVEL=ERROR", *(("TGE_LEASE_S=3",) if mode != "plain" else ())],
        stdout=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (ROOT, HERE, SERVICES)))},
    )  # fmt: skip


def _await_stored(paths: list[Path], count: int) -> None:
    deadline = time.monotonic() + 120
    while sum(len(_lines(path)) for path in paths) < count:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _lines(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []
