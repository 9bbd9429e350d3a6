"""The crawl's way to the database: one engine, one writer, one memory of what was seen."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

from scrapy import signals
from scrapy.exceptions import NotConfigured

from tgecrawler.addon import runtime_of
from tgecrawler.storage.batch import Batch, Rejected, WriteResult
from tgecrawler.storage.engine import create_engine
from tgecrawler.storage.engine_settings import EngineSettings
from tgecrawler.storage.figures import database_figures, database_stats
from tgecrawler.storage.queries import fingerprints, known_stories
from tgecrawler.storage.readiness import ensure_schema
from tgecrawler.storage.seen import SeenIndex
from tgecrawler.storage.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from scrapy.crawler import Crawler
    from scrapy.statscollectors import StatsCollector
    from sqlalchemy import Engine

    from tgecrawler.items import Mention
    from tgecrawler.runtime import Runtime

logger = logging.getLogger(__name__)

# Copies of a story come within days; older ones need not be held in memory.
STORIES_KEPT = timedelta(days=30)


class Store:
    """Adapter around `tgecrawler.storage`. Option: TGE_DATABASE_URL.

    Opened before the crawl begins, so that a database that cannot be used stops
    the process with one line. Only for spiders that store (`stores = True`).
    """

    def __init__(self, engine: Engine, runtime: Runtime) -> None:
        self.engine = engine
        self.runtime = runtime
        self.writer = Writer(engine)
        self.seen = SeenIndex.load(engine)

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        if not getattr(crawler.spider, "stores", False):
            raise NotConfigured
        runtime = runtime_of(crawler)
        settings = EngineSettings.from_options(
            runtime.options, program=getattr(crawler.spider, "name", "")
        )
        engine = create_engine(str(runtime.options["TGE_DATABASE_URL"]), settings)
        ensure_schema(engine)
        store = cls(engine, runtime)
        store.writer.sync_companies(runtime.watchlist.companies)
        if count := store.writer.refresh_traits(runtime.anybodys, runtime.ordinary):
            logger.info("read %d stored mentions anew, by this version's rules", count)
        crawler.signals.connect(store.close, signal=signals.engine_stopped)
        return store

    def knows(self, entry_id: str, verdict_version: str) -> bool:
        """Return whether an entry is stored, or was rejected under the same rules."""
        return self.seen.known(entry_id, verdict_version)

    def known_stories(self) -> dict[str, str]:
        """Return url_key and text_key of recent mentions, each with its mention's id."""
        return known_stories(self.engine, since=datetime.now(UTC) - STORIES_KEPT)

    def fingerprints(self) -> Iterator[tuple[str, bytes, datetime]]:
        """Yield the fingerprints of recent mentions, each with its id and when it was told."""
        return fingerprints(self.engine, since=datetime.now(UTC) - STORIES_KEPT)

    def write(self, mentions: Sequence[Mention], rejected: Sequence[Rejected]) -> WriteResult:
        """Write one batch in one transaction; return what became of it.

        Blocks: call it in a thread. What it has written is known from then on.

        Raises:
            DatabaseError: the batch could not be written, and nothing of it was.
        """
        batch = Batch(
            mentions=mentions,
            rejected=rejected,
            rules_version=self.runtime.assessor.rules_version,
        )
        result = self.writer.write(batch)
        for entry_id, outcome in result.outcomes.items():
            self.seen.add(entry_id, outcome, "")
        for row in rejected:
            self.seen.add(row.id, row.outcome, row.rules_version)
        return result

    def write_run(self, report: dict[str, Any]) -> None:
        """Store a run's report."""
        self.writer.write_run(report)

    def figures(self) -> dict[str, Any]:
        """Return what was measured of the database so far; see docs/report.md."""
        return database_figures(self.engine)

    def publish(self, stats: StatsCollector) -> None:
        """Put what was measured of the database among the stats."""
        for name, value in database_stats(self.engine).items():
            stats.set_value(name, value)

    def close(self) -> None:
        """Give the connections back."""
        self.engine.dispose()
