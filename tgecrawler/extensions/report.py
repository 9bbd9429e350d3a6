"""The run report: what a run did, as JSON, as a row, and as a table."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import threading
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

import orjson
from scrapy import signals

from tgecrawler.cache.opening import open_cache
from tgecrawler.domain.timing import Durations
from tgecrawler.errors import DatabaseError, OptionError
from tgecrawler.extensions.ledger import EntryLedger
from tgecrawler.extensions.store import Store
from tgecrawler.items import OUTCOMES, Mention
from tgecrawler.scheduling.process_gate import gate_of_crawler

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scrapy import Request, Spider
    from scrapy.crawler import Crawler
    from scrapy.http import Response

    from tgecrawler.storage.batch import WriteResult

logger = logging.getLogger(__name__)

CYCLE_TARGET_S = 60
WATCH_EVERY_S = 60
DATABASE_COUNTS = (
    "batches",
    "mentions_spooled",
    "mentions_recovered",
    "rows_on_disk",
    "rows_put_aside",
)
QUEUE_COUNTS = ("rounds", "reclaimed", "lost", "dead", "refused_payloads", "redis_errors")


class RunReport:
    """Gathers the figures of a run; option: TGE_STATS_JSON.

    The shape is that of docs/report.md. A figure that is not measured is null,
    never 0. It is written at the close of the spider, and of one that runs for
    ever each minute: to the file, and as a row of ``runs``.
    """

    def __init__(self, crawler: Crawler, path: str) -> None:
        self.crawler = crawler
        self.stats = crawler.stats
        self.path = Path(path) if path else None
        self.requests: Counter[str] = Counter()
        self.alerts = 0
        self.durations = {
            stage: Durations() for stage in ("publish_to_stored", "fetch", "assess", "write")
        }
        self.report: dict[str, Any] = {}
        self._writing: asyncio.Task[None] | None = None
        self._lock = threading.Lock()

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        report = cls(crawler, str(crawler.settings.get("TGE_STATS_JSON") or ""))
        report.prepare()
        connect = crawler.signals.connect
        connect(report.spider_opened, signal=signals.spider_opened)
        connect(report.request_sent, signal=signals.request_reached_downloader)
        connect(report.response_received, signal=signals.response_received)
        connect(report.spider_closed, signal=signals.spider_closed)
        return report

    def prepare(self) -> None:
        """Make the report's folder, so that a bad path is said before the crawl.

        Raises:
            OptionError: nothing can be written there.
        """
        if self.path is None:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.touch()
        except OSError as error:
            raise OptionError(
                f"TGE_STATS_JSON: cannot write {self.path} ({error.strerror})"
            ) from None

    def spider_opened(self, spider: Spider) -> None:
        self.started_at = datetime.now(UTC)
        stamp = f"{self.started_at:%Y%m%dT%H%M%SZ}"
        self.run_id = f"{stamp}-{spider.name}-{secrets.token_hex(3)}"
        if getattr(spider, "watches", False):
            self._writing = asyncio.ensure_future(self._write_for_ever(spider.name))

    async def _write_for_ever(self, spider: str) -> None:
        while True:
            await asyncio.sleep(WATCH_EVERY_S)
            if (ledger := self.crawler.get_extension(EntryLedger)) is not None:
                ledger.publish()
            self._publish_database()
            self.report = self._compose(spider, "running", datetime.now(UTC))
            await asyncio.to_thread(self._write)

    def _write(self) -> None:
        with self._lock:  # the last report waits for the one that a thread is writing
            if self.path is not None:
                content = orjson.dumps(self.report, option=orjson.OPT_INDENT_2)
                _write_whole(self.path, content + b"\n")
            self._store()

    def request_sent(self, request: Request) -> None:
        kind = request.meta.get("kind")
        if kind is None:
            kind = "robots" if urlsplit(request.url).path == "/robots.txt" else "other"
        self.requests[kind] += 1

    def response_received(self, response: Response, request: Request) -> None:
        if (latency_s := request.meta.get("download_latency")) is not None:
            self.durations["fetch"].add(latency_s)

    def batch_written(
        self, mentions: Sequence[Mention], result: WriteResult, took_s: float
    ) -> None:
        """Count a committed batch."""
        now = datetime.now(UTC)
        self.durations["write"].add(took_s)
        self.stats.inc_value("tge/database/batches")
        self.stats.inc_value("tge/events/new", len(result.events))
        self.stats.inc_value("tge/events/changed", len(result.changed_events))
        for mention in mentions:
            if result.outcomes[mention.entry_id] != "stored":
                continue
            self.alerts += 1
            if mention.published_at is not None:
                age_s = (now - mention.published_at).total_seconds()
                self.durations["publish_to_stored"].add(max(0.0, age_s))

    def batch_failed(self, mentions: int) -> None:
        """Count a batch that the database refused for good."""
        self.stats.inc_value("tge/database/batches_failed")
        self.stats.inc_value("tge/database/mentions_failed", mentions)

    def spider_closed(self, spider: Spider, reason: str) -> None:
        finished_at = datetime.now(UTC)
        if self._writing is not None:
            self._writing.cancel()
        self._publish_database()
        self.report = self._compose(spider.name, reason, finished_at)
        self._write()

    def _store(self) -> None:
        store = self.crawler.get_extension(Store)
        try:
            if store is not None:
                store.write_run(self.report)
        except DatabaseError as error:
            logger.error("database: the run's report is not stored: %s", error)

    def _compose(self, spider: str, reason: str, finished_at: datetime) -> dict[str, Any]:
        cycle_s = round((finished_at - self.started_at).total_seconds(), 3)
        count = self._count
        return {
            "run": {
                "id": self.run_id,
                "spider": spider,
                "started_at": _rfc3339(self.started_at),
                "finished_at": _rfc3339(finished_at),
                "cycle_s": cycle_s,
                "reason": reason,
            },
            "sources": {
                name: count(f"tge/sources/{name}")
                for name in ("polled", "changed", "not_modified", "failed")
            },
            "stale": self._stale(),
            "entries_seen": count("tge/entries_seen"),
            "outcomes": {name: count(f"tge/outcome/{name}") for name in OUTCOMES},
            "alerts": self.alerts,
            "events": {name: count(f"tge/events/{name}") for name in ("new", "changed")},
            "requests": {
                "sent": sum(self.requests.values()),
                "by_kind": dict(sorted(self.requests.items())),
                "avoided": count("tge/requests/avoided"),
                "retried": count("retry/count"),
                "bytes": count("downloader/response_bytes"),
            },
            "cache": self._cache(),
            "connections": self._connections(),
            "politeness": self._politeness(),
            "database": self._database(),
            "queue": self._queue(),
            "latency_s": {stage: took.summary() for stage, took in self.durations.items()},
            "memory_bytes": {"peak": self.stats.get_value("memusage/max")},
            "targets": [
                {
                    "name": "cycle_s",
                    "target": CYCLE_TARGET_S,
                    "value": cycle_s,
                    "met": cycle_s < CYCLE_TARGET_S,
                }
            ],
        }

    def _stale(self) -> list[str]:
        """Return the sources that answer, but tell nothing new for much longer than usual."""
        stale = getattr(self.crawler.spider, "stale_sources", None)
        return stale(datetime.now(UTC)) if stale is not None else []

    def _cache(self) -> dict[str, Any] | None:
        """Return what the process's cache has counted since it was opened."""
        settings = self.crawler.settings
        return open_cache(settings).stats() if settings.getbool("HTTPCACHE_ENABLED") else None

    def _database(self) -> dict[str, Any] | None:
        store = self.crawler.get_extension(Store)
        if store is None:
            return None
        return store.figures() | {
            name: self._count(f"tge/database/{name}") for name in DATABASE_COUNTS
        }

    def _publish_database(self) -> None:
        if (store := self.crawler.get_extension(Store)) is not None:
            store.publish(self.stats)

    def _connections(self) -> dict[str, Any] | None:
        opened = self._count("tge/connections/opened")
        reused = self._count("tge/connections/reused")
        if not opened + reused:
            return None
        ratio = round(reused / (opened + reused), 4)
        return {"opened": opened, "reused": reused, "reuse_ratio": ratio}

    def _politeness(self) -> dict[str, Any] | None:
        if self.crawler.settings["TGE_REPLAY"]:
            return None
        gate = gate_of_crawler(self.crawler)
        return {
            "violations": gate.violations,
            "waits_s": round(gate.waits_s, 3),
            "rests": self._count("tge/politeness/rests"),
            "refused": self._count("tge/politeness/refused"),
        }

    def _queue(self) -> dict[str, int] | None:
        """Return this worker's part in the shared queue; None where it shares none."""
        if self.stats.get_value("tge/queue/rounds") is None:
            return None
        counts = {name: self._count(f"tge/queue/{name}") for name in QUEUE_COUNTS}
        return counts | {"told": self._count("tge/stream/messages")}

    def _count(self, stat: str) -> int:
        return int(self.stats.get_value(stat, 0))


def _rfc3339(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _write_whole(path: Path, content: bytes) -> None:
    """Replace the file in one step: who reads it meanwhile sees the old one or the new one."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_bytes(content)
    beside.replace(path)
