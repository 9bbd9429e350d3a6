"""One run of each contender of the cycle benchmark: what it took, and what the hosts were asked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cycle_server import DESK, HOSTS
from cycle_world import FEED_PATH
from tgecrawler.options import OPTIONS

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
RIVALS_PYTHON = ROOT / "var" / "bench-venv" / "bin" / "python"
LONGEST_S = 600  # on a machine that has other things to do
PRIVATE_NETWORKS = "TGE_ALLOW_PRIVATE_NETWORKS"


@dataclass(frozen=True, slots=True)
class Run:
    """Seconds of a cycle (imports apart) and of the processor, and the hosts' own counts."""

    cycle_s: float
    cpu_s: float  # in the cycle
    process_cpu_s: float  # start and end included, and processes that it started
    memory_mb: float  # peak, of its largest process
    asked: Counter[str]
    unchanged: Counter[str]  # of these, answered 304
    connections: int
    parallel: int  # connections of one host at a time, the most
    pages: int  # read to the end
    report: dict[str, Any]  # the run report, of ours alone


@dataclass(frozen=True, slots=True)
class Web:
    """The server's port, and a folder for what the runs leave."""

    port: int
    folder: Path

    @property
    def feeds(self) -> list[str]:
        return [f"http://{host}:{self.port}{FEED_PATH}" for host in HOSTS]

    def take_counts(self) -> dict[str, Any]:
        """Return what the hosts were asked since the last time."""
        with urllib.request.urlopen(f"http://{DESK}:{self.port}/counts") as response:
            hosts = json.load(response).values()
        return {
            "asked": sum((Counter(host["asked"]) for host in hosts), Counter[str]()),
            "unchanged": sum((Counter(host["unchanged"]) for host in hosts), Counter[str]()),
            "connections": sum(host["connections"] for host in hosts),
            "parallel": max(host["parallel"] for host in hosts),
        }

    def write_sources(self) -> Path:
        rows = (
            f"  - {{slug: desk-{at}, url: '{url}', owner: desk-{at}, tier: 2}}\n"
            for at, url in enumerate(self.feeds)
        )
        path = self.folder / "sources.yaml"
        path.write_text("version: 1\nfeeds:\n" + "".join(rows), encoding="utf-8")
        return path


@contextmanager
def serving(folder: Path, latency_s: float) -> Iterator[Web]:
    """Yield the web, served by a process of its own."""
    command = [sys.executable, str(HERE / "cycle_server.py"), str(latency_s)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            yield Web(int(server.stdout.readline()), folder)
        finally:
            server.terminate()


def run_predecessor(web: Web) -> Run:
    if not RIVALS_PYTHON.exists():
        raise SystemExit(f"{RIVALS_PYTHON} is missing: `make bench` makes it")
    return _run(web, [str(RIVALS_PYTHON), str(HERE / "cycle_predecessor.py")], web.feeds)


def run_bare_scrapy(web: Web) -> Run:
    spider = str(HERE / "cycle_bare_scrapy.py")
    return _run(web, _timed(), ["runspider", spider, "-a", f"feeds={','.join(web.feeds)}"])


def run_ours(web: Web, home: Path) -> Run:
    """Return a cycle of ours; the database, and what lies beside it, is in `home`."""
    report = home / "report.json"
    settings = {
        "TGE_DATABASE_URL": f"sqlite:///{home / 'tge.db'}",
        "TGE_SOURCES": web.write_sources(),
        "TGE_STATS_JSON": report,
        "DOWNLOAD_DELAY": 0,
        "AUTOTHROTTLE_ENABLED": 0,
    }
    if any(option.name == PRIVATE_NETWORKS for option in OPTIONS):
        settings[PRIVATE_NETWORKS] = 1  # loopback is one
    given = [part for name, value in settings.items() for part in ("-s", f"{name}={value}")]
    return _run(web, _timed(), ["crawl", "rss", *given], cwd=ROOT, report=report)


def _timed() -> list[str]:
    return [sys.executable, str(HERE / "cycle_timed.py")]


def _run(
    web: Web,
    program: list[str],
    arguments: list[str],
    cwd: Path | None = None,
    report: Path | None = None,
) -> Run:
    """Return what a program took that writes its seconds to the file named first.

    Raises:
        RuntimeError: it failed; the end of its log is in the message.
    """
    out, log = web.folder / "seconds.json", web.folder / "run.log"
    out.unlink(missing_ok=True)
    web.take_counts()
    usage, code = _usage_of([*program, str(out), *arguments], cwd or web.folder, log)
    if code or not out.exists():
        raise RuntimeError(f"{program[-1]} ended with {code}:\n{log.read_text()[-2_000:]}")
    seconds = json.loads(out.read_text(encoding="utf-8"))
    return Run(
        cycle_s=seconds["cycle_s"],
        cpu_s=seconds["cpu_s"],
        process_cpu_s=usage.ru_utime + usage.ru_stime,
        memory_mb=usage.ru_maxrss / 1024,
        pages=seconds.get("pages", 0),
        report=json.loads(report.read_text(encoding="utf-8")) if report else {},
        **web.take_counts(),
    )


def _usage_of(command: list[str], cwd: Path, log: Path) -> tuple[Any, int]:
    """Return the resources that a process and its children used, and its exit code."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TGE_")}
    with log.open("wb") as written:
        process = subprocess.Popen(command, cwd=cwd, env=kept, stdout=written, stderr=written)
        ends = time.monotonic() + LONGEST_S
        while time.monotonic() < ends:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                process.returncode = os.waitstatus_to_exitcode(status)
                return usage, process.returncode
            time.sleep(0.02)
        process.kill()
        process.wait()
    raise RuntimeError(f"{command[1]} ran for more than {LONGEST_S} s")
