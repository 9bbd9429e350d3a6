"""Judges each mention, and lets go of what announces no token event."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from tgecrawler.addon import runtime_of
from tgecrawler.domain.timing import Durations
from tgecrawler.drops import EntryDropped
from tgecrawler.extensions.report import RunReport
from tgecrawler.items import Mention

if TYPE_CHECKING:
    from scrapy.crawler import Crawler
    from scrapy.statscollectors import StatsCollector

    from tgecrawler.domain.relevance import Assessor


class RelevancePipeline:
    """Adapter around `Assessor.assess`. Options: TGE_RELEVANCE_MIN_SCORE, TGE_DISCOVERY."""

    def __init__(self, assessor: Assessor, stats: StatsCollector, durations: Durations) -> None:
        self.assessor = assessor
        self.stats = stats
        self.durations = durations

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        report = crawler.get_extension(RunReport)
        durations = report.durations["assess"] if report else Durations()
        return cls(runtime_of(crawler).assessor, crawler.stats, durations)

    def process_item(self, item: Any) -> Any:
        if not isinstance(item, Mention):
            return item
        started = time.perf_counter()
        assessment = self.assessor.assess(
            item.title,
            item.summary,
            item.text,
            medium=item.medium,
            published_at=item.published_at or item.seen_at,
            url=item.canonical_url,
            links=item.links,
        )
        self.durations.add(time.perf_counter() - started)
        if assessment.relevant:
            self.stats.inc_value(f"tge/relevance/{assessment.kind}")
            return replace(item, assessment=assessment, links=())
        reason = f"score {assessment.score:.2f}: {'; '.join(assessment.missing)} {item.url}"
        if item.page_error:
            # the feed's words were not enough, and the page may be there next time
            raise EntryDropped(f"{item.page_error}; {reason}", outcome="failed", remember=False)
        raise EntryDropped(reason, outcome="irrelevant")
