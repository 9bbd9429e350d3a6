"""What a page costs to fetch: this project's handler, Scrapy's own, and Scrapy's on aiohttp.

The same gzip pages from one server process over kept connections; processes
run in turns, and the median of the rounds counts.
"""

from __future__ import annotations

import importlib.util
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from run import HERE, ROOT, Row

sys.path.append(str(ROOT / "tests" / "crawl"))

HANDLERS = {
    "ours": "tgecrawler.transport.handler.GuardedDownloadHandler",
    "http11": "scrapy.core.downloader.handlers.http11.HTTP11DownloadHandler",
    "aiohttp": "__main__.LazyAiohttpHandler",
}
PAGES, ROUNDS = 400, 3
MOST_OF_HTTP11 = 1.0  # a handler of our own must pay for itself
MOST_OF_AIOHTTP = 1.15  # what guard, deadlines and counting may add


def bench_handlers() -> list[Row]:
    from hostile_world import start_server

    loops = ["asyncio", *(["uvloop"] if importlib.util.find_spec("uvloop") else [])]
    with tempfile.TemporaryDirectory() as folder:
        server = start_server(Path(folder))
        try:
            costs = _measure(server.url(""), loops)
        finally:
            server.stop()
    return [row for loop in loops for row in _rows(loop, costs)]


def _measure(base: str, loops: list[str]) -> dict[tuple[str, str], tuple[float, float]]:
    """Return CPU milliseconds a page and pages a second of each handler on each loop."""
    taken: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for _ in range(ROUNDS):
        for loop in loops:
            for name, handler in HANDLERS.items():
                taken.setdefault((name, loop), []).append(_run(handler, loop, base))
    return {
        key: (statistics.median(run[0] for run in runs), statistics.median(run[1] for run in runs))
        for key, runs in taken.items()
    }


def _run(handler: str, loop: str, base: str) -> tuple[float, float]:
    done = subprocess.run(
        [sys.executable, str(HERE / "handler_run.py"), handler, loop, base, str(PAGES)],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout.splitlines()[-1])
    return 1000 * found["cpu_s"] / PAGES, PAGES / found["took_s"]


def _rows(loop: str, costs: dict[tuple[str, str], tuple[float, float]]) -> list[Row]:
    rows = []
    for name in HANDLERS:
        cpu_ms, rate = costs[name, loop]
        note = f"{rate:.0f} pages/s beside a server on the same machine"
        rows.append(Row(f"handler {name}, {loop}: CPU a page", cpu_ms, "ms", note=note))
    ours = costs["ours", loop][0]
    for name, limit in (("http11", MOST_OF_HTTP11), ("aiohttp", MOST_OF_AIOHTTP)):
        ratio = ours / costs[name, loop][0]
        rows.append(Row(f"handler ours / {name}, {loop}: CPU", ratio, "x", limit=limit))
    return rows
