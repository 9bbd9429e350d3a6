"""What group commit is worth: the pipeline over a database of which each commit takes long.

Pages come as from hosts that answer in a second, so many at a time. Timed batches are what the
pipeline wrote before: a full batch, or one whose oldest row has waited for two seconds.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from scrapy.statscollectors import StatsCollector
from scrapy.utils.test import get_crawler
from sqlalchemy import event

sys.path.append(str(Path(__file__).parents[1] / "unit"))

from storage_cases import RULES, mention

from pipelines.database import BATCHES_AHEAD, DatabasePipeline
from pipelines.database import Row as Pending
from run import Row
from tgecrawler.domain.batching import PendingRows
from tgecrawler.extensions.ledger import EntryLedger
from tgecrawler.extensions.report import RunReport
from tgecrawler.extensions.store import Store
from tgecrawler.storage.aside import Aside
from tgecrawler.storage.engine import create_engine
from tgecrawler.storage.lasting import LastingWriter
from tgecrawler.storage.readiness import ensure_schema

PAGES = 300  # at a time, each of a second
PAGE_S = 1.0
BATCH, AGE_S = 500, 2.0  # the defaults of TGE_DATABASE_BATCH_SIZE and _AGE_S
COMMITS_S = (0.0, 0.1, 3.0)
CRAWL_S = 15.0


class TimedBatches(PendingRows[Pending]):
    """Full batches, or old ones; what gathered while one was written waits like any other."""

    def take(self) -> list[Pending]:
        self.most_taken, most = self.most_rows, self.most_taken
        try:
            return super().take()
        finally:
            self.most_taken = most

    def committed(self, took_s: float) -> None:
        pass


class Timekeeping(EntryLedger):
    """A ledger that knows how long each row took from the pipeline to its commit."""

    def __init__(self, stats: StatsCollector) -> None:
        super().__init__(stats)
        self.began_s: dict[str, float] = {}
        self.last_s = 0.0
        self.delays_s: list[float] = []

    def open(self, entry_id: str, *accounts: Any) -> bool:
        self.began_s[entry_id] = time.monotonic()
        return super().open(entry_id, *accounts)

    def close(self, entry_id: str, outcome: Any) -> None:
        super().close(entry_id, outcome)
        self.last_s = time.monotonic()
        self.delays_s.append(self.last_s - self.began_s.pop(entry_id))


@dataclass(frozen=True)
class Outcome:
    """Pages a second from the first page to the last commit, their median delay, and the work."""

    pages_s: float
    delay_s: float
    cpu_ms: float

    @property
    def note(self) -> str:
        return f"in {self.delay_s:.2f} s, {self.cpu_ms:.2f} ms of CPU"


def crawled(pending: Callable[..., PendingRows[Pending]], commit_s: float) -> Outcome:
    """Return what a crawl of `CRAWL_S` came to over a database with such commits."""
    with tempfile.TemporaryDirectory() as folder:
        engine = create_engine(f"sqlite:///{folder}/tge.db")
        ensure_schema(engine)
        event.listen(engine, "commit", lambda _: time.sleep(commit_s))
        crawler = get_crawler()
        crawler.stats = StatsCollector(crawler)
        runtime: Any = SimpleNamespace(assessor=SimpleNamespace(rules_version=RULES))
        store = Store(engine, runtime, LastingWriter(engine, Aside(Path(folder))))
        ledger = Timekeeping(crawler.stats)
        rows = pending(most_rows=BATCH, longest_wait_s=AGE_S, most_taken=BATCHES_AHEAD * BATCH)
        pipeline = DatabasePipeline(store, ledger, RunReport(crawler, ""), rows)
        began_s, worked_s = time.monotonic(), time.process_time()
        asyncio.run(crawl(pipeline, ledger))
        worked_s = time.process_time() - worked_s
        engine.dispose()
    stored = len(ledger.delays_s)
    return Outcome(
        pages_s=stored / (ledger.last_s - began_s),
        delay_s=statistics.median(ledger.delays_s),
        cpu_ms=1_000 * worked_s / stored,
    )


async def crawl(pipeline: DatabasePipeline, ledger: EntryLedger) -> None:
    pipeline.open_spider()
    ends_s = time.monotonic() + CRAWL_S
    numbers = iter(range(10**9))

    async def host() -> None:
        await asyncio.sleep(PAGE_S * next(numbers) / PAGES)
        while time.monotonic() < ends_s:
            one = mention(next(numbers), text="word " * 400)
            ledger.open(one.entry_id)
            await pipeline.process_item(one)
            await asyncio.sleep(PAGE_S)

    await asyncio.gather(*(host() for _ in range(PAGES)))
    await pipeline.close_spider()


def bench_group_commit() -> list[Row]:
    rows = []
    for commit_s in COMMITS_S:
        timed, group = (crawled(kind, commit_s) for kind in (TimedBatches, PendingRows))
        name = f"{PAGES} pages/s offered, {commit_s:g} s a commit"
        rows += [
            Row(f"{name}: timed batches", timed.pages_s, "pages/s", note=timed.note),
            Row("  group commit", group.pages_s, "pages/s", note=group.note),
            # a machine that is busy with other things is not to fail this
            Row("  timed batches : group commit", timed.pages_s / group.pages_s, "", 1.2),
        ]
    return rows
