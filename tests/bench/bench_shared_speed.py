"""Pages per second and processor time per page: one worker, and two that share the crawl.

On two cores, beside the web server, Redis and PostgreSQL, a second worker has no core of its own:
what counts is that a page costs no more of the processor.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from statistics import median

from bench_shared_chaos import crawl_of
from shared_chaos import stored_in
from shared_crawl import HERE, Crawl
from shared_world import World

from run import ROOT, Row

WORLD = World(50, 60)
ROUNDS = 3
LONGEST_S = 600


@dataclass(frozen=True, slots=True)
class Speed:
    """Pages per second, from the first page's arrival to the last one's, and what one cost."""

    pages_per_s: float
    cpu_ms: float


def measure(size: int, *, alone: bool = False) -> Speed:
    """Return what a crew of a size took; `alone` is without Redis."""
    settings = {"DOWNLOAD_DELAY": 0, "TGE_READERS": 0}
    with crawl_of(WORLD, **settings) as (crawl, _):
        if alone:
            crawl.redis = None
        outs = [crawl.folder / f"seconds-{number}.json" for number in range(size)]
        workers = [_start(crawl, out) for out in outs]
        for worker in workers:
            if worker.wait(LONGEST_S):
                raise RuntimeError((crawl.folder / "speed.log").read_text()[-3_000:])
        stored = stored_in(crawl.database_url)
        if len(stored.mentions) != WORLD.pages:
            raise RuntimeError(f"{len(stored.mentions)} of {WORLD.pages} are stored")
        came = [visit.start_s for visit in crawl.visits if visit.path.startswith("/news/")]
        cpu_s = sum(json.loads(out.read_text())["cpu_s"] for out in outs)
        return Speed(WORLD.pages / (came[-1] - came[0]), cpu_s / WORLD.pages * 1e3)


def _start(crawl: Crawl, out: object) -> subprocess.Popen[bytes]:
    command = [sys.executable, str(HERE / "cycle_timed.py"), str(out), *crawl.command("speed")]
    with (crawl.folder / "speed.log").open("ab") as log:
        return subprocess.Popen(command, cwd=ROOT, env=crawl.environment, stdout=log, stderr=log)


def bench_shared_speed() -> list[Row]:
    """One worker alone, one with the shared queue, and two, in turns."""
    taken: dict[str, list[Speed]] = {"alone": [], "one": [], "two": []}
    for _ in range(ROUNDS):
        taken["alone"].append(measure(1, alone=True))
        taken["one"].append(measure(1))
        taken["two"].append(measure(2))
    rate = {name: median(one.pages_per_s for one in runs) for name, runs in taken.items()}
    cpu = {name: median(one.cpu_ms for one in runs) for name, runs in taken.items()}
    load = "load " + ", ".join(f"{one:.1f}" for one in os.getloadavg())
    return [
        Row("a process without Redis", rate["alone"], "pages/s", None, load),
        Row("  processor", cpu["alone"], "ms a page", None),
        Row("one worker", rate["one"], "pages/s", None, f"{rate['one'] / rate['alone']:.0%}"),
        Row("  processor", cpu["one"], "ms a page", None, f"{cpu['one'] / cpu['alone']:.2f} times"),
        Row("two workers", rate["two"], "pages/s", None, f"{rate['two'] / rate['one']:.2f} times"),
        Row("  processor", cpu["two"], "ms a page", cpu["one"] * 1.1, "flat"),
    ]
