"""A crawl among hosts that mean harm goes on, within its memory and its time."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hostile_world import HostileServer, start_server

from harness import ROOT, Project

pytestmark = pytest.mark.slow

MOST_MB = 200  # of the crawl, and of each process that reads its pages
HEALTHY = 50
DEADLINE_S = 4
FEEDS = (
    *("bomb/gzip", "bomb/br", "bomb/zstd", "bomb/deflate", "bomb/gzip,gzip", "bomb/gzip,br,zstd"),
    *("endless", "large", "header-line/10000000", "header-flood/100000", "header-endless"),
    *("loop/1", "self", "garbage", "truncated", "hangup", "continue"),
    *("xml/laughs", "xml/quadratic", "xml/external", "xml/items", "xml/items/just", "xml/title"),
    *("xml/title/just", "xml/deep", "xml/deep-html", "silent", "slow-headers", "slow-body"),
)
PAGES = (
    *("bomb~gzip", "bomb~br", "endless", "xml~deep-html", "xml~title", "loop~1", "slow-body"),
    *("xml~attributes", "xml~latin"),
)
READER = b"tgecrawler.sources.article_worker"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[HostileServer]:
    started = start_server(tmp_path)
    yield started
    started.stop()


@dataclass
class Run:
    """A crawl that is over: its report, its log, and what it took."""

    report: dict[str, Any]
    log: str
    peak_mb: float
    reader_mb: float  # the peak of any process that reads pages
    took_s: float


def peak_of(pid: int) -> float:
    """Return the most memory that a process had resident, in MB; 0 once it is gone.

    Not ru_maxrss: that begins with what its parent held when it forked.
    """
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    found = re.search(r"VmHWM:\s+(\d+)", status)
    return int(found[1]) / 1024 if found else 0.0


def readers_of(pid: int) -> Iterator[int]:
    """Yield the processes that read pages for a crawl."""
    with suppress(OSError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            # a child that is still to become another program holds what its parent does
            if READER in Path(f"/proc/{child}/cmdline").read_bytes():
                yield int(child)


def crawl(project: Project, feeds: dict[str, str]) -> Run:
    rows = [f"  - {{slug: {slug}, url: {json.dumps(url)}}}" for slug, url in feeds.items()]
    project.settings |= {
        "TGE_SOURCES": str(project.write("sources.yaml", "\n".join(("version: 1\nfeeds:", *rows)))),
        "TGE_ALLOW_PRIVATE_NETWORKS": "1",
        "TGE_STATS_JSON": str(project.folder / "report.json"),
        "CONCURRENT_REQUESTS": "512",
        "ROBOTSTXT_OBEY": "0",
        "RETRY_ENABLED": "0",
        "DOWNLOAD_DELAY": "0",
        "AUTOTHROTTLE_ENABLED": "0",
        "DOWNLOAD_TIMEOUT": str(DEADLINE_S),
    }
    started = time.monotonic()
    log = project.folder / "crawl.log"
    with log.open("w", encoding="utf-8") as written:
        process = subprocess.Popen(
            project.command("crawl", "rss"),
            cwd=ROOT,
            env=project.environment,
            stderr=written,
            stdout=written,
        )
        peak_mb = reader_mb = 0.0
        while process.poll() is None:
            peak_mb = max(peak_mb, peak_of(process.pid))
            reader_mb = max((reader_mb, *map(peak_of, readers_of(process.pid))))
            time.sleep(0.02)
    assert process.returncode == 0, log.read_text()[-3000:]
    report = json.loads((project.folder / "report.json").read_text())
    return Run(report, log.read_text(), peak_mb, reader_mb, time.monotonic() - started)


def healthy_feeds(server: HostileServer, count: int) -> dict[str, str]:
    return {f"well{n}": server.url(f"/feed/{n}", host=f"127.2.0.{n + 1}") for n in range(count)}


def pages_read(server: HostileServer) -> int:
    """Return how many pages of healthy feeds the server has sent."""
    answered = {line["path"] for line in server.log if line["event"] == "answered"}
    return len([path for path in answered if re.fullmatch(r"/page/\d+-\d", path)])


@pytest.mark.alone
def test_bombs_and_floods(project: Project, server: HostileServer) -> None:
    bad = {f"bad{n}": server.url(f"/{path}", f"127.1.0.{n + 1}") for n, path in enumerate(FEEDS)}
    links = {
        f"links{n}": server.url(f"/links/{link}", f"127.1.1.{n + 1}")
        for n, link in enumerate(PAGES)
    }
    server.prepare(*(f"/{path}" for path in FEEDS if path.startswith(("bomb", "xml"))))
    # making a database loads what no later crawl needs
    assert project.scrapy("db", "upgrade").returncode == 0
    quiet = crawl(project, healthy_feeds(server, 10))
    run = crawl(project, {**bad, **links, **healthy_feeds(server, 10)})
    print(
        f"peak {run.peak_mb:.0f} MB, of which {quiet.peak_mb:.0f} without them; "
        f"its reader {run.reader_mb:.0f}, of which {quiet.reader_mb:.0f}; "
        f"{run.took_s:.1f} s, {run.report['sources']}"
    )
    assert pages_read(server) == 20
    assert "Traceback" not in run.log, run.log
    assert run.report["sources"]["polled"] == len(bad) + len(links) + 10
    assert run.report["outcomes"]["stored"] + run.report["outcomes"]["duplicate"] >= 20
    assert run.peak_mb < MOST_MB
    assert quiet.reader_mb < run.reader_mb < MOST_MB


def test_two_hundred_hosts_at_one_byte_a_second(project: Project, server: HostileServer) -> None:
    slow = {
        f"slow{n}": server.url(("/slow-headers", "/slow-body")[n % 2], f"127.1.0.{n + 1}")
        for n in range(200)
    }
    run = crawl(project, {**slow, **healthy_feeds(server, HEALTHY)})
    asked = [line["at"] for line in server.log if line["event"] == "asked"]
    slow_log = [line for line in server.log if "slow" in line["path"]]
    left = [line["at"] for line in slow_log if line["event"] == "left"]
    print(
        f"{run.peak_mb:.0f} MB, {run.took_s:.1f} s; "
        f"all slow hosts left within {max(left) - min(asked):.1f} s"
    )
    assert run.report["sources"]["failed"] == len(slow)
    assert run.log.count("no answer in time") == len(slow)
    assert pages_read(server) == 2 * HEALTHY
