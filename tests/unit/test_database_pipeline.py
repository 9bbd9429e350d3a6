"""The pipeline over a real database that is there, away, and back."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
from lasting_cases import poison, stored
from scrapy.statscollectors import StatsCollector
from scrapy.utils.test import get_crawler
from storage_cases import NOW, RULES, mention

from pipelines.database import DatabasePipeline
from tgecrawler.domain.batching import PendingRows
from tgecrawler.domain.delivery import Delivery
from tgecrawler.drops import EntryDropped
from tgecrawler.extensions.ledger import EntryLedger
from tgecrawler.extensions.report import RunReport
from tgecrawler.extensions.store import Store
from tgecrawler.items import Mention
from tgecrawler.storage import schema
from tgecrawler.storage.aside import Aside
from tgecrawler.storage.engine import create_engine, write_transaction
from tgecrawler.storage.engine_settings import EngineSettings
from tgecrawler.storage.lasting import LastingWriter
from tgecrawler.storage.spool import Spool

BATCH = 5
SPIDER = SimpleNamespace(verdict_version=f"{RULES}/7", name="rss")


@dataclass
class Run:
    """A run's pipeline, and what it is wired to."""

    pipeline: DatabasePipeline
    ledger: EntryLedger
    stats: StatsCollector
    store: Store

    async def process(self, *mentions: Mention) -> None:
        for one in mentions:
            self.ledger.open(one.entry_id)
            await self.pipeline.process_item(one)

    @property
    def outcomes(self) -> dict[str, int]:
        return {name: count for name, count in self.ledger.book.outcomes.items() if count}


class Place:
    """A database and its spool; `run` is one crawl's share of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.engine = create_engine(f"sqlite:///{folder}/tge.db", EngineSettings(lock_wait_s=0.01))
        schema.ensure_schema(self.engine)
        self._release = threading.Event()
        self._holder: threading.Thread | None = None

    @asynccontextmanager
    async def run(self, most_bytes: int = 1_000_000):
        crawler = get_crawler()
        crawler.stats = StatsCollector(crawler)
        spool = Spool(self.folder / "spool", most_bytes)
        lasting = LastingWriter(self.engine, Aside(self.folder), spool, sleep=lambda _: None)
        lasting.recover()
        runtime = SimpleNamespace(assessor=SimpleNamespace(rules_version=RULES))
        store = Store(self.engine, runtime, lasting)  # type: ignore[arg-type]
        ledger = EntryLedger(crawler.stats)
        pending = PendingRows(most_rows=BATCH, longest_wait_s=0.05, most_taken=2 * BATCH)
        report = RunReport(crawler, "")
        pipeline = DatabasePipeline(store, ledger, report, pending)
        pipeline.open_spider()
        yield Run(pipeline, ledger, crawler.stats, store)
        await pipeline.close_spider()
        ledger.spider_closed("finished")
        store.close()
        assert ledger.book.balanced
        assert not crawler.stats.get_value("tge/accounting/faults")

    def lock(self) -> None:
        """Let another program write for as long as it likes."""
        held = threading.Event()

        def hold() -> None:
            with write_transaction(self.engine):
                held.set()
                self._release.wait(60)

        self._release.clear()
        self._holder = threading.Thread(target=hold)
        self._holder.start()
        held.wait(10)

    def release(self) -> None:
        self._release.set()
        if self._holder is not None:
            self._holder.join()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    yield place
    place.release()
    place.engine.dispose()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


def told(count: int) -> list[Mention]:
    return [mention(number) for number in range(count)]


def test_rows_are_stored_and_their_outcomes_booked_after_the_commit(place: Place) -> None:
    async def crawl() -> None:
        async with place.run() as run:
            await run.process(*told(12))
            await until(lambda: run.outcomes == {"stored": 12})
            assert run.store.knows(mention(1).entry_id, "")

    asyncio.run(crawl())
    assert len(stored(place.engine)) == 12


def test_a_refused_row_has_failed_and_the_others_are_stored(place: Place) -> None:
    async def crawl() -> None:
        async with place.run() as run:
            await run.process(*told(4), poison(9))
        assert run.outcomes == {"stored": 4, "failed": 1}
        assert not run.store.knows(poison(9).entry_id, "")
        assert run.stats.get_value("tge/database/rows_put_aside") == 1

    asyncio.run(crawl())
    assert len(stored(place.engine)) == 4


def test_an_outage_within_a_run_costs_nothing(place: Place) -> None:
    async def crawl() -> None:
        place.lock()
        async with place.run() as run:
            await run.process(*told(30))
            await until(lambda: run.store.lasting.waiting_rows == 30)
            assert run.outcomes == {}
            assert not run.store.knows(mention(1).entry_id, "")
            place.release()
            await until(lambda: run.outcomes == {"stored": 30})
            assert run.stats.get_value("tge/database/mentions_spooled") == 30
            assert run.stats.get_value("tge/database/mentions_recovered") == 30

    asyncio.run(crawl())
    assert len(stored(place.engine)) == 30


def test_what_is_on_disk_at_the_close_is_pending_and_the_next_run_writes_it(place: Place) -> None:
    async def crawl() -> None:
        place.lock()
        async with place.run() as run:
            await run.process(*told(7))
        assert run.outcomes == {"pending": 7}
        assert run.stats.get_value("tge/database/rows_on_disk") == 7
        place.release()
        async with place.run() as run:
            assert run.store.knows(mention(1).entry_id, "")
        assert run.outcomes == {}

    asyncio.run(crawl())
    assert len(stored(place.engine)) == 7


def test_a_full_spool_pauses_the_crawl_and_loses_nothing(place: Place) -> None:
    async def crawl() -> None:
        place.lock()
        async with place.run(most_bytes=12_000) as run:
            crawling = asyncio.ensure_future(run.process(*told(100)))
            await until(lambda: len(run.pipeline.pending.rows) > 2 * BATCH)
            await asyncio.sleep(1.5)  # longer than the first pause between two attempts
            assert not crawling.done()
            waiting = run.store.lasting.waiting_rows
            assert waiting + len(run.pipeline.pending.rows) < 40
            drop = EntryDropped("no event", outcome="irrelevant")
            run.ledger.open(mention(500).entry_id)
            run.pipeline.item_dropped(mention(500), drop, SPIDER)
            assert run.stats.get_value("tge/database/verdicts_forgotten") == 1
            run.ledger.close(mention(500).entry_id, "irrelevant")
            place.release()
            await crawling
        assert run.outcomes == {"stored": 100, "irrelevant": 1}

    asyncio.run(crawl())
    assert len(stored(place.engine)) == 100


def test_a_close_while_the_spool_is_full_keeps_what_is_in_hand(place: Place) -> None:
    async def crawl() -> None:
        place.lock()
        async with place.run(most_bytes=1) as run:
            await run.process(*told(8))
        assert run.outcomes == {"pending": 8}
        place.release()
        async with place.run():
            pass

    asyncio.run(crawl())
    assert len(stored(place.engine)) == 8


def test_verdicts_outlast_an_outage_as_well(place: Place) -> None:
    async def crawl() -> None:
        place.lock()
        async with place.run() as run:
            drop = EntryDropped("no event", outcome="irrelevant")
            run.pipeline.item_dropped(mention(1, seen_at=NOW), drop, SPIDER)
        place.release()
        async with place.run() as run:
            assert run.store.knows(mention(1).entry_id, SPIDER.verdict_version)

    asyncio.run(crawl())


def test_rows_are_given_up_where_neither_database_nor_disk_takes_them(place: Place) -> None:
    async def crawl() -> None:
        place.lock()
        (place.folder / "spool").write_text("no folder")
        async with place.run() as run:
            body = Delivery("desk", "1key", at_rest=lambda _: None)
            run.ledger.open(mention(0).entry_id, body)
            await run.pipeline.process_item(mention(0))
            await run.process(*told(3)[1:])
        assert body.is_wanted_again
        assert run.outcomes == {"failed": 3}
        assert not run.store.knows(mention(1).entry_id, "")

    asyncio.run(crawl())
