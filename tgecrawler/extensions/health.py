"""How each source fared: one line for each that failed, and its row in the database."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from scrapy.crawler import Crawler
    from scrapy.statscollectors import StatsCollector

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class SourceState:
    """A source in this run. `error` is "" while nothing went wrong."""

    polled_at: datetime
    succeeded_at: datetime | None = None
    entries: int = 0
    error: str = ""


class SourceHealth:
    """Book of the sources that a run has polled."""

    def __init__(self, stats: StatsCollector) -> None:
        self.stats = stats
        self.states: dict[str, SourceState] = {}

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        return cls(crawler.stats)

    def polled(self, slug: str) -> None:
        """Note that a source is asked."""
        self.states[slug] = SourceState(polled_at=datetime.now(UTC))
        self.stats.inc_value("tge/sources/polled")

    def succeeded(self, slug: str, at: datetime, *, entries: int) -> None:
        """Note that a source was read; a site may be read in several parts."""
        state = self.states[slug]
        if state.succeeded_at is None:
            self.stats.inc_value("tge/sources/changed")
        state.succeeded_at = at
        state.entries += entries

    def unchanged(self, slug: str, at: datetime) -> None:
        """Note that a source has nothing new: it said so, or sent what it sent before."""
        self.states[slug].succeeded_at = at
        self.stats.inc_value("tge/sources/not_modified")

    def failed(self, slug: str, error: str) -> None:
        """Note, and say in one line, that a source could not be read."""
        self.states[slug].error = error
        self.stats.inc_value("tge/sources/failed")
        logger.warning("%s could not be read: %s", slug, error)

    @property
    def answered(self) -> int:
        """How many sources were read or have failed so far."""
        return sum(1 for state in self.states.values() if state.succeeded_at or state.error)
