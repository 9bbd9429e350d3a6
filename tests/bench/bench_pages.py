"""Pages per second and core: fetch, gate, extract, assess, store, against bare Scrapy.

A server in another process, on the other core where there is one, gives pages of
170 kB; one in twenty announces a token event. The crawls run in turns, each in a
process of its own bound to one core; what counts is the CPU time a page, once all
is loaded, which other work on the machine disturbs least.

Bare Scrapy runs twice. Stock: all of it is Scrapy's own, with the settings that make
it fastest here, which are those of this project (uvloop among them: on the other loops and
reactors its handler is 7 to 15 % slower). And on this project's download handler, which
guards, counts and times what Scrapy's own does not.

``BENCH_SETTINGS='NAME=VALUE NAME=VALUE'`` goes to all crawls: a download handler, an
event loop.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from timed_crawl import WARM

from made_pages import make_page
from run import HERE, ROOT, Row
from tgecrawler.domain.page_gate import PageGate
from tgecrawler.options import read_options
from tgecrawler.runtime import load_assessor, load_watchlist
from tgecrawler.sources.article import parse_article
from tgecrawler.sources.decoding import decode_html
from tgecrawler.sources.glance import glance

PAGES = 800
ROUNDS = 5
LEAST_SHARE = 0.6  # of bare Scrapy's pages per second
TUNED = (
    "DOWNLOAD_DELAY=0", "AUTOTHROTTLE_ENABLED=0", "CONCURRENT_REQUESTS=16",
    "CONCURRENT_REQUESTS_PER_DOMAIN=16", "LOG_LEVEL=ERROR", "TGE_ALLOW_PRIVATE_NETWORKS=1",
)  # fmt: skip
SITES = "version: 1\nsites:\n  - {{slug: made, sitemap: '{site}/sitemap.xml', owner: made}}\n"


def bench_pages() -> list[Row]:
    with serve(PAGES) as site, tempfile.TemporaryDirectory() as folder:
        taken: dict[str, list[dict[str, Any]]] = {"stock": [], "bare": [], "ours": []}
        for number in range(ROUNDS):
            for which, runs in taken.items():
                runs.append(crawl(which, site, Path(folder) / f"{number}.db"))
        profile = crawl("ours", site, Path(folder) / "profile.db", f"PROFILE={folder}/profile")[
            "profile"
        ]
    for run in taken["ours"]:
        assert run["outcomes"]["stored"] + run["outcomes"]["duplicate"] == PAGES // 20, run
    costs = {which: cpu_ms(runs) for which, runs in taken.items()}
    return [
        Row("stock bare Scrapy, CPU per page", costs["stock"], "ms"),
        Row("bare Scrapy on our handler, CPU per page", costs["bare"], "ms"),
        Row("whole pipeline at 5% hits, CPU per page", costs["ours"], "ms"),
        compared("stock", taken, "in pages of stock bare Scrapy", 1 / LEAST_SHARE),
        compared("bare", taken, "in pages of bare Scrapy on our handler", None),
        *profile_rows(profile),
    ]


def compared(
    which: str, taken: dict[str, list[dict[str, Any]]], name: str, limit: float | None
) -> Row:
    """Return what a page costs us in pages of another crawl."""
    ours, other = cpu_ms(taken["ours"]), cpu_ms(taken[which])
    walls = [pages_per_wall_s(taken[one]) for one in ("ours", which)]
    note = (
        f"{other / ours:.0%}: {1000 / ours:.0f} of {1000 / other:.0f} pages per second and core;"
        f" by the wall clock {walls[0]:.0f} of {walls[1]:.0f}"
    )
    return Row(f"the same, {name}", ours / other, "times", limit, note)


def bench_page_steps() -> list[Row]:
    """What each step costs on one page, everyday ones and announcements apart."""
    watchlist = load_watchlist("")
    assessor = load_assessor(read_options({}, {}), watchlist)
    gate = PageGate(assessor)
    published = "2026-01-01T00:00:00+00:00"
    everyday = [make_page(at, published).encode() for at in range(1, 20)]
    words = [glance(body) for body in everyday]
    articles = [parse_article(body, url="https://daily.example/1") for body in everyday]
    steps: dict[str, Callable[[], object]] = {
        "decode": lambda: [decode_html(body) for body in everyday],
        "glance, with its decoding": lambda: [glance(body) for body in everyday],
        "gate": lambda: [gate.look(page.title, "", page.text) for page in words],
        "extract": lambda: [parse_article(body, url="https://d.example/1") for body in everyday],
        "assess": lambda: [assessor.assess(one.title, "", one.text) for one in articles],
    }
    taken = cpu_of(steps)
    return [Row(f"{name}, one page", 1000 * s / len(everyday), "ms") for name, s in taken.items()]


def cpu_of(steps: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Return the median CPU seconds of each step, run in turns."""
    taken: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(ROUNDS):
        for name, step in steps.items():
            started = time.process_time()
            step()
            taken[name].append(time.process_time() - started)
    return {name: statistics.median(values) for name, values in taken.items()}


def cpu_ms(runs: list[dict[str, Any]]) -> float:
    return 1000 * statistics.median(run["cpu_s"] / run["responses"] for run in runs)


def pages_per_wall_s(runs: list[dict[str, Any]]) -> float:
    return statistics.median(run["responses"] / run["wall_s"] for run in runs)


def profile_rows(seconds: dict[str, float]) -> list[Row]:
    whole = sum(seconds.values())
    return [
        Row(
            f"profile: {part}",
            100 * spent / whole,
            "%",
            None,
            f"{1000 * spent / (PAGES + 2 - WARM):.2f} ms a page",
        )
        for part, spent in seconds.items()
    ]


def crawl(which: str, site: str, database: Path, *more: str) -> dict[str, Any]:
    """Return what a crawl tells of itself; see timed_crawl.py."""
    sources = database.with_suffix(".yaml")
    sources.write_text(SITES.format(site=site), encoding="utf-8")
    project = (
        f"TGE_DATABASE_URL=sqlite:///{database}", f"TGE_SOURCES={sources}",
        f"TGE_SITE_MAX_PAGES={PAGES}",
        # on the one core that is measured; and bare Scrapy keeps no page either
        "TGE_READERS=0", "TGE_CACHE_URL=off",
    )  # fmt: skip
    given = [*TUNED, *os.environ.get("BENCH_SETTINGS", "").split(), *more]
    done = subprocess.run(
        [sys.executable, str(HERE / "timed_crawl.py"), which, site, str(PAGES), *given,
         *(project if which == "ours" else ())],
        cwd=ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(HERE)))},
        preexec_fn=lambda: _bind(0),
    )  # fmt: skip
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        raise RuntimeError(f"{which} ended with {done.returncode}: {done.stderr[-2000:]}")
    told: dict[str, Any] = json.loads(lines[-1])
    assert told["responses"] >= PAGES - WARM, told
    return told


@contextmanager
def serve(pages: int) -> Iterator[str]:
    """Run the server of made pages; give its address."""
    server = subprocess.Popen(
        [sys.executable, str(HERE / "page_server.py"), str(pages)],
        stdout=subprocess.PIPE, text=True, preexec_fn=lambda: _bind(-1),
    )  # fmt: skip
    assert server.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(server.stdout.readline())}"
    finally:
        server.terminate()
        server.wait(timeout=10)
        server.stdout.close()


def _bind(which: int) -> None:
    """Bind this process to one of the cores that it may use."""
    os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[which]})
