"""Runs a crawl against the simulated world, in virtual time, and says what came of it."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from access_log import AccessLog, read_log
from virtual_clock import CLOCK_VARIABLE, VirtualClock
from warped_loop import SERVER_VARIABLE
from world import START_AT, Plan, World, build_world

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


@dataclass
class SimulatedWorld:
    """The world with its server running: `run` a process in it, then read its `log`."""

    world: World
    folder: Path
    port: int
    clock: VirtualClock
    server: subprocess.Popen[str]

    def run(self, command: list[str], timeout_s: float) -> subprocess.CompletedProcess[str]:
        """Run a process in the world's time; it must reach loopback only and end in time."""
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=self._environment(),
            capture_output=True,
            text=True,
            timeout=timeout_s,
        )
        attempts = self.folder / "attempts.log"
        assert not attempts.exists(), f"reached out to {attempts.read_text()}"
        return done

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("TGE_")}
        return kept | {
            "PYTHONPATH": str(HERE / "warped"),
            CLOCK_VARIABLE: str(self.folder / "clock"),
            SERVER_VARIABLE: str(self.folder / "control"),
            "NETWORK_ATTEMPTS": str(self.folder / "attempts.log"),
            "NETWORK_LOOKUPS": str(self.folder / "lookups.log"),
        }

    def write_sources(self) -> Path:
        """Write the sources.yaml that names every feed and return its path."""
        path = self.folder / "sources.yaml"
        rows = [
            f"  - {{slug: {feed.slug}, tier: 2, owner: {feed.slug}, "
            f"url: 'http://{feed.host}:{self.port}{feed.listed_path}'}}"
            for feed in self.world.feeds
        ]
        path.write_text("version: 1\nfeeds:\n" + "\n".join(rows) + "\n")
        return path

    def stop(self) -> AccessLog:
        """End the server and return what it saw."""
        self.server.terminate()
        assert self.server.wait(timeout=20) == 0
        return read_log(self.folder / "access.jsonl")


@contextmanager
def running_world(folder: Path, plan: Plan) -> Iterator[SimulatedWorld]:
    """Start the world's server in a process of its own; its clock shows START_AT."""
    clock = VirtualClock.create(folder / "clock", START_AT)
    arguments = [folder / "clock", folder / "control", folder / "access.jsonl"]
    server = subprocess.Popen(
        [sys.executable, HERE / "server.py", *arguments, json.dumps(plan.as_dict())],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        yield SimulatedWorld(build_world(plan), folder, port, clock, server)
    finally:
        if server.poll() is None:
            server.terminate()
        server.wait(timeout=20)
        if server.stdout is not None:
            server.stdout.close()


@dataclass(frozen=True)
class Outcome:
    """A crawl's end: what the server saw, what the crawl reported and stored."""

    world: World
    port: int
    log: AccessLog
    report: dict[str, Any]
    alerted: frozenset[str]  # addresses of the entries that are alerts
    stderr: str
    took_s: float  # real seconds
    virtual_s: float


def crawl(folder: Path, plan: Plan, arguments: list[str], timeout_s: float = 900) -> Outcome:
    """Run ``scrapy crawl rss`` with `arguments` in a new world; it must end well."""
    with running_world(folder, plan) as place:
        settings = {
            "TGE_DATABASE_URL": f"sqlite:///{folder / 'tge.db'}",
            "TGE_SOURCES": place.write_sources(),
            "TGE_STATS_JSON": folder / "report.json",
            "ASYNCIO_EVENT_LOOP": "warped_loop.WarpedLoop",
        }
        given = [part for name, value in settings.items() for part in ("-s", f"{name}={value}")]
        command = [sys.executable, "-m", "scrapy", "crawl", "rss", *arguments, *given]
        started_s = time.monotonic()
        done = place.run(command, timeout_s)
        took_s = time.monotonic() - started_s
        log = place.stop()
        (folder / "stderr.log").write_text(done.stderr)
    assert done.returncode == 0, done.stderr[-5000:]
    assert "Traceback" not in done.stderr, done.stderr[:5000]
    report = json.loads((folder / "report.json").read_text())
    return Outcome(
        world=place.world,
        port=place.port,
        log=log,
        report=report,
        alerted=_alerted(folder / "tge.db"),
        stderr=done.stderr,
        took_s=took_s,
        virtual_s=place.clock.elapsed_ns / 1e9,
    )


def _alerted(database: Path) -> frozenset[str]:
    with sqlite3.connect(database) as connection:
        rows = connection.execute(
            "select m.url from alerts a join mentions m on m.id = a.mention_id"
        )
        return frozenset(url for (url,) in rows)
