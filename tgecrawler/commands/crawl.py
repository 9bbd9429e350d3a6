"""``scrapy crawl``: as Scrapy's own, with exit codes that tell what happened."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from scrapy.commands.crawl import Command as ScrapyCrawl

from tgecrawler.cli import fail, one_of
from tgecrawler.errors import ArgumentError, UserError

if TYPE_CHECKING:
    import argparse

    from scrapy.crawler import Crawler


ABOVE_PROJECT = 25  # beats settings.py, and is beaten by -s and -L


class Command(ScrapyCrawl):
    """Exit codes: 0 done, 1 every source failed or a fault of ours, 2 a wrong argument."""

    def process_options(self, args: list[str], opts: argparse.Namespace) -> None:
        super().process_options(args, opts)
        if self.settings is not None and sys.stderr.isatty():
            # the progress line is there to look at; what goes wrong still shows
            self.settings.set("LOG_LEVEL", "WARNING", priority=ABOVE_PROJECT)

    def run(self, args: list[str], opts: argparse.Namespace) -> None:
        try:
            self.exitcode = self._crawl(args, opts)
        except UserError as error:
            self.exitcode = fail(error)

    def _crawl(self, args: list[str], opts: argparse.Namespace) -> int:
        process = self.crawler_process
        if process is None:
            raise RuntimeError("Scrapy gives a crawl command its process")
        if len(args) != 1 or args[0].startswith("-"):
            raise ArgumentError(f"crawl takes one spider, such as rss, not {' '.join(args)!r}")
        spider = one_of(args[0], process.spider_loader.list(), "spider")
        crawler = self._create_crawler(spider)
        crawling = process.crawl(crawler, **opts.spargs)
        process.start()
        error = crawling.exception() if crawling.done() and not crawling.cancelled() else None  # type: ignore[attr-defined]
        if error is not None:
            raise error
        return exit_code(crawler)


def exit_code(crawler: Crawler) -> int:
    """Return 1 where no source could be read, or entries are not stored, else 0."""
    stats = crawler.stats
    polled = stats.get_value("tge/sources/polled", 0)
    every_source_failed = polled and stats.get_value("tge/sources/failed", 0) == polled
    faults = stats.get_value("tge/accounting/faults", 0)
    broken = stats.get_value("tge/database/batches_failed", 0)
    on_disk = stats.get_value("tge/database/rows_on_disk", 0)
    start_error = stats.get_value("finish_reason") == "start_error"
    return int(bool(every_source_failed or faults or broken or on_disk or start_error))
