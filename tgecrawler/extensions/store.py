"""The crawl's way to the database: one engine, one writer, one memory of what was seen."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

from scrapy import signals
from scrapy.exceptions import NotConfigured

from tgecrawler.addon import runtime_of
from tgecrawler.errors import DatabaseError, SpoolError
from tgecrawler.storage.aside import Aside
from tgecrawler.storage.batch import Batch
from tgecrawler.storage.engine import create_engine
from tgecrawler.storage.engine_settings import EngineSettings
from tgecrawler.storage.figures import database_figures, database_stats
from tgecrawler.storage.lasting import LastingWriter
from tgecrawler.storage.queries import fingerprints, known_stories
from tgecrawler.storage.readiness import ensure_schema
from tgecrawler.storage.seen import SeenIndex, read_verdicts
from tgecrawler.storage.spool import Spool, spool_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from scrapy.crawler import Crawler
    from scrapy.statscollectors import StatsCollector
    from sqlalchemy import Engine

    from tgecrawler.items import Mention
    from tgecrawler.options import Value
    from tgecrawler.runtime import Runtime
    from tgecrawler.storage.batch import Rejected
    from tgecrawler.storage.bisection import Commit
    from tgecrawler.storage.lasting import Fate
    from tgecrawler.storage.writer import Writer

logger = logging.getLogger(__name__)

# Copies of a story come within days; older ones need not be held in memory.
STORIES_KEPT = timedelta(days=30)
MB = 1_000_000


class Store:
    """Adapter around `tgecrawler.storage`. Options: TGE_DATABASE_URL, TGE_SPOOL_….

    Opened before the crawl begins, so that a database that cannot be used stops
    the process with one line. Only for spiders that store (`stores = True`).
    """

    def __init__(
        self, engine: Engine, runtime: Runtime, lasting: LastingWriter | None = None
    ) -> None:
        self.engine = engine
        self.runtime = runtime
        self.lasting = lasting or open_lasting(engine, runtime.options)
        self.seen = SeenIndex.load(engine)
        self.on_commit: list[Callable[[], None]] = []
        """Called after each commit of rows, in the thread that wrote them."""

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
        lasting = open_lasting(engine, runtime.options)
        # Before anything is read of the database: what an earlier run fetched is known then.
        crawler.stats.inc_value("tge/database/mentions_recovered", lasting.recover())
        store = cls(engine, runtime, lasting)
        store.writer.sync_companies(runtime.watchlist.companies)
        if count := store.writer.refresh_traits(runtime.anybodys, runtime.ordinary):
            logger.info("read %d stored mentions anew, by this version's rules", count)
        crawler.signals.connect(store.close, signal=signals.engine_stopped)
        return store

    @property
    def writer(self) -> Writer:
        """The writer for all else than mentions; while the database is away it tries once."""
        return self.lasting.present

    def knows(self, entry_id: str, verdict_version: str) -> bool:
        """Return whether an entry is stored, or was rejected under the same rules."""
        return self.seen.known(entry_id, verdict_version)

    def learn(self, entry_ids: Iterable[str]) -> None:
        """Look up what other processes have stored or rejected of these entries; blocks.

        Without an answer of the database they pass for new: what is stored twice is one row.
        """
        unknown = [id_ for id_ in entry_ids if not self.seen.known(id_, "")]
        try:
            verdicts = read_verdicts(self.engine, unknown)
        except DatabaseError as error:
            logger.debug("database: what others have stored is not known: %s", error)
            return
        for entry_id, outcome, rules_version in verdicts:
            self.seen.add(entry_id, outcome, rules_version)

    def known_stories(self) -> dict[str, str]:
        """Return url_key and text_key of recent mentions, each with its mention's id."""
        return known_stories(self.engine, since=datetime.now(UTC) - STORIES_KEPT)

    def fingerprints(self) -> Iterator[tuple[str, bytes, datetime]]:
        """Yield the fingerprints of recent mentions, each with its id and when it was told."""
        return fingerprints(self.engine, since=datetime.now(UTC) - STORIES_KEPT)

    def write(
        self, mentions: Sequence[Mention], rejected: Sequence[Rejected], *, closing: bool = False
    ) -> Fate:
        """Write or keep one batch; return what became of its rows.

        Blocks: call it in a thread. What it has written is known from then on.

        Args:
            closing: there will be no other chance in this run.
        """
        batch = Batch(
            mentions=mentions,
            rejected=rejected,
            rules_version=self.runtime.assessor.rules_version,
        )
        return self._noted(self.lasting.write(batch, closing=closing))

    def drain(self) -> Fate:
        """Write some of the rows that wait on disk; blocks."""
        return self._noted(self.lasting.drain())

    def _noted(self, fate: Fate) -> Fate:
        for commit in fate.commits:
            self._note(commit)
        if fate.commits:
            for told in self.on_commit:
                told()
        return fate

    def _note(self, commit: Commit) -> None:
        for entry_id, outcome in commit.result.outcomes.items():
            self.seen.add(entry_id, outcome, "")
        for row in commit.batch.rejected:
            self.seen.add(row.id, row.outcome, row.rules_version)

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
        """Give the connections back, and what waits on disk to the next process."""
        self.lasting.close()
        self.engine.dispose()


def open_lasting(engine: Engine, options: Mapping[str, Value]) -> LastingWriter:
    """Return the writer for a database, with its spool and the file of rows put aside."""
    folder = spool_folder(str(options["TGE_DATABASE_URL"]), str(options["TGE_SPOOL_PATH"]))
    most_bytes = int(options["TGE_SPOOL_MAX_MB"]) * MB
    spool = Spool(folder, most_bytes) if most_bytes else None
    if spool is not None:
        try:
            spool.check()
        except SpoolError as error:
            logger.error(
                "%s; while the database is away, rows will be left for the next run", error
            )
    return LastingWriter(engine, Aside(folder), spool, announces=bool(options["TGE_REDIS_URL"]))
