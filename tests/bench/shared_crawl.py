"""A crawl that several workers share: its web, its servers, and the workers as processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from shared_log import read_visits
from shared_server import Visit
from shared_world import World

from run import ROOT

sys.path.append(str(ROOT / "tests" / "services"))
from postgresql_server import PostgresqlServer, serving
from redis_server import RedisServer

HERE = Path(__file__).parent
# A machine that goes down may lose what `everysec` has not written yet, and so may a Redis that
# is killed while the disk is slow. With `always`, what Redis has confirmed is there afterwards.
LASTING = ("--appendonly", "yes", "--appendfsync", "always")
GAP_S = 0.03
LEASE_S = 5
NEVER_AGAIN_S = 86_400  # no feed is asked twice within a run, whoever starts anew
MARK = "SHARED_CRAWL"  # environment: of the workers and of all that they start
SETTINGS: dict[str, object] = {
    "DOWNLOAD_DELAY": GAP_S,
    "AUTOTHROTTLE_ENABLED": 0,
    "TGE_ALLOW_PRIVATE_NETWORKS": 1,
    "TGE_CACHE_URL": "off",  # what is fetched again is to be seen
    "TGE_LEASE_S": LEASE_S,
    "TGE_POLL_SHORTEST_S": NEVER_AGAIN_S,
    "TGE_POLL_LONGEST_S": NEVER_AGAIN_S,
    "TGE_READERS": 1,
    "TGE_STREAM_MAX_MESSAGES": 1_000_000,
}


@dataclass
class Crawl:
    """What the workers of a crawl have in common.

    Attributes:
        folder: logs, reports and spool; one for each crawl.
        settings: beside `SETTINGS`, and before them.
    """

    world: World
    folder: Path
    database_url: str
    redis: RedisServer | None = None
    settings: Mapping[str, object] = field(default_factory=dict)

    def command(self, name: str) -> list[str]:
        """Return the scrapy command of a worker that is called by a name."""
        sources = self.folder / "sources.yaml"
        if not sources.exists():
            sources.write_text(self.world.sources(), encoding="utf-8")
        given = {
            **SETTINGS,
            "TGE_SOURCES": sources,
            "TGE_SPOOL_PATH": self.folder / "spool",
            "TGE_USER_AGENT_CONTACT": name,
            **self.settings,
        }
        words = [part for key, value in given.items() for part in ("-s", f"{key}={value}")]
        return ["crawl", "rss", *words]

    def given(self, setting: str) -> object:
        """Return the value of a setting."""
        return {**SETTINGS, **self.settings}[setting]

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("TGE_")}
        kept["TGE_DATABASE_URL"] = self.database_url
        kept[MARK] = str(self.folder)
        if self.redis is not None:
            kept["TGE_REDIS_URL"] = self.redis.url
        return kept

    def with_settings(self, **settings: object) -> Crawl:
        return replace(self, settings={**self.settings, **settings})

    @property
    def visits(self) -> list[Visit]:
        return read_visits(self.folder / "access.log")


class Worker:
    """A place in the crew: a process, and after it the next one.

    Attributes:
        lives: processes that it had.
        ended: exit codes of those that ended by themselves.
    """

    def __init__(self, crawl: Crawl, name: str, *arguments: str) -> None:
        self.crawl = crawl
        self.name = name
        self.arguments = arguments
        self.log = crawl.folder / f"{name}.log"
        self.lives = 0
        self.ended: list[int] = []
        self.frozen = False
        self.process: subprocess.Popen[bytes] | None = None
        self.started_s = 0.0

    @property
    def runs(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        command = self.crawl.command(self.name)
        self.started_s = time.time()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "scrapy", *command, *self.arguments],
                cwd=ROOT,
                env=self.crawl.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.lives += 1

    def tend(self) -> bool:
        """Note an end by itself; return whether it still runs."""
        if self.process is not None and (code := self.process.poll()) is not None:
            self.ended.append(code)
            self.process = None
        return self.process is not None

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        if self.process is not None:
            self.process.wait()
            self.process = None
        self.frozen = False

    def signal(self, number: signal.Signals) -> None:
        if self.process is not None:
            self.process.send_signal(number)
            self.frozen = number == signal.SIGSTOP

    def wait(self, timeout_s: float) -> None:
        assert self.process is not None
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout_s)
        self.tend()


class Crew:
    """The workers of a crawl; none outlives the block.

    Args:
        arguments: more of their command line, as ``"-a", "watch=1"``.
    """

    def __init__(self, crawl: Crawl, size: int, *arguments: str, first: int = 1) -> None:
        self.workers = [
            Worker(crawl, f"w{number}", *arguments) for number in range(first, first + size)
        ]

    def __enter__(self) -> Crew:
        for worker in self.workers:
            worker.start()
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self.workers:
            if worker.process is not None:
                worker.kill()

    def tend(self, *, restart: bool = True) -> int:
        """Start those anew that have ended; return how many run."""
        for worker in self.workers:
            if not worker.tend() and restart:
                worker.start()
        return sum(worker.process is not None for worker in self.workers)

    def finish(self, patience_s: float) -> None:
        """Wait until all have ended by themselves.

        Raises:
            RuntimeError: some have not.
        """
        ends = time.monotonic() + patience_s
        while self.tend(restart=False):
            if time.monotonic() > ends:
                still = [worker.name for worker in self.workers if worker.runs]
                raise RuntimeError(f"{still} still run after {patience_s:g} s")
            time.sleep(0.05)

    @property
    def said(self) -> str:
        return "".join(worker.log.read_text(errors="replace") for worker in self.workers)

    @property
    def bad_ends(self) -> list[int]:
        return [code for worker in self.workers for code in worker.ended if code]


@contextmanager
def web(world: World, folder: Path, latency_s: float = 0.01) -> Iterator[World]:
    """Yield the world with the port at which a process of its own serves it."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, str(HERE / "shared_server.py"), str(folder / "access.log")]
    command += [str(latency_s), json.dumps(asdict(world))]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as server:
        try:
            assert server.stdout is not None
            port, started_s = map(int, server.stdout.readline().split())
            yield replace(world, port=port, started_s=started_s)
        finally:
            server.terminate()


@contextmanager
def lasting_redis(folder: Path, *options: str) -> Iterator[RedisServer]:
    """Yield a Redis whose keys survive its end."""
    server = RedisServer(folder, *LASTING, *options)
    try:
        server.start()
        yield server
    finally:
        server.stop()


__all__ = [
    "Crawl", "Crew", "PostgresqlServer", "RedisServer", "Worker", "lasting_redis", "serving", "web",
]  # fmt: skip
