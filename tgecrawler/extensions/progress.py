"""One line on a terminal while a crawl runs, and a short table at its end."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from typing import TYPE_CHECKING, Any, Self, TextIO

from rich.console import Console
from rich.table import Table
from scrapy import signals

from tgecrawler.extensions.health import SourceHealth
from tgecrawler.extensions.ledger import EntryLedger
from tgecrawler.extensions.report import RunReport

if TYPE_CHECKING:
    from scrapy import Spider
    from scrapy.crawler import Crawler

EVERY_S = 0.25
CLEAR = "\r\x1b[2K"

logger = logging.getLogger(__name__)


class Progress:
    """Shows the run where a person looks on: a terminal. Elsewhere, plain log lines."""

    def __init__(self, crawler: Crawler, stream: TextIO) -> None:
        self.crawler = crawler
        self.stream = stream
        self.on_terminal = stream.isatty()
        self._drawing: asyncio.Future[None] | None = None

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        progress = cls(crawler, sys.stderr)
        crawler.signals.connect(progress.spider_opened, signal=signals.spider_opened)
        crawler.signals.connect(progress.spider_closed, signal=signals.spider_closed)
        return progress

    def spider_opened(self) -> None:
        self.started_s = time.monotonic()
        if self.on_terminal:
            for handler in logging.getLogger().handlers:
                handler.addFilter(self._clear_line)
            self._drawing = asyncio.ensure_future(self._draw())

    def spider_closed(self, spider: Spider) -> None:
        if self._drawing is not None:
            self._drawing.cancel()
            self.stream.write(CLEAR)
            for handler in logging.getLogger().handlers:
                handler.removeFilter(self._clear_line)
        report = self.crawler.get_extension(RunReport)
        if report is None or not report.report:
            return
        if self.on_terminal:
            Console(file=self.stream).print(run_table(report.report))
        else:
            logger.info("%s: %s", spider.name, summary_line(report.report))

    async def _draw(self) -> None:
        while True:
            self.stream.write(CLEAR + self._line())
            self.stream.flush()
            await asyncio.sleep(EVERY_S)

    def _line(self) -> str:
        health = self.crawler.get_extension(SourceHealth)
        ledger = self.crawler.get_extension(EntryLedger)
        if health is None or ledger is None:
            return ""
        parts = [f"{health.answered}/{len(health.states)} sources", f"{ledger.book.seen} entries"]
        parts += [f"{count} {name}" for name, count in sorted(ledger.book.outcomes.items())]
        return f"{time.monotonic() - self.started_s:5.1f} s  " + " · ".join(parts)

    def _clear_line(self, record: logging.LogRecord) -> bool:
        self.stream.write(CLEAR)
        return True


def summary_line(report: dict[str, Any]) -> str:
    """Return a run's figures as one line."""
    sources, outcomes = report["sources"], report["outcomes"]
    counts = ", ".join(f"{count} {name}" for name, count in outcomes.items() if count)
    return (
        f"{report['run']['reason']} after {report['run']['cycle_s']:.1f} s; "
        f"{sources['polled']} sources, {sources['failed']} failed; "
        f"{report['entries_seen']} entries: {counts or 'none'}; {report['alerts']} alerts, "
        f"{report['events']['new']} new events"
    )


def run_table(report: dict[str, Any]) -> Table:
    """Return a run's figures as a table for a terminal."""
    table = Table(
        title=f"{report['run']['spider']}: {report['run']['reason']}", title_justify="left"
    )
    table.add_column("what")
    table.add_column("count", justify="right")
    sources = report["sources"]
    table.add_row("sources polled", str(sources["polled"]))
    table.add_row("  failed", str(sources["failed"]))
    table.add_row("entries seen", str(report["entries_seen"]))
    for outcome, count in report["outcomes"].items():
        table.add_row(f"  {outcome}", str(count))
    table.add_row("requests", str(report["requests"]["sent"]))
    table.add_row("alerts", str(report["alerts"]), style="bold")
    table.add_row("new events", str(report["events"]["new"]))
    table.add_row("events changed", str(report["events"]["changed"]))
    table.add_row("seconds", f"{report['run']['cycle_s']:.1f}")
    return table
