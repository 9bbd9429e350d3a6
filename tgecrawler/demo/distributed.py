"""Shows that workers lose nothing: ``python -m tgecrawler.demo.distributed FOLDER``.

One process crawls the demo archive, then three do it together over a Redis and a
PostgreSQL of their own, and one of these is killed half way. The rows must be the same.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from redis import Redis
from rich.console import Console
from rich.table import Table

from tgecrawler.demo.build import build_archive, write_sources
from tgecrawler.demo.comparison import compare, count, keys_of
from tgecrawler.demo.servers import (
    find_postgresql,
    find_redis,
    private_postgresql,
    private_redis,
    stop,
)
from tgecrawler.errors import UserError
from tgecrawler.scheduling.queue_upkeep import queue_prefix
from tgecrawler.storage.models import ALERTS, EVENTS, MENTIONS
from tgecrawler.stream.messages import KINDS
from tgecrawler.stream.reader import StreamReader

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tgecrawler.demo.comparison import TableComparison

SPIDER = "rss"
EDITIONS = 12  # of the archive: one is done before all workers have begun
WORKERS = 3
LEAST_HELD = 5  # requests that the worker has on lease which is killed
LOOK_EVERY_S = 0.02
LONGEST_S = 120.0
SHOWN_DIFFERENCES = 5
ALONE = {"TGE_READERS": "0"}
TOGETHER = ALONE | {
    "TGE_LEASE_S": "3",
    "TGE_DATABASE_BATCH_AGE_S": "0.2",  # so that half of the rows are there half way
    "CONCURRENT_REQUESTS": "8",
}


class DemoError(UserError):
    """The demo did not come to its end; says where to look."""


@dataclass(slots=True)
class Worker:
    """A crawl in a process of its own."""

    name: str
    log: Path
    process: subprocess.Popen[bytes]

    @property
    def is_running(self) -> bool:
        return self.process.poll() is None


@dataclass(slots=True)
class Kill:
    """What was seen when a worker was killed."""

    worker: Worker
    stored: int
    held: set[bytes]


@dataclass(frozen=True, slots=True)
class Place:
    """The folder of the demo, and what lies in it."""

    folder: Path

    @property
    def archive(self) -> Path:
        return self.folder / "archive.warc.gz"

    @property
    def sources(self) -> Path:
        return self.folder / "sources.yaml"

    def report(self, name: str) -> Path:
        """Return where a crawl's report is."""
        return self.folder / f"{name}.json"

    def start(self, name: str, settings: Mapping[str, str]) -> Worker:
        """Return a crawl that has begun; its log is beside the others."""
        watchlist = resources.files(__package__) / "watchlist.yaml"
        given = {
            "TGE_REPLAY": str(self.archive),
            "TGE_SOURCES": str(self.sources),
            "TGE_WATCHLIST": str(watchlist),
            "TGE_SPOOL_PATH": str(self.folder / f"{name}.spool"),
            "TGE_STATS_JSON": str(self.report(name)),
            **settings,
        }
        # by the environment: every user of the machine can read a command line
        kept = {key: value for key, value in os.environ.items() if not key.startswith("TGE_")}
        known = {key: value for key, value in given.items() if key.startswith("TGE_")}
        command = [sys.executable, "-m", "scrapy", "crawl", SPIDER]
        for key in given.keys() - known.keys():
            command += ["-s", f"{key}={given[key]}"]
        log = self.folder / f"{name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                env={**kept, **known},
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is ours to pass on
            )
        return Worker(name, log, process)


def run(folder: Path) -> bool:
    """Play the demo in a folder, which is emptied; return whether all rows are the same.

    Raises:
        UserError: a program is missing, or something did not come to its end.
    """
    redis_server, postgresql = find_redis(), find_postgresql()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    place = Place(folder)
    responses = build_archive(place.archive, editions=EDITIONS)
    feeds = write_sources(place.sources, editions=EDITIONS)
    print(f"archive: {responses} responses, {feeds} feeds")
    with ExitStack() as stack:
        alone = _crawl_alone(place, stack)
        redis_url = stack.enter_context(private_redis(redis_server, folder / "redis"))
        log = folder / "postgresql.log"
        database = stack.enter_context(private_postgresql(postgresql, log))
        client = stack.enter_context(Redis.from_url(redis_url))
        reclaimed = _crawl_together(
            place, stack, client, redis_url, database, count(alone, MENTIONS)
        )
        same = _show(compare(alone, database))
        done = _show_queue(client, reclaimed)
        return _show_stream(client, database) and done and same


def _crawl_alone(place: Place, stack: ExitStack) -> str:
    """Crawl with one process, and without any server; return the URL of its database."""
    url = f"sqlite:///{place.folder}/alone.db"
    began_s = time.monotonic()
    worker = place.start("alone", {**ALONE, "TGE_DATABASE_URL": url})
    stack.callback(stop, worker.process, signal.SIGKILL)
    _finish([worker])
    print(f"one process: {time.monotonic() - began_s:.1f} s, {_told(url)}")
    return url


def _crawl_together(
    place: Place, stack: ExitStack, client: Redis, redis_url: str, database: str, whole: int
) -> int:
    """Crawl with three workers, one of which is killed; return how many leases were reclaimed."""
    shared = {**TOGETHER, "TGE_DATABASE_URL": database, "TGE_REDIS_URL": redis_url}
    began_s = time.monotonic()
    workers = [place.start(f"worker-{number + 1}", shared) for number in range(WORKERS)]
    for worker in workers:
        stack.callback(stop, worker.process, signal.SIGKILL)
    print(f"{WORKERS} workers: processes {', '.join(str(one.process.pid) for one in workers)}")
    kill = _kill_half_way(workers, client, database, whole)
    print(
        f"kill -9 {kill.worker.process.pid}: {kill.stored} of {whole} mentions were stored, and "
        f"it had {len(kill.held)} requests on lease"
    )
    others = [worker for worker in workers if worker is not kill.worker]
    _finish(others)
    print(f"the others: done {time.monotonic() - began_s:.1f} s after the start, {_told(database)}")
    reports = [json.loads(place.report(worker.name).read_bytes()) for worker in others]
    return sum(int(report["queue"]["reclaimed"]) for report in reports)


def _kill_half_way(workers: list[Worker], client: Redis, database: str, whole: int) -> Kill:
    """Kill a worker that has requests on lease, once half of the mentions are stored.

    Raises:
        DemoError: there was no such moment.
    """
    give_up_s = time.monotonic() + LONGEST_S
    while time.monotonic() < give_up_s and all(worker.is_running for worker in workers):
        stored = count(database, MENTIONS)
        if 2 * stored >= whole:
            holding = max(workers, key=lambda worker: len(_held_by(worker, client)))
            # halted first: what it holds then is what it holds when it dies
            holding.process.send_signal(signal.SIGSTOP)
            if len(_held_by(holding, client)) >= LEAST_HELD:
                holding.process.kill()
                holding.process.wait()
                return Kill(holding, stored, _held_by(holding, client))
            holding.process.send_signal(signal.SIGCONT)
        time.sleep(LOOK_EVERY_S)
    ended = [worker for worker in workers if not worker.is_running]
    logs = ", ".join(str(worker.log) for worker in ended or workers)
    raise DemoError(f"no worker could be killed half way; see {logs}")


def _held_by(worker: Worker, client: Redis) -> set[bytes]:
    """Return the ids of the requests that a worker has on lease."""
    sign = f"-{worker.process.pid}-".encode()  # of its name: host, process, a random part
    held: Mapping[bytes, bytes] = client.hgetall(f"{queue_prefix(SPIDER)}held")  # type: ignore[assignment]
    return {id_ for id_, value in held.items() if sign in value.partition(b"\t")[0]}


def _finish(workers: Iterable[Worker]) -> None:
    """Wait for workers to end well.

    Raises:
        DemoError: one did not; names its log.
    """
    give_up_s = time.monotonic() + LONGEST_S
    for worker in workers:
        try:
            code = worker.process.wait(max(0.1, give_up_s - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise DemoError(f"{worker.name} does not end; see {worker.log}") from None
        if code:
            raise DemoError(f"{worker.name} ended with exit code {code}; see {worker.log}")


def _told(url: str) -> str:
    tables = (MENTIONS, ALERTS, EVENTS)
    return ", ".join(f"{count(url, table)} {table.name}" for table in tables)


def _show(tables: list[TableComparison]) -> bool:
    """Print how the tables compare; return whether they are the same."""
    shown = Table(title_justify="left")
    for heading in ("rows of", "one process", f"{WORKERS} workers, one killed", ""):
        shown.add_column(heading, justify="left" if heading in ("rows of", "") else "right")
    for table in tables:
        verdict = f"{len(table.differing)} differ" if table.differing else "the same"
        shown.add_row(table.name, f"{table.one}", f"{table.other}", verdict)
    Console(file=sys.stdout).print(shown)
    for table in tables:
        for key in table.differing[:SHOWN_DIFFERENCES]:
            print(f"{table.name} differs: {' '.join(map(str, key))}")
    return not any(table.differing for table in tables)


def _show_queue(client: Redis, reclaimed: int) -> bool:
    """Print what became of the requests; return whether all are done."""
    prefix = queue_prefix(SPIDER)
    left, dead = (client.hlen(f"{prefix}{name}") for name in ("req", "dead"))
    print(
        f"queue: {reclaimed} leases ran out and were taken over; {left} requests are left, "
        f"{dead} are dead"
    )
    return not left and not dead


def _show_stream(client: Redis, database: str) -> bool:
    """Follow the stream from its begin; return whether it has told all that is stored."""
    reader = StreamReader(client, "demo")
    known: dict[str, set[str]] = {kind: set() for kind in KINDS}
    counted: Counter[str] = Counter()
    while messages := reader.read(block_s=0.1):
        reader.acknowledge(messages)
        for message in messages:
            counted[message.kind] += 1
            known[message.kind].discard(message.was)
            known[message.kind].add(message.ref)
    stored = {"alert": keys_of(database, ALERTS), "event": keys_of(database, EVENTS)}
    for kind, keys in stored.items():
        told = "all" if keys <= known[kind] else f"{len(keys & known[kind])}"
        print(f"stream: {counted[kind]} messages tell of {told} of {len(keys)} {kind}s")
    return all(keys <= known[kind] for kind, keys in stored.items())


def _interrupt(*_: object) -> None:
    for sign in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sign, signal.SIG_IGN)  # a second one must not stop what ends the servers
    raise KeyboardInterrupt


def main(folder: str) -> int:
    """Play the demo; return 0, or 1 where rows differ, 2 where it cannot be played."""
    for sign in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sign, _interrupt)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    try:
        return 0 if run(Path(folder)) else 1
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; everything that was started is ended", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
